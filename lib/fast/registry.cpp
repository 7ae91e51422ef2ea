#include <string>

#include "lib/fast/integer/kernels.h"
#include "lib/fast/loops/kernels.h"
#include "lib/fast/onednn/kernels.h"

namespace roundel::engine {

std::unique_ptr<FastKernel> MakeFastKernel(const KernelSpec& spec) {
  if (spec.norm) return MakeNormalizeKernel(spec);
  if (spec.element_input >= 0) return MakeElementKernel(spec);
  if (spec.main->Is("MatMulNBits", "com.microsoft")) return MakeBlockProduct(spec);
  if (!spec.main->domain.empty()) return nullptr;
  using Maker = std::unique_ptr<FastKernel> (*)(const KernelSpec&);
  struct Row {
    const char* op_type;
    Maker make;
  };
  static constexpr Row kRows[] = {
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
  for (const Row& row : kRows)
    if (spec.main->op_type == row.op_type) return row.make(spec);
  return nullptr;
}

}  // namespace roundel::engine
