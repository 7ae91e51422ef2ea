#pragma once
// The floating types that inputs and outputs of operators may have.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "lib/graph/graph.h"

namespace roundel::target {

enum class FloatSlot {
  kNode,     // the type in which the node computes
  kFloat32,  // float32, for any type of the node
  kFree,     // any type, without effect on the node
};

FloatSlot InputSlot(const graph::Node& node, size_t index, int64_t opset);
FloatSlot OutputSlot(const graph::Node& node, size_t index, int64_t opset);

// True if the operator supports only float32, in ONNX or in every runtime.
bool IsFloat32Only(const graph::Node& node, int64_t opset);
// Operators of ONNX and com.microsoft that may compute in 16 bits; false for those of other
// domains.
bool MayBeHalf(const graph::Node& node, int64_t opset);

// The attribute with the output type of a node that produces floats; "" if it has none.
std::string TypeAttribute(const graph::Node& node);

}  // namespace roundel::target
