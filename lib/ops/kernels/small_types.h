#pragma once
// Element types of 8 bits and fewer that no kernel computes in: float8, float4, int4, int2. Inputs
// are widened and results narrowed.

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

// float8*, float4, (u)int4, (u)int2.
bool IsSmallType(DType type);

// Small floats as float32, packed integers as int8 or uint8, other types unchanged. kModel for
// types that are not numeric.
Result<Tensor> ToWholeBytes(const Tensor& x);

// Attributes of Cast.
struct CastRules {
  // Values beyond the range of a float8 become its largest value instead of NaN or infinity.
  bool saturate = true;
  // For float8e8m0 only; the others round half to even.
  enum { kUp, kDown, kNearest } rounding = kUp;
};

// float32 values -> small float, int64 values -> packed integer (the low bits, as C converts).
Result<Tensor> FromWholeBytes(const Tensor& values, DType type, const CastRules& rules);

// Converts any type to any type as ONNX Cast defines it.
Result<Tensor> CastTensor(const Tensor& x, DType type, const CastRules& rules);

}  // namespace roundel::engine
