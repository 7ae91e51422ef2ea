// Operators of com.microsoft that are compositions of operators of the default domain: a bias
// followed by an activation function, convolutions and products followed by an activation function,
// other layouts, and early names of operators that have since been standardized.

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/inner_op.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

constexpr const char* kContrib = "com.microsoft";

// Sets output 0 to `result`.
Status SetResult(OpContext& context, Result<Tensor> result) {
  ASSIGN_OR_RETURN(Tensor y, std::move(result));
  context.SetOutput(0, std::move(y));
  return OkStatus();
}

// ---- activation functions

// x + bias; the bias is an optional vector along the last axis.
Result<Tensor> Biased(const OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor &x = *context.input(0), *bias = context.input(1);
  if (bias == nullptr) return x;
  if (x.rank() < 1 || bias->shape() != Shape{x.dim(-1)})
    return ModelError(StrCat("bias of shape ", ShapeString(bias->shape()),
                             " for an input of shape ", ShapeString(x.shape())));
  return RunInnerOp("Add", {x, *bias});
}

Status BiasGelu(OpContext& context) {
  ASSIGN_OR_RETURN(const Tensor x, Biased(context));
  return SetResult(context, RunInnerOp("Gelu", {x}));
}

Status FastGelu(OpContext& context) {
  ASSIGN_OR_RETURN(const Tensor x, Biased(context));
  return SetResult(context,
                   RunInnerOp("Gelu", {x}, WithAttributes({{"approximate", std::string("tanh")}})));
}

Status QuickGelu(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const float alpha = context.node().Float("alpha", 1.702f);
  return SetResult(context,
                   RunInnerOp("Swish", {*context.input(0)}, WithAttributes({{"alpha", alpha}})));
}

// The left half times gelu of the right half.
Status BiasSplitGelu(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  ASSIGN_OR_RETURN(const Tensor x, Biased(context));
  const graph::Node halves = WithAttributes({{"axis", int64_t{-1}}, {"num_outputs", int64_t{2}}});
  if (x.dim(-1) % 2 != 0)
    return ModelError(StrCat("shape ", ShapeString(x.shape()), " does not split into halves"));
  ASSIGN_OR_RETURN(const std::vector<Tensor> parts, RunInner("Split", {x}, halves, 2));
  ASSIGN_OR_RETURN(const Tensor gate, RunInnerOp("Gelu", {parts[1]}));
  return SetResult(context, RunInnerOp("Mul", {parts[0], gate}));
}

// ---- the attribute `activation` of a fused operator

// `parameters`: alpha and beta, or a lower and an upper bound.
Result<Tensor> Activate(const std::string& name, const Tensor& x,
                        const std::vector<float>& parameters) {
  const auto parameter = [&](size_t i, float fallback) {
    return i < parameters.size() ? parameters[i] : fallback;
  };
  if (name.empty()) return x;
  if (name == "Relu" || name == "Tanh" || name == "Sigmoid" || name == "HardSwish" ||
      name == "Softplus")
    return RunInnerOp(name.c_str(), {x});
  if (name == "LeakyRelu" || name == "Elu" || name == "ThresholdedRelu")
    return RunInnerOp(
        name.c_str(), {x},
        WithAttributes({{"alpha", parameter(0, name == "LeakyRelu" ? 0.01f : 1.0f)}}));
  if (name == "HardSigmoid")
    return RunInnerOp(
        "HardSigmoid", {x},
        WithAttributes({{"alpha", parameter(0, 0.2f)}, {"beta", parameter(1, 0.5f)}}));
  if (name == "Clip" && parameters.size() == 2)
    return RunInnerOp("Clip", {x, Tensor::Scalar(parameters[0]), Tensor::Scalar(parameters[1])});
  return ModelError(
      StrCat("activation '", name, "' with ", parameters.size(), " parameters is not supported"));
}

// ---- convolutions and pools

// Conv of inputs x, w, b, then + z (input 3), then the activation function.
Result<Tensor> ConvAndMore(const OpContext& context, const Tensor& x, const Tensor& z) {
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2, 3}));
  const graph::Node& node = context.node();
  ASSIGN_OR_RETURN(Tensor y,
                   RunInnerOp("Conv", {x, *context.input(1), InputOrNone(context, 2)}, node));
  if (z.defined()) {
    if (z.shape() != y.shape())
      return ModelError(
          StrCat("summand ", ShapeString(z.shape()), " of a result ", ShapeString(y.shape())));
    ASSIGN_OR_RETURN(y, RunInnerOp("Add", {y, z}));
  }
  return Activate(node.String("activation", ""), y, node.Floats("activation_params"));
}

Status FusedConv(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  return SetResult(context, ConvAndMore(context, *context.input(0), InputOrNone(context, 3)));
}

Status NhwcConv(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  Tensor z = InputOrNone(context, 3);
  ASSIGN_OR_RETURN(const Tensor x, ToChannelsFirst(*context.input(0)));
  if (z.defined()) {
    ASSIGN_OR_RETURN(z, ToChannelsFirst(z));
  }
  ASSIGN_OR_RETURN(const Tensor y, ConvAndMore(context, x, z));
  return SetResult(context, ToChannelsLast(y));
}

