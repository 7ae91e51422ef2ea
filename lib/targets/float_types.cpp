#include "lib/targets/float_types.h"

#include <algorithm>
#include <unordered_set>

#include "lib/base/text.h"
#include "lib/graph/metadata.h"
#include "lib/graph/value_types.h"
#include "lib/graph/widen.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Model;
using graph::Node;

using NarrowTest = bool (*)(DType);

bool IsDouble(DType type) { return type == DType::kDouble; }
bool IsHalfOrDouble(DType type) { return graph::IsHalf(type) || IsDouble(type); }

bool HasDoubleLayers(const Graph& g) {
  return std::any_of(g.nodes().begin(), g.nodes().end(), [&](const graph::NodePtr& node) {
    if (!graph::IsLayerOp(*node)) return false;
    return std::any_of(node->inputs.begin(), node->inputs.end(), [&](const std::string& input) {
      const Tensor* weight = g.Constant(input);
      return weight && IsDouble(weight->dtype());
    });
  });
}

// An empty sequence declares its element type; that of float32 could not be distinguished here.
bool HasEmptySequences(const Graph& g) {
  bool found = false;
  for (const graph::NodePtr& node : g.nodes()) {
    found |= node->Is("SequenceEmpty") || node->Is("Optional");
    graph::ForEachSubgraph(*node, [&](const Graph& nested) { found |= HasEmptySequences(nested); });
  }
  return found;
}

// Whether a node, other than a Cast to another type, computes in one of the types.
bool Computes(const Graph& g, NarrowTest which, const FloatTypes& types) {
  const auto has = [&](const std::string& value) {
    const auto type = types.find(value);
    return type != types.end() && which(type->second);
  };
  return std::any_of(g.nodes().begin(), g.nodes().end(), [&](const graph::NodePtr& node) {
    bool found = !node->Is("Cast") && !node->Is("Constant") &&
                 (std::any_of(node->inputs.begin(), node->inputs.end(), has) ||
                  std::any_of(node->outputs.begin(), node->outputs.end(), has));
    graph::ForEachSubgraph(*node,
                           [&](const Graph& nested) { found |= Computes(nested, which, types); });
    return found;
  });
}

// Casts between floats are redundant: their readers read the source.
class CastRemover {
 public:
  CastRemover(const FloatTypes& types, Graph* g) : types_(types), g_(*g) {}

  void Run() {
    for (const graph::NodePtr& node : g_.nodes()) {
      graph::ForEachSubgraph(*node, [this](Graph& nested) { CastRemover(types_, &nested).Run(); });
      if (node->Is("Cast") && types_.contains(node->input(0)) && types_.contains(node->output(0)))
        Take(node.get());
    }
    g_.RemoveNodes([this](const Node& node) { return gone_.contains(&node); });
    for (const graph::NodePtr& node : g_.nodes()) RenameReads(renames_, node.get());
    g_.InvalidateIndex();
  }

 private:
  void Take(Node* cast) {
    const auto known = renames_.find(cast->input(0));
    const std::string from = known == renames_.end() ? cast->input(0) : known->second;
    const std::string& to = cast->output(0);
    if (!g_.IsOutput(to)) {
      renames_[to] = from;
      gone_.insert(cast);
      return;
    }
    Node* producer = g_.Producer(from);
    if (producer && !g_.IsOutput(from) && from == NarrowName(to, types_.at(cast->input(0)))) {
      for (auto& [name, now] : renames_)
        if (now == from) now = to;
      renames_[from] = to;
      gone_.insert(cast);
      std::replace(producer->outputs.begin(), producer->outputs.end(), from, std::string(to));
      return;
    }
    cast->op_type = "Identity";
    cast->attributes.clear();
  }

  const FloatTypes& types_;
  Graph& g_;
  Renames renames_;
  std::unordered_set<const Node*> gone_;
};

// A model that NarrowTypes has written records the original types of the parts in float32.
void RestoreTypes(const Model& model, FloatTypes* types) {
  const DType type = ParseDType(graph::MetadataOf(model, kFloatTypeKey));
  if (!IsHalfOrDouble(type)) return;
  for (auto& [name, own] : *types)
    if (own == DType::kFloat && !model.graph->IsInput(name) && !model.graph->IsOutput(name))
      own = type;
}

}  // namespace

FloatTypes WidenTypes(Model* model) {
  const NarrowTest which = HasDoubleLayers(*model->graph) ? IsHalfOrDouble : graph::IsHalf;
  const graph::TypeFindings findings = graph::FindTypes(*model, which);
  if (!findings.found || findings.visible || !model->functions.empty() ||
      HasEmptySequences(*model->graph))
    return {};
  FloatTypes types;
  for (const auto& [value, type] : graph::InferValueTypes(*model))
    if (type == DType::kFloat || which(type)) types.emplace(value, type);
  const bool written = std::any_of(model->metadata.begin(), model->metadata.end(),
                                   [](const auto& entry) { return entry.first == kFloatTypeKey; });
  if (!written && !Computes(*model->graph, which, types)) return {};
  graph::Widen(model, which);
  CastRemover(types, model->graph.get()).Run();
  RestoreTypes(*model, &types);
  return types;
}

Model InFloat32(const Model& written, const FloatTypes& types) {
  Model wide = graph::Clone(written);
  const bool doubles = std::any_of(types.begin(), types.end(),
                                   [](const auto& entry) { return IsDouble(entry.second); });
  if (!types.empty()) graph::Widen(&wide, doubles ? IsHalfOrDouble : graph::IsHalf);
  return wide;
}

std::string NarrowName(const std::string& value, DType type) {
  return StrCat(value, "_", DTypeName(type));
}

DType OnlyType(const Model& model, const FloatTypes& types) {
  std::set<DType> found;
  const auto add = [&](const std::string& value) {
    if (const auto type = types.find(value); type != types.end()) found.insert(type->second);
  };
  for (const graph::ValueInfo& input : model.graph->inputs) add(input.name);
  for (const graph::NodePtr& node : model.graph->nodes()) add(node->output(0));
  return found.size() == 1 ? *found.begin() : DType::kUndefined;
}

int64_t NarrowBytes(const Graph& g, const FloatTypes& types) {
  int64_t bytes = 0;
  for (const graph::Initializer& initializer : g.initializers()) {
    const Tensor& value = initializer.value;
    if (value.dtype() == DType::kString) continue;
    const auto type = types.find(initializer.name);
    const bool narrow = type != types.end() && value.dtype() == DType::kFloat;
    bytes += narrow ? ByteSize(type->second, value.size()) : value.byte_size();
  }
  for (const graph::NodePtr& node : g.nodes())
    graph::ForEachSubgraph(*node, [&](const Graph& body) { bytes += NarrowBytes(body, types); });
  return bytes;
}

std::string TypesText(const FloatTypes& types) {
  std::set<std::string> names;
  for (const auto& [value, type] : types)
    if (type != DType::kFloat) names.insert(DTypeName(type));
  return Join(std::vector<std::string>(names.begin(), names.end()), " and ");
}

}  // namespace roundel::target
