// MatMulNBits and GatherBlockQuantized of com.microsoft: weights of 2, 4 or 8 bits with one scale
// per block, which are dequantized when they are used.

#include "lib/ops/kernels/block_codes.h"
#include "lib/ops/kernels/block_products.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/inner_op.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/matrix_product.h"
#include "lib/ops/kernels/small_types.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// ---- MatMulNBits: y = a [..., K] * b^T, b [N, K] in blocks along K

struct NBitsSpec {
  int64_t n = 0, k = 0, block = 0, blocks = 0, row_bytes = 0;
  int bits = 4;
  const uint8_t* codes = nullptr;   // [N, blocks, bytes of a block]
  const float* scales = nullptr;    // [N, blocks]
  const uint8_t* packed = nullptr;  // zero points: packed by row, or
  const float* points = nullptr;    // floats [N, blocks], or the middle of the grid
  std::vector<int64_t> block_of;    // of each index along K

  float ZeroPoint(int64_t row, int64_t index) const {
    if (packed)
      return static_cast<float>(PackedCode(packed + row * PackedBytes(blocks, bits), index, bits));
    return points ? points[row * blocks + index] : static_cast<float>(1 << (bits - 1));
  }
};

Status ReadSizes(const OpContext& context, NBitsSpec* spec) {
  const graph::Node& node = context.node();
  const int64_t bits = node.Int("bits", 4);
  spec->n = node.Int("N", 0);
  spec->k = node.Int("K", 0);
  spec->block = node.Int("block_size", 0);
  constexpr int64_t kMax = int64_t{1} << 31;
  if (!IsCodeWidth(bits) || spec->n < 1 || spec->n > kMax || spec->k < 1 || spec->k > kMax ||
      spec->block < 16 || spec->block > kMax || (spec->block & (spec->block - 1)) != 0)
    return ModelError(StrCat("weights of ", spec->n, " x ", spec->k, " in blocks of ", spec->block,
                             " with ", bits, " bits"));
  spec->bits = static_cast<int>(bits);
  spec->blocks = (spec->k + spec->block - 1) / spec->block;
  spec->row_bytes = spec->blocks * PackedBytes(spec->block, bits);
  return OkStatus();
}

Status ReadZeroPoints(const OpContext& context, NBitsSpec* spec) {
  const Tensor* zero = context.input(3);
  if (zero == nullptr) return OkStatus();
  const bool packed = zero->dtype() == DType::kUint8;
  const int64_t wanted = spec->n * (packed ? PackedBytes(spec->blocks, spec->bits) : spec->blocks);
  if ((!packed && zero->dtype() != DType::kFloat) || zero->size() != wanted)
    return ModelError(StrCat("zero points ", DTypeName(zero->dtype()), ShapeString(zero->shape()),
                             " for ", spec->n, " rows of ", spec->blocks, " blocks"));
  if (packed)
    spec->packed = zero->data<uint8_t>();
  else
    spec->points = zero->data<float>();
  return OkStatus();
}

// The block of each index along K: in order, or by g_idx.
Status ReadGroups(const OpContext& context, NBitsSpec* spec) {
  std::vector<int64_t> groups;
  if (context.input(4)) {
    ASSIGN_OR_RETURN(groups, IntegerInput(context, 4));
    if (static_cast<int64_t>(groups.size()) < spec->k)
      return ModelError(StrCat("g_idx of ", groups.size(), " values for K = ", spec->k));
  }
  for (int64_t i = 0; i < spec->k; ++i) {
    const int64_t block = groups.empty() ? i / spec->block : groups[i];
    if (block < 0 || block >= spec->blocks)
      return ModelError(StrCat("g_idx ", block, " of ", spec->blocks, " blocks"));
    spec->block_of.push_back(block);
  }
  return OkStatus();
}

