#pragma once
// Conversion of a model to float32: code that computes in float32 need not support other float
// types.

#include <optional>

#include "lib/graph/graph.h"

namespace roundel::graph {

inline bool IsHalf(DType type) { return type == DType::kFloat16 || type == DType::kBfloat16; }

struct TypeFindings {
  bool found = false;  // there are tensors of the types
  bool visible =
      false;  // and their type is observable: numbers converted to text, sequences as inputs
};
// `which`: selects the types to find.
TypeFindings FindTypes(const Model& model, bool (*which)(DType));

// Changes declarations, constants and attributes of these types to float32, also in functions.
// Numbers beyond float32 saturate.
void Widen(Model* model, bool (*which)(DType));

// For models of 16-bit floats, which no kernel computes in. In fast mode the engine runs them in
// float32 from inputs to outputs, as ONNX Runtime does: weights are 16-bit numbers and results are
// rounded to the type, without a rounding after every node. Plain mode rounds after every node.
// nullopt if there are no such floats, or if they are visible.
std::optional<Model> WidenedHalves(const Model& model);

}  // namespace roundel::graph
