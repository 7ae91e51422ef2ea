#include "lib/targets/restore_clamps.h"

#include <set>

namespace roundel::target {
namespace {

using quant::Encoding;

// Operators whose results usually have both signs: if none is negative, there was a Relu.
bool IsUnbounded(const graph::Node& node) {
  static const std::set<std::string> kOps = {
      "Add", "BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul", "Mul", "Sub"};
  return node.domain.empty() && kOps.contains(node.op_type);
}

bool BeginsAtZero(const Encoding& e) {
  return e.role == quant::Role::kActivation && e.granularity == quant::Granularity::kTensor &&
         e.grid.is_plain() && !e.grid.symmetric && e.params.at(0).zero_point == e.grid.qmin();
}

}  // namespace

int64_t RestoreClamps(const quant::EncodingTable& encodings, graph::Model* model) {
  graph::Graph& graph = *model->graph;
  int64_t restored = 0;
  for (const auto& [value, e] : encodings) {
    graph::Node* producer = BeginsAtZero(e) ? graph.Producer(value) : nullptr;
    const graph::Node* reader = graph.OnlyConsumer(value);
    const bool clamped = reader && (reader->op_type == "Relu" || reader->op_type == "Clip");
    if (!producer || !IsUnbounded(*producer) || clamped) continue;
    const std::string before = graph.FreshName(value + "_unclamped");
    const float high = quant::Dequantize(e.grid.qmax(), e.params[0]);
    graph::Node clip{.name = graph.FreshName(value + "_Clip"), .op_type = "Clip"};
    clip.inputs = {before};
    clip.outputs = {value};
    if (model->Opset() < 11) {
      clip.SetAttribute("min", 0.0f);
      clip.SetAttribute("max", high);
    } else {
      for (const auto& [suffix, bound] : {std::pair{"_min", 0.0f}, {"_max", high}}) {
        clip.inputs.push_back(graph.FreshName(value + suffix));
        graph.SetInitializer(clip.inputs.back(), Tensor::Scalar(bound));
      }
    }
    for (size_t i = 0; i < producer->outputs.size(); ++i)
      if (producer->outputs[i] == value) graph.SetOutput(producer, i, before);
    graph.InsertAfter(producer, std::move(clip));
    ++restored;
  }
  return restored;
}

}  // namespace roundel::target
