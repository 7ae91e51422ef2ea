#pragma once
// Literals of graph text: numbers and tensor contents; private to text_parse.cpp.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::graph {

std::optional<int64_t> ParseInteger(const std::string& word);
std::optional<double> ParseDouble(const std::string& word);  // "inf" and "nan" too
std::optional<float> ParseFloat(const std::string& word);
std::optional<std::string> ParseHex(const std::string& digits);

// A tensor from one literal per element: numbers, or texts for strings.
Result<Tensor> TensorFromLiterals(DType type, const Shape& shape,
                                  const std::vector<std::string>& literals);
// A tensor with every element `value`.
Result<Tensor> FilledTensor(DType type, const Shape& shape, const std::string& value);
// Uniform in [low, high), reproducible; floating types only.
Result<Tensor> RandomTensor(DType type, const Shape& shape, uint64_t seed, double low, double high);
// The bytes as they are stored, for types that have no literals.
Result<Tensor> TensorFromBytes(DType type, const Shape& shape, const std::string& bytes);

}  // namespace roundel::graph
