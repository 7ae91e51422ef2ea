// MatMulBnb4 of com.microsoft: weights in the 4-bit floats of the bitsandbytes library.
//
// y = a [..., K] * b^T. The codes of b [N, K] are one list, two per byte with the first in the high
// bits. Every block_size codes share a scale, across rows. A code is an index into a table of
// values in [-1, 1] (quant_type 0: FP4, 1: NF4, the quantiles of a normal distribution; Dettmers et
// al., "QLoRA", appendix E).

#include <array>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/matrix_product.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

using Table = std::array<float, 16>;

// Sign, two exponent bits, one mantissa bit, divided by the largest value, 12; the smallest step is
// 1/16.
constexpr Table kFp4 = {0.0f,       0.0625f / 12, 8.0f / 12,  1.0f,          4.0f / 12,  0.5f,
                        2.0f / 12,  0.25f,        -0.0f,      -0.0625f / 12, -8.0f / 12, -1.0f,
                        -4.0f / 12, -0.5f,        -2.0f / 12, -0.25f};
constexpr Table kNf4 = {-1.0f,
                        -0.6961928009986877f,
                        -0.5250730514526367f,
                        -0.39491748809814453f,
                        -0.28444138169288635f,
                        -0.18477343022823334f,
                        -0.09105003625154495f,
                        0.0f,
                        0.07958029955625534f,
                        0.16093020141124725f,
                        0.24611230194568634f,
                        0.33791524171829224f,
                        0.44070982933044434f,
                        0.5626170039176941f,
                        0.7229568362236023f,
                        1.0f};

struct Bnb4Spec {
  int64_t n = 0, k = 0, block = 0;
  const Table* table = &kFp4;
};

Result<Bnb4Spec> ResolveBnb4(const OpContext& context) {
  const graph::Node& node = context.node();
  Bnb4Spec spec{node.Int("N", 0), node.Int("K", 0), node.Int("block_size", 0)};
  const int64_t type = node.Int("quant_type", -1);
  constexpr int64_t kMax = int64_t{1} << 31;
  if (spec.n < 1 || spec.n > kMax || spec.k < 1 || spec.k > kMax || spec.block < 2 ||
      spec.block > kMax || spec.block % 2 != 0 || (type != 0 && type != 1))
    return ModelError(StrCat("weights of ", spec.n, " x ", spec.k, " in blocks of ", spec.block,
                             " of quant_type ", type));
  if (node.Int("transB", 1) == 0) return ModelError("MatMulBnb4 with transB=0 is not supported");
  RETURN_IF_ERROR(CheckSize(DType::kFloat, {spec.k, spec.n}));
  if (type == 1) spec.table = &kNf4;
  const Tensor &a = *context.input(0), &b = *context.input(1), &scales = *context.input(2);
  const int64_t count = spec.n * spec.k;
  if (b.dtype() != DType::kUint8 || b.size() != (count + 1) / 2 ||
      scales.size() != (count - 1) / spec.block + 1 || a.rank() < 1 || a.dim(-1) != spec.k)
    return ModelError(StrCat("a ", ShapeString(a.shape()), ", b ", DTypeName(b.dtype()),
                             ShapeString(b.shape()), " and scales ", ShapeString(scales.shape()),
                             " do not fit ", spec.n, " x ", spec.k, " in blocks of ", spec.block));
  return spec;
}

// b as floats [K, N].
Tensor Dequantized(const Bnb4Spec& spec, const uint8_t* codes, const float* scales) {
  Tensor weights = Tensor::Empty(DType::kFloat, {spec.k, spec.n});
  float* to = weights.mutable_data<float>();
  ParallelFor(spec.n, RowGrain(spec.k), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t column = 0; column < spec.k; ++column) {
        const int64_t i = row * spec.k + column;
        const int code = i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15;
        to[column * spec.n + row] =
            (*spec.table)[static_cast<size_t>(code)] * scales[i / spec.block];
      }
  });
  return weights;
}

Status MatMulBnb4(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 2}));
  ASSIGN_OR_RETURN(const Bnb4Spec spec, ResolveBnb4(context));
  const Tensor& a = *context.input(0);
  const Tensor weights =
      Dequantized(spec, context.input(1)->data<uint8_t>(), context.input(2)->data<float>());
  Shape shape = a.shape();
  shape.back() = spec.n;
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, shape));
  Multiply<float>(a.size() / spec.k, spec.k, spec.n, {a.data<float>(), spec.k, 1},
                  weights.data<float>(), y->mutable_data<float>());
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> Bnb4Rows() {
  return {
      {"MatMulBnb4", "com.microsoft", 1, kLatest, &ViaFloat<&MatMulBnb4>},
  };
}

}  // namespace roundel::engine
