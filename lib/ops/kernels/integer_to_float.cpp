// Products of 8-bit codes with float or requantized results: MatMulIntegerToFloat,
// DynamicQuantizeMatMul, QGemm and DynamicQuantizeLSTM of com.microsoft.

#include "lib/ops/kernels/broadcast.h"
#include "lib/ops/kernels/codes_math.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/inner_op.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/recurrent.h"

namespace roundel::engine {
namespace {

// The product of codes as output 0.
Status SetScaledSums(OpContext& context, const ExactProduct& product, float a_scale,
                     const Tensor& b_scale, const Tensor* bias, int64_t columns) {
  ASSIGN_OR_RETURN(Tensor y, ScaledSums(product, a_scale, b_scale, bias, columns));
  context.SetOutput(0, std::move(y));
  return OkStatus();
}

// Inputs: a, b, a_scale, b_scale, a_zero_point, b_zero_point, bias.
Status MatMulIntegerToFloat(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 4));
  ASSIGN_OR_RETURN(const float a_scale, FloatScalar(context, 2));
  ASSIGN_OR_RETURN(const ExactProduct product, MultiplyCodes(context, 0, 4, 1, 5));
  return SetScaledSums(context, product, a_scale, *context.input(3), context.input(6),
                       context.input(1)->dim(-1));
}

// An OpContext whose inputs are not those of the node.
class ReplacedInputs : public OpContext {
 public:
  ReplacedInputs(OpContext& real, std::vector<Tensor> inputs)
      : real_(real), inputs_(std::move(inputs)) {}
  const graph::Node& node() const override { return real_.node(); }
  int64_t opset() const override { return real_.opset(); }
  size_t input_count() const override { return inputs_.size(); }
  size_t output_count() const override { return real_.output_count(); }
  const Tensor* input(size_t i) const override {
    return i < inputs_.size() && inputs_[i].defined() ? &inputs_[i] : nullptr;
  }
  bool wants(size_t i) const override { return real_.wants(i); }
  Result<Tensor*> Output(size_t i, DType type, const Shape& shape) override {
    return real_.Output(i, type, shape);
  }
  void SetOutput(size_t i, Tensor value) override { real_.SetOutput(i, std::move(value)); }

 private:
  OpContext& real_;
  std::vector<Tensor> inputs_;
};

// Inputs: a (float, quantized by its own range), b, b_scale, b_zero_point, bias.
Status DynamicQuantizeMatMul(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  ASSIGN_OR_RETURN(const std::vector<Tensor> a,
                   RunInner("DynamicQuantizeLinear", {*context.input(0)}, {}, 3));
  ReplacedInputs integers(context, {a[0], *context.input(1), a[1], *context.input(2), a[2],
                                    InputOrNone(context, 3), InputOrNone(context, 4)});
  return MatMulIntegerToFloat(integers);
}

// ---- QGemm: inputs a, a_scale, a_zero_point, b, b_scale, b_zero_point, c, y_scale, y_zero_point

Result<Tensor> MaybeTransposed(const Tensor& x, bool transpose) {
  if (x.rank() != 2) return ModelError(StrCat("matrix of shape ", ShapeString(x.shape())));
  if (!transpose) return x;
  return RunInnerOp("Transpose", {x});
}

// Adds c, int32 and broadcast, to the sums.
Status AddIntegers(const Tensor& c, ExactProduct* product) {
  ASSIGN_OR_RETURN(const Broadcast plan, PlanBroadcast({product->shape, c.shape()}));
  if (c.dtype() != DType::kInt32 || plan.shape != product->shape)
    return ModelError(StrCat("summand ", DTypeName(c.dtype()), ShapeString(c.shape()),
                             " of a product ", ShapeString(product->shape)));
  double* sums = product->sums.mutable_data<double>();
  const int32_t* from = c.data<int32_t>();
  ForEachRun(plan, [&](int64_t at, const int64_t* in, int64_t n) {
    for (int64_t i = 0; i < n; ++i) sums[at + i] += from[in[1] + i * plan.step(1)];
  });
  return OkStatus();
}