Result<NBitsSpec> ResolveNBits(const OpContext& context) {
  NBitsSpec spec;
  RETURN_IF_ERROR(ReadSizes(context, &spec));
  const Tensor &a = *context.input(0), &b = *context.input(1), &scales = *context.input(2);
  const Tensor* bias = context.input(5);
  // By division, because products of sizes from the model may overflow.
  const bool fits = b.dtype() == DType::kUint8 && b.size() % spec.n == 0 &&
                    b.size() / spec.n == spec.row_bytes && scales.size() % spec.n == 0 &&
                    scales.size() / spec.n == spec.blocks && a.rank() >= 1 && a.dim(-1) == spec.k &&
                    (!bias || bias->shape() == Shape{spec.n});
  if (!fits)
    return ModelError(StrCat("a ", ShapeString(a.shape()), ", b ", DTypeName(b.dtype()),
                             ShapeString(b.shape()), " and scales ", ShapeString(scales.shape()),
                             " do not fit ", spec.n, " x ", spec.k, " in blocks of ", spec.block));
  spec.codes = b.data<uint8_t>();
  spec.scales = scales.data<float>();
  RETURN_IF_ERROR(ReadZeroPoints(context, &spec));
  RETURN_IF_ERROR(ReadGroups(context, &spec));
  return spec;
}

// b as floats [K, N], in tiles of rows of b, so that writes are contiguous.
Result<Tensor> Dequantized(const NBitsSpec& spec) {
  RETURN_IF_ERROR(CheckSize(DType::kFloat, {spec.k, spec.n}));
  Tensor weights = Tensor::Empty(DType::kFloat, {spec.k, spec.n});
  float* to = weights.mutable_data<float>();
  constexpr int64_t kTile = 16;
  ParallelFor(spec.n, kTile, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < spec.k; ++i) {
      const int64_t block = spec.block_of[i];
      for (int64_t row = begin; row < end; ++row) {
        const auto code =
            static_cast<float>(PackedCode(spec.codes + row * spec.row_bytes, i, spec.bits));
        to[i * spec.n + row] =
            (code - spec.ZeroPoint(row, block)) * spec.scales[row * spec.blocks + block];
      }
    }
  });
  return weights;
}

Status MatMulNBits(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 2, 5}));
  if (context.node().Int("weight_prepacked", 0) != 0)
    return ModelError("MatMulNBits with prepacked weights is not supported");
  ASSIGN_OR_RETURN(const NBitsSpec spec, ResolveNBits(context));
  ASSIGN_OR_RETURN(const Tensor weights, Dequantized(spec));
  Tensor a = *context.input(0);
  if (const int64_t block = RoundedBlock(context.node(), spec.points, context.input(4))) {
    Tensor rounded = Tensor::Empty(DType::kFloat, a.shape());
    RoundBlocks(a.data<float>(), a.size() / spec.k, spec.k, block, rounded.mutable_data<float>());
    a = rounded;
  }
  Shape shape = a.shape();
  shape.back() = spec.n;
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, shape));
  float* to = y->mutable_data<float>();
  Multiply<float>(a.size() / spec.k, spec.k, spec.n, {a.data<float>(), spec.k, 1},
                  weights.data<float>(), to);
  if (const Tensor* bias = context.input(5))
    for (int64_t i = 0; i < y->size(); ++i) to[i] += bias->data<float>()[i % spec.n];
  return OkStatus();
}

// The constant inputs of a node, with an empty first one.
class WeightContext : public OpContext {
 public:
  WeightContext(const graph::Node& node, const std::vector<const Tensor*>& inputs)
      : node_(node), inputs_(inputs), a_(Tensor::Empty(DType::kFloat, {0, node.Int("K", 0)})) {}
  const graph::Node& node() const override { return node_; }
  int64_t opset() const override { return 1; }
  size_t input_count() const override { return inputs_.size(); }
  size_t output_count() const override { return 0; }
  const Tensor* input(size_t i) const override {
    return i == 0 ? &a_ : i < inputs_.size() ? inputs_[i] : nullptr;
  }
  bool wants(size_t) const override { return false; }
  Result<Tensor*> Output(size_t, DType, const Shape&) override {
    return InternalError("there are no outputs");
  }
  void SetOutput(size_t, Tensor) override {}