Status NhwcMaxPool(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  ASSIGN_OR_RETURN(const Tensor x, ToChannelsFirst(*context.input(0)));
  ASSIGN_OR_RETURN(const Tensor y, RunInnerOp("MaxPool", {x}, context.node()));
  return SetResult(context, ToChannelsLast(y));
}

// ---- products

Status FusedGemm(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const graph::Node& node = context.node();
  ASSIGN_OR_RETURN(
      const Tensor y,
      RunInnerOp("Gemm", {*context.input(0), *context.input(1), InputOrNone(context, 2)}, node));
  std::vector<float> parameters;
  for (const char* name : {"activation_alpha", "activation_beta"})
    if (node.FindAttribute(name)) parameters.push_back(node.Float(name, 0));
  return SetResult(context, Activate(node.String("activation", ""), y, parameters));
}

// `batch`: the first axis is moved after those between it and the last; then `transpose` swaps the
// last two axes.
Result<Tensor> Rearranged(const Tensor& x, bool transpose, bool batch) {
  const int64_t rank = x.rank();
  if (rank < 2) return x;
  std::vector<int64_t> perm;
  for (int64_t i = 0; i < rank; ++i) perm.push_back(i);
  if (batch) {
    perm.erase(perm.begin());
    perm.insert(perm.end() - 1, 0);
  }
  if (transpose) std::swap(perm[rank - 1], perm[rank - 2]);
  if (!transpose && !batch) return x;
  return RunInnerOp("Transpose", {x}, WithAttributes({{"perm", perm}}));
}

Result<Tensor> ScaledProduct(const OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  const graph::Node& node = context.node();
  ASSIGN_OR_RETURN(const Tensor a, Rearranged(*context.input(0), node.Int("transA", 0) != 0,
                                              node.Int("transBatchA", 0) != 0));
  ASSIGN_OR_RETURN(const Tensor b, Rearranged(*context.input(1), node.Int("transB", 0) != 0,
                                              node.Int("transBatchB", 0) != 0));
  ASSIGN_OR_RETURN(Tensor y, RunInnerOp("MatMul", {a, b}));
  const float alpha = node.Float("alpha", 1);
  if (alpha == 1) return y;
  return RunInnerOp("Mul", {y, Tensor::Scalar(alpha)});
}

Status FusedMatMul(OpContext& context) { return SetResult(context, ScaledProduct(context)); }

Status FusedMatMulActivation(OpContext& context) {
  ASSIGN_OR_RETURN(const Tensor y, ScaledProduct(context));
  const graph::Node& node = context.node();
  std::vector<float> parameters;
  for (const char* name : {"activation_alpha", "activation_beta"})
    if (node.FindAttribute(name)) parameters.push_back(node.Float(name, 0));
  return SetResult(context, Activate(node.String("activation", ""), y, parameters));
}

// ---- early names

Status RunAs(OpContext& context, const char* type) {
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < context.input_count(); ++i) inputs.push_back(InputOrNone(context, i));
  return SetResult(context, RunInnerOp(type, inputs, context.node()));
}

Status GridSample(OpContext& context) { return RunAs(context, "GridSample"); }
Status Pad(OpContext& context) { return RunAs(context, "Pad"); }
Status Range(OpContext& context) { return RunAs(context, "Range"); }
Status Trilu(OpContext& context) { return RunAs(context, "Trilu"); }

}  // namespace

std::vector<OpEntry> ContribFusedRows() {
  return {
      {"BiasGelu", kContrib, 1, kLatest, &ViaFloat<&BiasGelu>},
      {"BiasSplitGelu", kContrib, 1, kLatest, &ViaFloat<&BiasSplitGelu>},
      {"FastGelu", kContrib, 1, kLatest, &ViaFloat<&FastGelu>},
      {"FusedConv", kContrib, 1, kLatest, &ViaFloat<&FusedConv>},
      {"FusedGemm", kContrib, 1, kLatest, &ViaFloat<&FusedGemm>},
      {"FusedMatMul", kContrib, 1, kLatest, &ViaFloat<&FusedMatMul>},
      {"FusedMatMulActivation", kContrib, 1, kLatest, &ViaFloat<&FusedMatMulActivation>},
      {"GridSample", kContrib, 1, kLatest, &GridSample},
      {"NhwcConv", kContrib, 1, kLatest, &ViaFloat<&NhwcConv>},
      {"NhwcFusedConv", kContrib, 1, kLatest, &ViaFloat<&NhwcConv>},
      {"NhwcMaxPool", kContrib, 1, kLatest, &NhwcMaxPool},
      {"Pad", kContrib, 1, kLatest, &Pad},
      {"QuickGelu", kContrib, 1, kLatest, &QuickGelu},
      {"Range", kContrib, 1, kLatest, &Range},
      {"TransposeMatMul", kContrib, 1, kLatest, &ViaFloat<&FusedMatMul>},
      {"Trilu", kContrib, 1, kLatest, &Trilu},
  };
}

}  // namespace roundel::engine