Status QGemm(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 6));
  const graph::Node& node = context.node();
  ASSIGN_OR_RETURN(const Tensor a, MaybeTransposed(*context.input(0), node.Int("transA", 0) != 0));
  ASSIGN_OR_RETURN(const Tensor b, MaybeTransposed(*context.input(3), node.Int("transB", 0) != 0));
  ASSIGN_OR_RETURN(const float a_scale, FloatScalar(context, 1));
  const float scale = node.Float("alpha", 1) * a_scale;
  const int64_t columns = b.dim(1);
  ReplacedInputs operands(context,
                          {a, *context.input(2), b, *context.input(5), Tensor::Scalar(scale),
                           *context.input(4), InputOrNone(context, 7), InputOrNone(context, 8)});
  ASSIGN_OR_RETURN(ExactProduct product, MultiplyCodes(operands, 0, 1, 2, 3));
  if (context.input(6)) RETURN_IF_ERROR(AddIntegers(*context.input(6), &product));
  if (!context.input(7))
    return SetScaledSums(context, product, scale, *context.input(4), nullptr, columns);
  RETURN_IF_ERROR(RequireInputs(context, 6));
  if (!context.input(8)) return ModelError("QGemm with y_scale but without y_zero_point");
  ASSIGN_OR_RETURN(const CodeWriter writer, ResolveWriter(operands, 4, 5, 6, 7, columns));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, writer.type, product.shape));
  for (int64_t i = 0; i < y->size(); ++i)
    writer.Store(product.sums.data<double>()[i], i % columns, y->mutable_raw(), i);
  return OkStatus();
}

// ---- DynamicQuantizeLSTM: W [directions, inputs, 4 * hidden] and R as codes, transposed

// The codes minus their zero points in LSTM's layout of weights, and their scales [directions, 4 *
// hidden].
Result<Tensor> LstmCodes(const OpContext& context, size_t weights, size_t scale,
                         std::vector<float>* scales) {
  const Tensor& codes = *context.input(weights);
  const Tensor *given = context.input(scale), *zero = context.input(scale + 1);
  RETURN_IF_ERROR(RequireCodes(codes, "a weight"));
  if (codes.rank() != 3 || !given || given->dtype() != DType::kFloat ||
      (zero && (zero->dtype() != codes.dtype() || zero->size() != given->size())))
    return ModelError(StrCat("weights ", ShapeString(codes.shape()), " or their scales"));
  const int64_t directions = codes.dim(0), rows = codes.dim(1), columns = codes.dim(2);
  const bool per_column = given->size() == directions * columns;
  if (!per_column && given->size() != directions)
    return ModelError(
        StrCat("scales ", ShapeString(given->shape()), " of weights ", ShapeString(codes.shape())));
  for (int64_t i = 0; i < directions * columns; ++i)
    scales->push_back(given->data<float>()[per_column ? i : i / columns]);
  Tensor values = codes.ToFloat();
  const Tensor points = zero ? zero->ToFloat() : Tensor();
  float* to = values.mutable_data<float>();
  for (int64_t i = 0; zero && i < values.size(); ++i) {
    const int64_t direction = i / columns / rows;
    to[i] -= points.data<float>()[per_column ? direction * columns + i % columns : direction];
  }
  return RunInnerOp("Transpose", {values},
                    WithAttributes({{"perm", std::vector<int64_t>{0, 2, 1}}}));
}

// Inputs: X, W, R, B, lengths, initial h and c, P, then scale and zero point of W and of R.
Status DynamicQuantizeLstm(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  GateScales scales;
  ASSIGN_OR_RETURN(const Tensor w, LstmCodes(context, 1, 8, &scales.w));
  ASSIGN_OR_RETURN(const Tensor r, LstmCodes(context, 2, 10, &scales.r));
  std::vector<Tensor> inputs = {*context.input(0), w, r};
  for (size_t i = 3; i < 8; ++i) inputs.push_back(InputOrNone(context, i));
  ReplacedInputs floats(context, std::move(inputs));
  return LstmOfCodes(floats, scales);
}

}  // namespace

std::vector<OpEntry> IntegerToFloatRows() {
  constexpr const char* kContrib = "com.microsoft";
  return {
      {"DynamicQuantizeLSTM", kContrib, 1, kLatest, &DynamicQuantizeLstm},
      {"DynamicQuantizeMatMul", kContrib, 1, kLatest, &DynamicQuantizeMatMul},
      {"MatMulIntegerToFloat", kContrib, 1, kLatest, &MatMulIntegerToFloat},
      {"QGemm", kContrib, 1, kLatest, &QGemm},
  };
}

}  // namespace roundel::engine
