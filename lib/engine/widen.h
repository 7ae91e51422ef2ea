#pragma once
// Models of 16-bit floats: no kernel here computes in them, and rounding after every node would only lose
// what was just computed. In fast mode such a model runs in float32 from its inputs to its outputs, as in
// ONNX Runtime, with weights of the type, and results rounded to it; plain mode rounds after every node.

#include <optional>

#include "lib/graph/graph.h"

namespace roundel::engine {

inline bool IsHalf(DType type) { return type == DType::kFloat16 || type == DType::kBfloat16; }

// The model with float32 in place of float16 and bfloat16; nullopt if it has neither, or something in it
// (a text made from a number, a sequence that is fed) shows the type.
std::optional<graph::Model> Widened(const graph::Model& model);

}  // namespace roundel::engine