 private:
  const graph::Node& node_;
  const std::vector<const Tensor*>& inputs_;
  const Tensor a_;
};

}  // namespace

Result<Tensor> NBitsWeights(const graph::Node& node, const std::vector<const Tensor*>& inputs) {
  const WeightContext context(node, inputs);
  ASSIGN_OR_RETURN(const NBitsSpec spec, ResolveNBits(context));
  return Dequantized(spec);
}

Status CheckNBits(const graph::Node& node, const std::vector<const Tensor*>& inputs) {
  if (node.Int("K", 0) < 1 || node.Int("weight_prepacked", 0) != 0)
    return ModelError("MatMulNBits of a form that only the plain kernel knows");
  const WeightContext context(node, inputs);
  return ResolveNBits(context).status();
}

namespace {

// ---- GatherBlockQuantized: slices of data [.., quantize axis, ..] along `gather_axis`, as floats

struct BlockSpec {
  Tensor codes, zero_points;     // int8 or uint8; without zero points: `middle`
  int64_t gather = 0, axis = 0;  // axes
  int64_t block = 128, middle = 0;
};

// Unpacks bytes that hold several codes along the last axis into one code per element.
Result<Tensor> Unpacked(const Tensor& bytes, int bits, int64_t count) {
  Shape shape = bytes.shape();
  const int64_t row = shape.back();
  shape.back() = count;
  RETURN_IF_ERROR(CheckSize(DType::kUint8, shape));
  Tensor codes = Tensor::Empty(DType::kUint8, shape);
  const uint8_t* from = bytes.data<uint8_t>();
  uint8_t* to = codes.mutable_data<uint8_t>();
  for (int64_t line = 0; line < (count > 0 ? codes.size() / count : 0); ++line)
    for (int64_t i = 0; i < count; ++i)
      *to++ = static_cast<uint8_t>(PackedCode(from + line * row, i, bits));
  return codes;
}

// uint8 data holds codes of `bits` bits along its last axis, which then is the quantized axis.
Status ReadPacked(const OpContext& context, int bits, BlockSpec* spec) {
  const Tensor &data = *context.input(0), &scales = *context.input(2);
  const Tensor* zero = context.input(3);
  if (spec->axis != data.rank() - 1 || scales.rank() != data.rank() ||
      data.dim(-1) > kMaxTensorBytes)
    return ModelError(StrCat("packed data ", ShapeString(data.shape()), " with scales ",
                             ShapeString(scales.shape()), " along axis ", spec->axis));
  ASSIGN_OR_RETURN(spec->codes, Unpacked(data, bits, data.dim(-1) * (8 / bits)));
  spec->middle = int64_t{1} << (bits - 1);
  if (zero == nullptr) return OkStatus();
  if (zero->dtype() != DType::kUint8 || zero->rank() != scales.rank() ||
      zero->dim(-1) != PackedBytes(scales.dim(-1), bits))
    return ModelError(StrCat("zero points ", DTypeName(zero->dtype()), ShapeString(zero->shape()),
                             " for scales ", ShapeString(scales.shape())));
  ASSIGN_OR_RETURN(spec->zero_points, Unpacked(*zero, bits, scales.dim(-1)));
  return OkStatus();
}

Status ReadCodes(const OpContext& context, BlockSpec* spec) {
  const Tensor& data = *context.input(0);
  const int64_t bits = context.node().Int("bits", 4);
  if (data.dtype() == DType::kUint8) {
    if (!IsCodeWidth(bits)) return ModelError(StrCat("codes of ", bits, " bits"));
    return ReadPacked(context, static_cast<int>(bits), spec);
  }
  if (data.dtype() != DType::kInt4 && data.dtype() != DType::kUint4)
    return ModelError(StrCat("data of type ", DTypeName(data.dtype()), " is not supported"));
  ASSIGN_OR_RETURN(spec->codes, ToWholeBytes(data));
  const Tensor* zero = context.input(3);
  if (zero == nullptr) return OkStatus();
  if (zero->dtype() != data.dtype())
    return ModelError(StrCat("zero points of type ", DTypeName(zero->dtype())));
  ASSIGN_OR_RETURN(spec->zero_points, ToWholeBytes(*zero));
  return OkStatus();
}

Result<BlockSpec> ResolveBlocks(const OpContext& context) {
  const graph::Node& node = context.node();
  const Tensor &data = *context.input(0), &scales = *context.input(2);
  BlockSpec spec;
  ASSIGN_OR_RETURN(spec.gather, NormalAxis(node.Int("gather_axis", 0), data.rank()));
  ASSIGN_OR_RETURN(spec.axis, NormalAxis(node.Int("quantize_axis", 1), data.rank()));
  spec.block = node.Int("block_size", 128);
  if (spec.block < 1) return ModelError(StrCat("blocks of ", spec.block));
  RETURN_IF_ERROR(ReadCodes(context, &spec));
  Shape blocks = spec.codes.shape();
  int64_t& dim = blocks[spec.axis];
  dim = dim == 0 ? 0 : (dim - 1) / spec.block + 1;
  if (scales.shape() != blocks ||
      (spec.zero_points.defined() && spec.zero_points.shape() != blocks))
    return ModelError(StrCat("scales ", ShapeString(scales.shape()), " of data ",
                             ShapeString(spec.codes.shape()), " in blocks of ", spec.block,
                             " along axis ", spec.axis));
  return spec;
}

// The data as floats.
Tensor BlocksToFloat(const BlockSpec& spec, const Tensor& scales) {
  const Shape& shape = spec.codes.shape();
  Tensor values = spec.codes.ToFloat();
  const Tensor points = spec.zero_points.defined() ? spec.zero_points.ToFloat() : Tensor();
  const int64_t inner = Product(shape, spec.axis + 1, spec.codes.rank()), dim = shape[spec.axis];
  const int64_t blocks = scales.dim(spec.axis);
  float* to = values.mutable_data<float>();
  const auto middle = static_cast<float>(spec.middle);
  ParallelFor(values.size(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t line = i / inner / dim, block = i / inner % dim / spec.block;
      const int64_t p = (line * blocks + block) * inner + i % inner;
      to[i] =
          (to[i] - (points.defined() ? points.data<float>()[p] : middle)) * scales.data<float>()[p];
    }
  });
  return values;
}

