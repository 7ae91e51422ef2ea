#pragma once
// One graph of few operators with random inputs: what ONNX Runtime is compared on (tests/e2e), and
// what hostile calls start from (tests/lib/engine).

#include <string>
#include <vector>

#include "lib/base/random.h"
#include "lib/graph/graph.h"
#include "lib/graph/text.h"

namespace roundel {

struct OpCase {
  const char* name;
  // Text form (lib/graph/text.h). Inputs get random values of their type; so do initializers of
  // `zeros` whose type is an integer of at most 8 bits.
  std::string text;
  double tolerance = 1e-5;  // of floats: relative to the largest value, or to 1
  int64_t steps = 0;        // codes may differ by as many ...
  double share = 0;         // ... on this share of the elements at most
};

struct OpGraph {
  graph::Model model;
  std::vector<Tensor> inputs;  // of model.graph->inputs
};

// Normal floats, any other bits.
inline Tensor RandomValues(DType type, const Shape& shape, Random& random) {
  if (IsFloating(type) && BitWidth(type) >= 16) {
    Tensor values = Tensor::Empty(DType::kFloat, shape);
    for (int64_t i = 0; i < values.size(); ++i)
      values.mutable_data<float>()[i] = static_cast<float>(random.Normal());
    return values.FromFloatTo(type);
  }
  Tensor values = Tensor::Zeros(type, shape);
  auto* bytes = static_cast<uint8_t*>(values.mutable_raw());
  for (int64_t i = 0; i < values.byte_size(); ++i)
    bytes[i] = static_cast<uint8_t>(random.Below(type == DType::kBool ? 2 : 256));
  const int64_t used = values.size() * BitWidth(type) % 8;  // of the last byte; the rest stays zero
  if (used != 0) bytes[values.byte_size() - 1] &= static_cast<uint8_t>((1 << used) - 1);
  return values;
}

inline Result<OpGraph> MakeOpGraph(const OpCase& test) {
  ASSIGN_OR_RETURN(graph::Model model, graph::Parse(test.text));
  OpGraph result{std::move(model), {}};
  graph::Graph& graph = *result.model.graph;
  Random random(17);
  std::vector<std::pair<std::string, Tensor>> filled;
  for (const graph::Initializer& initializer : graph.initializers()) {
    const Tensor& value = initializer.value;
    if (IsInteger(value.dtype()) && BitWidth(value.dtype()) <= 8 && value.size() > 1 &&
        value == Tensor::Zeros(value.dtype(), value.shape()))
      filled.emplace_back(initializer.name, RandomValues(value.dtype(), value.shape(), random));
  }
  for (auto& [name, value] : filled) graph.SetInitializer(name, std::move(value));
  for (const graph::ValueInfo& input : graph.inputs) {
    Shape shape;
    for (const graph::Dim& dim : *input.shape) shape.push_back(*dim.value);
    result.inputs.push_back(RandomValues(input.dtype, shape, random));
  }
  return result;
}

}  // namespace roundel
