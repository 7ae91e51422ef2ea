#pragma once
// Models in float16, bfloat16 and float64. Passes and exporters know float32 only: such a model is
// the same one in float32 while they work on it, with a note of the types that its values have
// outside, and gets them back when it is written (narrow.h).

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>

#include "lib/graph/graph.h"

namespace roundel::target {

// The floating type that values have in the file. Empty: all are float32. Else every float value of
// the model has an entry, and what passes add has none.
using FloatTypes = std::unordered_map<std::string, DType>;

// An entry under this key says that an input or output of the model has another type than what the
// model computes around it.
inline std::string InterfaceKey(const std::string& value) { return "\n" + value; }

// The model in float32, in place, under the same names; Casts between floats are left out. float64
// only where layers have weights of it. The result is empty, and nothing changes, for models that
// only store or round in another type, that show it (sequences as inputs, numbers as texts), or
// that have local functions.
FloatTypes WidenTypes(graph::Model* model);

// A model that has been given the types back, in float32 again: for whoever has data in float32.
graph::Model InFloat32(const graph::Model& written, const FloatTypes& types);

// The type that all that the model takes and computes has; kUndefined if there are several. A file
// keeps it under this key of its metadata.
DType OnlyType(const graph::Model& model, const FloatTypes& types);
inline constexpr const char* kFloatTypeKey = "roundel.float_type";

// The name of a value in another type.
std::string NarrowName(const std::string& value, DType type);

// Bytes of all initializers as they will be written.
int64_t NarrowBytes(const graph::Graph& graph, const FloatTypes& types);

// "float16", or "bfloat16 and float64"; "" for an empty table.
std::string TypesText(const FloatTypes& types);

}  // namespace roundel::target
