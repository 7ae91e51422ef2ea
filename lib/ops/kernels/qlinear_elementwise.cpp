// Operators of com.microsoft that map codes to codes element-wise: QLinearAdd, QLinearMul,
// QLinearSigmoid, QLinearLeakyRelu, QLinearConcat, QLinearWhere.

#include <array>
#include <cmath>
#include <cstring>

#include "lib/ops/kernels/binary_codes.h"
#include "lib/ops/kernels/broadcast.h"
#include "lib/ops/kernels/codes_math.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/inner_op.h"
#include "lib/ops/kernels/kernels.h"

namespace roundel::engine {
namespace {

// Maps the byte of a code to the byte of a code.
using Table = std::array<uint8_t, 256>;

// codes[i] of `type` as a number.
inline int32_t CodeAt(const uint8_t* codes, int64_t i, DType type) {
  return type == DType::kInt8 ? static_cast<int8_t>(codes[i]) : codes[i];
}

// quantize(f(dequantize(code))) for every code.
template <typename F>
Table BuildTable(DType type, quant::QParams from, quant::QParams to, const F& f) {
  const quant::Grid grid = GridOf(type);
  Table table;
  for (int byte = 0; byte < 256; ++byte) {
    const auto code = static_cast<uint8_t>(byte);
    const float value = f(quant::Dequantize(CodeAt(&code, 0, type), from));
    table[code] = static_cast<uint8_t>(quant::Quantize(value, to, grid.qmin(), grid.qmax()));
  }
  return table;
}

void MapBytes(const Table& table, const void* from, int64_t n, void* to) {
  const auto* source = static_cast<const uint8_t*>(from);
  auto* target = static_cast<uint8_t*>(to);
  for (int64_t i = 0; i < n; ++i) target[i] = table[source[i]];
}

// ---- one operand: x, x_scale, x_zero_point, y_scale, y_zero_point

template <typename F>
Status MapCodes(OpContext& context, const F& f) {
  if (!context.input(0) || !context.input(1) || !context.input(3))
    return ModelError("the codes or a scale are missing");
  const Tensor& x = *context.input(0);
  RETURN_IF_ERROR(RequireCodes(x, "x"));
  ASSIGN_OR_RETURN(const quant::QParams from, TensorParams(context, 1, x.dtype()));
  ASSIGN_OR_RETURN(const quant::QParams to, TensorParams(context, 3, x.dtype()));
  const Table table = BuildTable(x.dtype(), from, to, f);
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), x.shape()));
  MapBytes(table, x.raw(), x.size(), y->mutable_raw());
  return OkStatus();
}

Status QLinearSigmoid(OpContext& context) {
  return MapCodes(context, [](float x) { return 1.0f / (1.0f + std::exp(-x)); });
}

Status QLinearLeakyRelu(OpContext& context) {
  return MapCodes(context, [alpha = context.node().Float("alpha", 0.01f)](float x) {
    return x >= 0 ? x : alpha * x;
  });
}

// ---- two operands: a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point

struct Operands {
  DType type = DType::kUint8;
  quant::QParams a, b, y;
  Broadcast plan;
  const uint8_t *codes_a = nullptr, *codes_b = nullptr;
  uint8_t* codes_y = nullptr;
};

Result<Operands> ReadOperands(OpContext& context) {
  for (size_t i : {0, 1, 3, 4, 6})
    if (context.input(i) == nullptr) return ModelError(StrCat("input ", i, " is missing"));
  const Tensor &a = *context.input(0), &b = *context.input(3);
  RETURN_IF_ERROR(RequireCodes(a, "the first operand"));
  if (a.dtype() != b.dtype()) return ModelError("operands of different types");
  Operands x;
  x.type = a.dtype();
  ASSIGN_OR_RETURN(x.a, TensorParams(context, 1, x.type));
  ASSIGN_OR_RETURN(x.b, TensorParams(context, 4, x.type));
  ASSIGN_OR_RETURN(x.y, TensorParams(context, 6, x.type));
  ASSIGN_OR_RETURN(x.plan, PlanBroadcast({a.shape(), b.shape()}));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.type, x.plan.shape));
  x.codes_a = static_cast<const uint8_t*>(a.raw());
  x.codes_b = static_cast<const uint8_t*>(b.raw());
  x.codes_y = static_cast<uint8_t*>(y->mutable_raw());
  return x;
}

