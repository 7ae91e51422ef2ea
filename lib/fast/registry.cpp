#include <span>
#include <string>

#include "lib/fast/integer/kernels.h"
#include "lib/fast/loops/kernels.h"
#include "lib/fast/onednn/kernels.h"
#include "lib/graph/operators.h"

namespace roundel::engine {

namespace {

using Maker = std::unique_ptr<FastKernel> (*)(const KernelSpec&);
struct Row {
  const char* op_type;
  Maker make;
};
constexpr Row kOnnx[] = {
    {"Add", &MakeBinaryKernel},
    {"AveragePool", &MakePoolKernel},
    {"BatchNormalization", &MakeBatchNormKernel},
    {"Concat", &MakeConcatKernel},
    {"Conv", &MakeConvKernel},
    {"ConvInteger", &MakeConvSums},
    {"ConvTranspose", &MakeConvTransposeKernel},
    {"Div", &MakeBinaryKernel},
    {"DynamicQuantizeLinear", &MakeDynamicQuantize},
    {"Gemm", &MakeMatMulKernel},
    {"GlobalAveragePool", &MakePoolKernel},
    {"GlobalMaxPool", &MakePoolKernel},
    {"LayerNormalization", &MakeNormalizeKernel},
    {"LogSoftmax", &MakeSoftmaxKernel},
    {"MatMul", &MakeMatMulKernel},
    {"MatMulInteger", &MakeProductSums},
    {"Max", &MakeBinaryKernel},
    {"MaxPool", &MakePoolKernel},
    {"Min", &MakeBinaryKernel},
    {"Mul", &MakeBinaryKernel},
    {"ReduceMean", &MakePoolKernel},
    {"Softmax", &MakeSoftmaxKernel},
    {"Sub", &MakeBinaryKernel},
    {"Transpose", &MakeTransposeKernel},
};
constexpr Row kContrib[] = {
    {"FusedMatMul", &MakeMatMulKernel},
    {"MatMulNBits", &MakeBlockProduct},
};
// Operators of our own: fake quantizers and gradients. Those of functions of one number follow below.
constexpr Row kOwn[] = {
    {"AveragePoolGrad", &MakePoolGradient},
    {"ChannelSum", &MakeChannelSums},
    {"ClipGrad", &MakeMaskGradient},
    {"ConcatGrad", &MakeConcatGradient},
    {"ConvGradInput", &MakeConvToSource},
    {"ConvGradWeight", &MakeConvToWeights},
    {"ConvTransposeGradInput", &MakeConvToSource},
    {"ConvTransposeGradWeight", &MakeConvToWeights},
    {"DepthToSpaceGrad", &MakeMoveGradient},
    {"FakeQuant", &MakeMemoryOrderKernel},
    {"FakeQuantGrad", &MakeMemoryOrderKernel},
    {"GatherElementsGrad", &MakeMoveGradient},
    {"GatherGrad", &MakeMoveGradient},
    {"GatherNDGrad", &MakeMoveGradient},
    {"GlobalAveragePoolGrad", &MakeMeanGradient},
    {"LayerNormGrad", &MakeNormGradient},
    {"MaxPoolGrad", &MakePoolGradient},
    {"PadGrad", &MakeMoveGradient},
    {"ReduceMeanGrad", &MakeMeanGradient},
    {"ReluGrad", &MakeMaskGradient},
    {"RmsNormGrad", &MakeNormGradient},
    {"SliceGrad", &MakeMoveGradient},
    {"SpaceToDepthGrad", &MakeMoveGradient},
    {"SumTo", &MakeChannelSums},
    {"TileGrad", &MakeMoveGradient},
    {"TriluGrad", &MakeMoveGradient},
};

std::unique_ptr<FastKernel> Make(std::span<const Row> rows, const KernelSpec& spec) {
  for (const Row& row : rows)
    if (spec.main->op_type == row.op_type) return row.make(spec);
  return nullptr;
}

std::unique_ptr<FastKernel> MakeOwn(const KernelSpec& spec) {
  if (auto kernel = Make(kOwn, spec)) return kernel;
  const std::string& type = spec.main->op_type;
  const bool gradient = type.ends_with("Grad");
  return gradient && graph::Has(type.substr(0, type.size() - 4), graph::Fact::kPointwise)
             ? MakeMemoryOrderKernel(spec)
             : nullptr;
}

}  // namespace

std::unique_ptr<FastKernel> MakeFastKernel(const KernelSpec& spec) {
  if (spec.norm) return MakeNormalizeKernel(spec);
  if (spec.element_input >= 0) return MakeElementKernel(spec);
  const std::string& domain = spec.main->domain;
  if (domain.empty()) return Make(kOnnx, spec);
  if (domain == "roundel") return MakeOwn(spec);
  return domain == "com.microsoft" ? Make(kContrib, spec) : nullptr;
}

}  // namespace roundel::engine
