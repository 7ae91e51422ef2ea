#pragma once
// Element types of 8 bits and less that nothing computes in: float8, float4, int4, int2. They are
// widened on the way in and narrowed on the way out.

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

// float8*, float4, (u)int4, (u)int2.
bool IsSmallType(DType type);

// Small floats as float32, packed integers as int8 or uint8, everything else as it is. kModel for
// types that are not numbers.
Result<Tensor> ToWholeBytes(const Tensor& x);

// Attributes of Cast.
struct CastRules {
  // What exceeds a float8's range becomes its largest value instead of NaN or infinity.
  bool saturate = true;
  // Of float8e8m0 alone; the others round half to even.
  enum { kUp, kDown, kNearest } rounding = kUp;
};

// float32 values -> small float, int64 values -> packed integer (the low bits, as C converts).
Result<Tensor> FromWholeBytes(const Tensor& values, DType type, const CastRules& rules);

// Any type to any type as ONNX Cast defines it.
Result<Tensor> CastTensor(const Tensor& x, DType type, const CastRules& rules);

}  // namespace roundel::engine