Status CombineCodes(OpContext& context, BinaryCodeOp op) {
  ASSIGN_OR_RETURN(const Operands x, ReadOperands(context));
  const BinaryCodes codes(op, x.a, x.b, x.y, x.type == DType::kInt8);
  const int64_t step_a = x.plan.step(0), step_b = x.plan.step(1);
  ForEachRun(x.plan, [&](int64_t at, const int64_t* in, int64_t n) {
    codes.Run({x.codes_a + in[0], step_a}, {x.codes_b + in[1], step_b}, step_a == 0 && step_b != 0,
              n, x.codes_y + at);
  });
  return OkStatus();
}

Status QLinearAdd(OpContext& context) { return CombineCodes(context, BinaryCodeOp::kAdd); }
Status QLinearMul(OpContext& context) { return CombineCodes(context, BinaryCodeOp::kMul); }

// ---- operators that only change the grid of their operands

// Codes of input `i` (its scale and zero point are the next two inputs) on the grid of the result.
Result<Tensor> Regridded(const OpContext& context, size_t i, DType type, quant::QParams to) {
  if (!context.input(i) || !context.input(i + 1) || context.input(i)->dtype() != type)
    return ModelError(StrCat("input ", i, " or its scale is missing or no ", DTypeName(type)));
  const Tensor& x = *context.input(i);
  ASSIGN_OR_RETURN(const quant::QParams from, TensorParams(context, i + 1, type));
  if (from == to) return x;
  const Table table = BuildTable(type, from, to, [](float value) { return value; });
  Tensor y = Tensor::Empty(type, x.shape());
  MapBytes(table, x.raw(), x.size(), y.mutable_raw());
  return y;
}

// Inputs: y_scale, y_zero_point, then codes, scale and zero point of every operand.
Status QLinearConcat(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  const DType type = context.input(2)->dtype();
  RETURN_IF_ERROR(RequireCodes(*context.input(2), "an operand"));
  ASSIGN_OR_RETURN(const quant::QParams to, TensorParams(context, 0, type));
  std::vector<Tensor> operands;
  for (size_t i = 2; i < context.input_count(); i += 3) {
    ASSIGN_OR_RETURN(Tensor codes, Regridded(context, i, type, to));
    operands.push_back(std::move(codes));
  }
  ASSIGN_OR_RETURN(Tensor y, RunInnerOp("Concat", operands, context.node()));
  context.SetOutput(0, std::move(y));
  return OkStatus();
}

// Inputs: condition; codes, scale and zero point of x; the same of y; scale and zero point of the
// result.
Status QLinearWhere(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  if (!context.input(7)) return ModelError("the result's scale is missing");
  const DType type = context.input(1)->dtype();
  RETURN_IF_ERROR(RequireCodes(*context.input(1), "x"));
  ASSIGN_OR_RETURN(const quant::QParams to, TensorParams(context, 7, type));
  ASSIGN_OR_RETURN(const Tensor x, Regridded(context, 1, type, to));
  ASSIGN_OR_RETURN(const Tensor y, Regridded(context, 4, type, to));
  ASSIGN_OR_RETURN(Tensor z, RunInnerOp("Where", {*context.input(0), x, y}));
  context.SetOutput(0, std::move(z));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> QLinearElementwiseRows() {
  constexpr const char* kContrib = "com.microsoft";
  return {
      {"QLinearAdd", kContrib, 1, kLatest, &QLinearAdd},
      {"QLinearConcat", kContrib, 1, kLatest, &QLinearConcat},
      {"QLinearLeakyRelu", kContrib, 1, kLatest, &QLinearLeakyRelu},
      {"QLinearMul", kContrib, 1, kLatest, &QLinearMul},
      {"QLinearSigmoid", kContrib, 1, kLatest, &QLinearSigmoid},
      {"QLinearWhere", kContrib, 1, kLatest, &QLinearWhere},
  };
}

}  // namespace roundel::engine
