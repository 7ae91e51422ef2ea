#pragma once
// The same model with float32 in place of other floating types: what computes in float32 reads such
// a model without knowing of them.

#include <optional>

#include "lib/graph/graph.h"

namespace roundel::graph {

inline bool IsHalf(DType type) { return type == DType::kFloat16 || type == DType::kBfloat16; }

struct TypeFindings {
  bool found = false;  // there are tensors of the types
  bool visible =
      false;  // and something shows that they are: a text made of a number, a sequence fed
};
// `which`: the types looked for.
TypeFindings FindTypes(const Model& model, bool (*which)(DType));

// Declarations, constants and attributes that name one of the types get float32, functions
// included. Numbers beyond float32 become its largest.
void Widen(Model* model, bool (*which)(DType));

// Of models of 16-bit floats: no kernel here computes in them, and rounding after every node would
// only lose what was just computed. In fast mode the engine runs them in float32 from their inputs
// to their outputs, as ONNX Runtime does, with weights of the type, and results rounded to it;
// plain mode rounds after every node. nullopt if there are none, or they are visible.
std::optional<Model> WidenedHalves(const Model& model);

}  // namespace roundel::graph
