#include <string>

#include "lib/fast/integer/codes.h"
#include "lib/fast/integer/kernels.h"
#include "lib/fast/onednn/kernels.h"

namespace roundel::engine {
namespace {

std::unique_ptr<FastKernel> MakeMaxPool(const KernelSpec& spec) {
  const bool fits = FitsBytes(spec.encodings[0]) && !spec.constants[0] && spec.post_ops.empty();
  return fits ? MakePoolOfCodes(spec) : nullptr;
}

}  // namespace

std::unique_ptr<FastKernel> MakeIntegerKernel(const KernelSpec& spec) {
  if (!spec.output_encoding || spec.norm) return nullptr;
  using Maker = std::unique_ptr<FastKernel> (*)(const KernelSpec&);
  struct Row {
    const char* op_type;
    Maker make;
  };
  static constexpr Row kRows[] = {
      {"Add", &MakeIntegerBinary},      {"AveragePool", &MakeIntegerAveragePool},
      {"Concat", &MakeIntegerConcat},   {"Conv", &MakeIntegerConv},
      {"Gemm", &MakeIntegerMatMul},     {"GlobalAveragePool", &MakeIntegerMean},
      {"MatMul", &MakeIntegerMatMul},   {"MaxPool", &MakeMaxPool},
      {"Min", &MakeIntegerMin},         {"Mul", &MakeIntegerBinary},
      {"Softmax", &MakeIntegerSoftmax},
  };
  for (const Row& row : kRows)
    if (spec.main->Is(row.op_type))
      if (auto kernel = row.make(spec)) return kernel;
  return MakeCodeTable(spec);
}

}  // namespace roundel::engine
