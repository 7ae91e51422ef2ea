#include <string>

#include "lib/engine/integer/kernels.h"

namespace roundel::engine {

std::unique_ptr<FastKernel> MakeIntegerKernel(const KernelSpec& spec) {
  if (!spec.main->domain.empty() || !spec.output_encoding) return nullptr;
  using Maker = std::unique_ptr<FastKernel> (*)(const KernelSpec&);
  struct Row {
    const char* op_type;
    Maker make;
  };
  static constexpr Row kRows[] = {
      {"Add", &MakeIntegerAdd},       {"Concat", &MakeIntegerConcat},
      {"Conv", &MakeIntegerConv},     {"Gemm", &MakeIntegerMatMul},
      {"MatMul", &MakeIntegerMatMul}, {"MaxPool", &MakeIntegerMaxPool},
      {"Min", &MakeIntegerMin},       {"GlobalAveragePool", &MakeIntegerMean},
  };
  for (const Row& row : kRows)
    if (spec.main->op_type == row.op_type) return row.make(spec);
  return nullptr;
}

}  // namespace roundel::engine