// The node that engine/round_inputs.h inserts into a plan: activations rounded in blocks, as
// floats.
Status RoundInBlocks(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  const int64_t block = context.node().Int("block_size", 0);
  if (x.rank() < 1 || block < 1)
    return ModelError(StrCat("blocks of ", block, " for values of shape ", ShapeString(x.shape())));
  if (x.rank() == 2 && context.node().Int("matrices", 1) == 0) {
    context.SetOutput(0, x);
    return OkStatus();
  }
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  if (x.size() > 0)
    RoundBlocks(x.data<float>(), x.size() / x.dim(-1), x.dim(-1), block, y->mutable_data<float>());
  return OkStatus();
}

Status GatherBlockQuantized(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {2}));
  ASSIGN_OR_RETURN(const BlockSpec spec, ResolveBlocks(context));
  ASSIGN_OR_RETURN(const Tensor values,
                   RunInnerOp("Gather", {BlocksToFloat(spec, *context.input(2)), *context.input(1)},
                              WithAttributes({{"axis", spec.gather}})));
  context.SetOutput(0, values);
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> BlockQuantizedRows() {
  return {
      {"GatherBlockQuantized", "com.microsoft", 1, kLatest, &ViaFloat<&GatherBlockQuantized>},
      {"MatMulNBits", "com.microsoft", 1, kLatest, &ViaFloat<&MatMulNBits>},
      {"RoundBlocks", "roundel", 1, kLatest, &ViaFloat<&RoundInBlocks>},
  };
}

}  // namespace roundel::engine
