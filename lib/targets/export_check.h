#pragma once
// What must hold before a table of encodings is written as QDQ, and the opset that this needs.

#include <string>

#include "lib/targets/qdq.h"

namespace roundel::target {

// Whether the codes of the grid are all codes of its storage type.
bool FillsStorage(const quant::Grid& grid);

// Whether scales are written as float8e8m0: the target reads it and all scales are powers of two.
bool HasPowerScales(const quant::Encoding& e, const QdqOptions& options);

// The type of a value's codes. It is wider than the grid needs if `least_bits` says so. 2-bit
// weights of layers with quantized activations have 4 bits: runtimes use integer kernels for such
// layers, which do not have 2-bit types.
DType StorageType(const graph::Graph& g, const quant::EncodingTable& table,
                  const std::string& value, const quant::Encoding& e, int least_bits);

struct TypeChoice {
  bool contrib = false;  // Q and DQ are those of com.microsoft
  int least_bits = 2;    // of stored codes
};
// Raises the opset of `model` as far as `table` needs it. Where the model cannot be raised to 2-bit
// types, wider types hold the codes. Errors: no choice of types works.
Result<TypeChoice> RaiseForTable(const quant::EncodingTable& table, const QdqOptions& options,
                                 graph::Model* model);

}  // namespace roundel::target
