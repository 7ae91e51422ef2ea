#include <string>

#include "lib/engine/integer/kernels.h"

namespace roundel::engine {

std::unique_ptr<FastKernel> MakeIntegerKernel(const KernelSpec& spec) {
  if (!spec.output_encoding || spec.norm) return nullptr;
  using Maker = std::unique_ptr<FastKernel> (*)(const KernelSpec&);
  struct Row {
    const char* op_type;
    Maker make;
  };
  static constexpr Row kRows[] = {
      {"Add", &MakeIntegerBinary},
      {"AveragePool", &MakeIntegerAveragePool},
      {"Concat", &MakeIntegerConcat},
      {"Conv", &MakeIntegerConv},
      {"Gemm", &MakeIntegerMatMul},
      {"GlobalAveragePool", &MakeIntegerMean},
      {"MatMul", &MakeIntegerMatMul},
      {"MaxPool", &MakeIntegerMaxPool},
      {"Min", &MakeIntegerMin},
      {"Mul", &MakeIntegerBinary},
      {"Softmax", &MakeIntegerSoftmax},
  };
  for (const Row& row : kRows)
    if (spec.main->Is(row.op_type))
      if (auto kernel = row.make(spec)) return kernel;
  return MakeCodeTable(spec);
}

}  // namespace roundel::engine
