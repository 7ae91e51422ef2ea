#include "lib/grad/emitter.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/match.h"

namespace roundel::grad {

using graph::Node;

Emitter::Emitter(graph::Model* model) : model_(model) {
  graph::CollectNames(*model->graph, &names_);
}

std::optional<int64_t> Emitter::Rank(const std::string& value) const {
  return graph::RankOf(*model_->graph, value);
}

std::string Emitter::Fresh(const std::string& base) {
  std::string name = base;
  for (int i = 1; !names_.insert(name).second; ++i) name = StrCat(base, "_", i);
  return name;
}

Node* Emitter::NewNode(const std::string& type, const std::string& domain,
                       std::vector<std::string> inputs) {
  while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
  nodes_.push_back({.op_type = type, .domain = domain, .inputs = std::move(inputs)});
  return &nodes_.back();
}

std::string Emitter::Op(const std::string& type, std::vector<std::string> inputs,
                        const Attributes& attributes, const std::string& domain) {
  Node* made = NewNode(type, domain, std::move(inputs));
  for (const auto& [name, value] : attributes) made->SetAttribute(name, value);
  made->outputs = {Fresh(StrCat("grad/", node_ ? node_->output(0) : "", "/", type))};
  made->name = made->outputs[0];
  return made->outputs[0];
}

std::vector<std::string> Emitter::Own(const std::string& type, std::vector<std::string> inputs,
                                      const std::vector<bool>& results,
                                      const Attributes& attributes) {
  Node* made = NewNode(type, "roundel", std::move(inputs));
  for (const auto& [name, value] : attributes) made->SetAttribute(name, value);
  for (size_t i = 0; i < results.size(); ++i) {
    const std::string base = StrCat("grad/", node_->output(0), "/", type);
    made->outputs.push_back(results[i] ? Fresh(i > 0 ? StrCat(base, ".", i) : base) : "");
    if (made->name.empty()) made->name = made->outputs[i];
  }
  return made->outputs;
}

std::vector<std::string> Emitter::Own(const std::string& type, std::vector<std::string> inputs,
                                      const std::vector<bool>& results) {
  Attributes attributes;
  for (const graph::Attribute& attribute : node_->attributes)
    attributes.emplace_back(attribute.name, attribute.value);
  if (node_->domain.empty()) attributes.emplace_back("forward_opset", opset());
  return Own(type, std::move(inputs), results, attributes);
}

std::string Emitter::Own(const std::string& type, std::vector<std::string> inputs) {
  return Own(type, std::move(inputs), {true})[0];
}

std::string Emitter::Constant(const std::string& base, Tensor value) {
  const std::string name = Fresh(StrCat("grad/", base));
  model_->graph->SetInitializer(name, std::move(value));
  return name;
}

std::string Emitter::Constant(float value) {
  auto [entry, is_new] = numbers_.try_emplace(value);
  if (is_new) entry->second = Constant(StrCat("number/", value), Tensor::Scalar(value));
  return entry->second;
}

std::string Emitter::FillLike(const std::string& like, float value) {
  return Op("FillLike", {like}, {{"value", value}}, "roundel");
}

std::string Emitter::SumTo(const std::string& dy, const std::string& value) {
  return Op("SumTo", {dy, value}, {}, "roundel");
}

void Emitter::AddTo(const std::string& value, const std::string& gradient) {
  parts_[value].push_back(gradient);
}

void Emitter::AddAll(const std::vector<std::string>& gradients) {
  for (size_t i = 0; i < gradients.size(); ++i)
    if (!gradients[i].empty()) Add(i, gradients[i]);
}

void Emitter::Begin(const Node* node, std::vector<bool> wanted) {
  node_ = node;
  wanted_ = std::move(wanted);
  dy_.clear();
  for (const std::string& output : node->outputs)
    dy_.push_back(output.empty() ? "" : Total(output));
}

std::string Emitter::Total(const std::string& value) {
  const auto found = parts_.find(value);
  if (found == parts_.end()) return "";
  std::vector<std::string>& parts = found->second;
  while (parts.size() > 1) {
    parts[0] = Op("Add", {parts[0], parts[1]});
    parts.erase(parts.begin() + 1);
  }
  return parts[0];
}

void Emitter::Finish() {
  for (Node& node : nodes_) {
    if (!node.domain.empty() && model_->Opset(node.domain) == 0) model_->SetOpset(node.domain, 1);
    model_->graph->AddNode(std::move(node));
  }
  nodes_.clear();
}

}  // namespace roundel::grad
