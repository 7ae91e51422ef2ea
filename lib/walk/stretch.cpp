#include "lib/walk/stretch.h"

#include <algorithm>

#include "lib/graph/layer.h"

namespace roundel::walk {

const std::string& DataInput(const graph::Graph& graph, const graph::Node& layer) {
  return layer.input(1 - graph::WeightIndex(graph, layer));
}

std::vector<std::string> ReadsOf(const graph::Graph& graph, const graph::Node& node) {
  std::vector<std::string> values = graph::OuterReads(node);
  values.insert(values.end(), node.inputs.begin(), node.inputs.end());
  std::erase_if(values,
                [&](const std::string& v) { return v.empty() || graph.Constant(v) != nullptr; });
  return values;
}

Stretches::Stretches(const graph::Graph& graph, const std::vector<size_t>& targets)
    : graph_(graph), needed_(graph.nodes().size(), false) {
  std::set<std::string> wanted;
  const auto read = [&](const std::string& value, size_t position) {
    wanted.insert(value);
    size_t& last = last_read_[value];
    last = std::max(last, position);
  };
  size_t next = targets.size();
  for (size_t i = targets.empty() ? 0 : targets.back() + 1; i-- > 0;) {
    const graph::Node& node = *graph.nodes()[i];
    needed_[i] = std::any_of(node.outputs.begin(), node.outputs.end(),
                             [&](const std::string& value) { return wanted.contains(value); });
    if (needed_[i])
      for (const std::string& value : ReadsOf(graph_, *graph_.nodes()[i])) read(value, i);
    if (next > 0 && targets[next - 1] == i) {
      --next;
      if (!graph.Constant(DataInput(graph, node))) read(DataInput(graph, node), i);
    }
  }
}

bool Stretches::ReadFrom(const std::string& value, size_t position) const {
  const auto it = last_read_.find(value);
  return it != last_read_.end() && it->second >= position;
}

Stretches::Part Stretches::Between(size_t begin, size_t end) const {
  Part part;
  std::set<std::string> made, inputs;
  for (size_t i = begin; i < end; ++i) {
    if (!needed_[i]) continue;
    part.nodes.push_back(i);
    for (const std::string& value : ReadsOf(graph_, *graph_.nodes()[i]))
      if (!made.contains(value)) inputs.insert(value);
    for (const std::string& value : graph_.nodes()[i]->outputs) made.insert(value);
  }
  part.inputs.assign(inputs.begin(), inputs.end());
  for (const std::string& value : made)
    if (ReadFrom(value, end)) part.outputs.push_back(value);
  return part;
}

std::vector<size_t> NodesBetween(const graph::Graph& graph, const std::vector<std::string>& inputs,
                                 const std::vector<std::string>& outputs) {
  const std::set<std::string> given(inputs.begin(), inputs.end());
  std::set<std::string> wanted(outputs.begin(), outputs.end());
  std::vector<size_t> nodes;
  for (size_t i = graph.nodes().size(); i-- > 0;) {
    const graph::Node& node = *graph.nodes()[i];
    if (std::none_of(node.outputs.begin(), node.outputs.end(), [&](const std::string& value) {
          return wanted.contains(value) && !given.contains(value);
        }))
      continue;
    nodes.push_back(i);
    for (const std::string& value : ReadsOf(graph, node)) wanted.insert(value);
  }
  std::reverse(nodes.begin(), nodes.end());
  return nodes;
}

graph::Model PartModel(const graph::Model& model, const Stretches::Part& part,
                       const std::vector<DType>& types) {
  graph::Model made;
  if (!model.functions.empty()) {
    made = graph::Clone(model);
    made.graph = std::make_shared<graph::Graph>();
  }
  made.ir_version = model.ir_version;
  made.opset_imports = model.opset_imports;
  for (size_t i = 0; i < part.inputs.size(); ++i)
    made.graph->inputs.push_back({.name = part.inputs[i], .dtype = types[i]});
  for (const std::string& output : part.outputs) made.graph->outputs.push_back({.name = output});
  for (size_t position : part.nodes) {
    const graph::Node& node = *model.graph->nodes()[position];
    made.graph->AddNode(node);
    std::vector<std::string> values = graph::OuterReads(node);
    values.insert(values.end(), node.inputs.begin(), node.inputs.end());
    for (const std::string& value : values)
      if (const Tensor* constant = model.graph->Constant(value))
        made.graph->SetInitializer(value, *constant);
  }
  return made;
}

}  // namespace roundel::walk
