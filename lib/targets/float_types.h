#pragma once
// Models in float16, bfloat16 and float64. Passes and exporters support only float32: they get such
// a model converted to float32, with a table of the types of its values in the file. Export
// restores these types (narrow.h).

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>

#include "lib/graph/graph.h"

namespace roundel::target {

// The floating type of values in the file. Empty: all are float32. Otherwise every float value of
// the model has an entry, and values that passes add have none.
using FloatTypes = std::unordered_map<std::string, DType>;

// The key of an entry for an input or output of the model with another type than the nodes that
// read or write it.
inline std::string InterfaceKey(const std::string& value) { return "\n" + value; }

// Converts the model to float32, in place and with the same names; removes Casts between floats.
// float64 only if layers have float64 weights. The result is empty, and nothing changes, for models
// that only store or round in another type, with observable types (sequences as inputs, numbers as
// texts), or with local functions.
FloatTypes WidenTypes(graph::Model* model);

// A model with restored types, converted to float32 again, for callers with float32 data.
graph::Model InFloat32(const graph::Model& written, const FloatTypes& types);

// The common type of all inputs and computed values; kUndefined if there are several. It is stored
// in the metadata under this key.
DType OnlyType(const graph::Model& model, const FloatTypes& types);
inline constexpr const char* kFloatTypeKey = "roundel.float_type";

// The name of a value in another type.
std::string NarrowName(const std::string& value, DType type);

// Bytes of all initializers in the written file.
int64_t NarrowBytes(const graph::Graph& graph, const FloatTypes& types);

// "float16", or "bfloat16 and float64"; "" for an empty table.
std::string TypesText(const FloatTypes& types);

}  // namespace roundel::target
