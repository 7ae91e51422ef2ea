#include "lib/graph/body_scopes.h"

#include <algorithm>

#include "lib/base/text.h"

namespace roundel::graph {
namespace {

constexpr int kUnknown = -1;

}  // namespace

BodyScopes::BodyScopes(const Bodies& bodies, const Graph& flat) : bodies_(bodies), flat_(flat) {
  FindScopes();
}

int BodyScopes::Around(int scope) const { return BodyOf(scope).around; }
int BodyScopes::Depth(int scope) const { return scope == 0 ? 0 : 1 + Depth(Around(scope)); }
int BodyScopes::Common(int a, int b) const {
  if (a == kUnknown || b == kUnknown) return std::max(a, b);
  while (a != b) {
    int& deeper = Depth(a) >= Depth(b) ? a : b;
    deeper = Around(deeper);
  }
  return a;
}

int BodyScopes::CommonReader(const std::vector<std::string>& values) const {
  int scope = kUnknown;
  for (const std::string& value : values)
    for (const int reader : Readers(value)) scope = Common(scope, reader);
  return scope;
}

const std::set<int>& BodyScopes::Readers(const std::string& value) const {
  static const std::set<int> kNone;
  const auto it = readers_.find(value);
  return it == readers_.end() ? kNone : it->second;
}

int BodyScopes::HomeOf(const std::string& value) const {
  if (const auto known = bodies_.homes.find(value); known != bodies_.homes.end())
    return known->second;
  const auto producer = producers_.find(value);
  if (producer == producers_.end()) return 0;
  if (producer->second->FindAttribute(kScopeTag))
    return static_cast<int>(producer->second->Int(kScopeTag, 0));
  int deepest = 0;
  for (const std::string& input : producer->second->inputs)
    if (const int home = HomeOf(input); Depth(home) > Depth(deepest)) deepest = home;
  return deepest;
}

void BodyScopes::FindScopes() {
  for (const NodePtr& node : flat_.nodes()) {
    for (const std::string& output : node->outputs) producers_[output] = node.get();
    for (const std::string& input : node->inputs) reading_nodes_[input].push_back(node.get());
  }
  for (const ValueInfo& output : flat_.outputs) readers_[output.name].insert(0);
  for (auto node = flat_.nodes().rbegin(); node != flat_.nodes().rend(); ++node) {
    if (IsDequantizer(**node) && ReadNextToCodes(**node))
      AddCopies(**node);
    else
      Place(**node, ScopeOf(**node));
  }
  std::reverse(placed_.begin(), placed_.end());
}

bool BodyScopes::IsDequantizer(const Node& node) const {
  const std::string& output = node.output(0);
  return node.op_type == "DequantizeLinear" && !node.FindAttribute(kScopeTag) &&
         (!bodies_.homes.contains(output) || bodies_.constants.contains(output));
}

bool BodyScopes::HasCodes(const Node& reader) const {
  return std::any_of(reader.inputs.begin(), reader.inputs.end(), [&](const std::string& input) {
    const auto producer = producers_.find(input);
    return producer != producers_.end() && producer->second->op_type == "DequantizeLinear" &&
           !flat_.FindInitializer(producer->second->input(0));
  });
}

bool BodyScopes::ReadNextToCodes(const Node& node) const {
  const auto readers = reading_nodes_.find(node.output(0));
  if (readers == reading_nodes_.end()) return false;
  const bool constant = flat_.FindInitializer(node.input(0)) != nullptr;
  return std::any_of(readers->second.begin(), readers->second.end(), [&](const Node* reader) {
    return !constant || reader->inputs.size() == 1 || HasCodes(*reader);
  });
}

int BodyScopes::ScopeOf(const Node& node) const {
  if (node.FindAttribute(kScopeTag)) return static_cast<int>(node.Int(kScopeTag, 0));
  for (const std::string& output : node.outputs)
    if (const auto home = bodies_.homes.find(output);
        home != bodies_.homes.end() && !bodies_.constants.contains(output))
      return home->second;
  // Once for all its readers, not in every iteration of a loop.
  if (node.op_type == "QuantizeLinear" || node.op_type == "DynamicQuantizeLinear")
    return HomeOf(node.input(0));
  const int scope = CommonReader(node.outputs);
  if (scope == kUnknown) return HomeOf(node.output(0));
  // A weight that no reader fuses is dequantized once, not in every iteration. (MatMul fuses it:
  // runtimes make it MatMulNBits.)
  const auto readers = reading_nodes_.find(node.output(0));
  const bool once = IsDequantizer(node) && flat_.FindInitializer(node.input(0)) &&
                    readers != reading_nodes_.end() &&
                    std::none_of(readers->second.begin(), readers->second.end(),
                                 [](const Node* reader) { return reader->Is("MatMul"); });
  return once ? OutOfLoops(scope) : scope;
}

int BodyScopes::OutOfLoops(int scope) const {
  int out = scope;
  for (int at = scope; at > 0; at = Around(at))
    if (BodyOf(at).repeats) out = Around(at);
  return out;
}

void BodyScopes::Place(Node node, int scope) {
  const std::vector<std::string> bodies = BodyAttributes(node);
  const size_t own = OwnInputs(node, bodies);
  const int reads_in = node.FindAttribute(kEntryTag) ? Around(scope) : scope;
  for (size_t i = 0; i < own; ++i) readers_[node.inputs[i]].insert(reads_in);
  size_t next = own;
  for (const std::string& attribute : bodies) {
    const auto inside = static_cast<int>(node.Int(attribute, 0));
    for (size_t i = 0; i < BodyOf(inside).outputs.size(); ++i)
      readers_[node.inputs[next++]].insert(inside);
  }
  placed_.push_back({std::move(node), scope});
}

void BodyScopes::AddCopies(const Node& node) {
  const std::string& output = node.output(0);
  const std::set<int> scopes = Readers(output);
  bool first = true;
  for (const int scope : scopes) {
    Node copy = node;
    if (!first) {
      copy.outputs[0] = Fresh(output);
      if (!copy.name.empty()) copy.name = Fresh(copy.name);
      copies_[{scope, output}] = copy.outputs[0];
    }
    first = false;
    Place(std::move(copy), scope);
  }
  if (scopes.empty()) Place(node, HomeOf(output));
}

std::string BodyScopes::Fresh(const std::string& base) {
  if (names_.empty()) {
    for (const auto& [name, scope] : bodies_.homes) names_.insert(name);
    for (const Initializer& initializer : flat_.initializers()) names_.insert(initializer.name);
    for (const NodePtr& node : flat_.nodes()) {
      names_.insert(node->name);
      names_.insert(node->outputs.begin(), node->outputs.end());
    }
  }
  for (int i = 1;; ++i)
    if (std::string name = StrCat(base, "_", i); names_.insert(name).second) return name;
}

std::vector<std::string> BodyScopes::BodyAttributes(const Node& node) {
  const Attribute* names = node.FindAttribute(kBodiesTag);
  const auto* list = names ? std::get_if<std::vector<std::string>>(&names->value) : nullptr;
  return list ? *list : std::vector<std::string>();
}

size_t BodyScopes::OwnInputs(const Node& node, const std::vector<std::string>& bodies) const {
  size_t own = node.inputs.size();
  for (const std::string& attribute : bodies)
    own -= BodyOf(static_cast<int>(node.Int(attribute, 0))).outputs.size();
  return own;
}

std::string BodyScopes::NameIn(int scope, const std::string& value) const {
  const auto copy = copies_.find({scope, value});
  return copy == copies_.end() ? value : copy->second;
}

int BodyScopes::PlaceOf(const Initializer& initializer) const {
  const int scope = CommonReader({initializer.name});
  const auto home = bodies_.homes.find(initializer.name);
  return home == bodies_.homes.end() ? std::max(scope, 0) : Common(scope, home->second);
}

}  // namespace roundel::graph
