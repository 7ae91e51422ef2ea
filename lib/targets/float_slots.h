#pragma once
// Which floating types the inputs and outputs of operators may have when a model's types change.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "lib/graph/graph.h"

namespace roundel::target {

enum class FloatSlot {
  kNode,     // of the one type that the node computes in
  kFloat32,  // float32 in whatever type the node computes
  kFree,     // any, and none follows from it
};

FloatSlot InputSlot(const graph::Node& node, size_t index, int64_t opset);
FloatSlot OutputSlot(const graph::Node& node, size_t index, int64_t opset);

// The operator has no floats but float32, in ONNX or in every runtime.
bool IsFloat32Only(const graph::Node& node, int64_t opset);
// Operators of ONNX and com.microsoft that may compute in 16 bits; false for those of other
// domains.
bool MayBeHalf(const graph::Node& node, int64_t opset);

// The attribute that says what type a node makes, of a node that makes floats; "" if it has none.
std::string TypeAttribute(const graph::Node& node);

}  // namespace roundel::target
