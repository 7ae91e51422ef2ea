#pragma once
// Kernels that compute on 8-bit codes with 32-bit sums. What they simulate is what ONNX Runtime's
// integer kernels do with the exported model, bit for bit, where the machine has exact dot
// products; elsewhere, and for all other grids, values are simulated in float.

#include <memory>

#include "lib/fast/fast_kernel.h"

namespace roundel::engine {

// nullptr if the unit's values do not all lie on such grids, or its op has no integer kernel.
std::unique_ptr<FastKernel> MakeIntegerKernel(const KernelSpec& spec);

std::unique_ptr<FastKernel> MakeIntegerAveragePool(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeIntegerBinary(const KernelSpec& spec);  // Add, Mul
std::unique_ptr<FastKernel> MakeIntegerConcat(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeIntegerConv(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeIntegerMatMul(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeIntegerMean(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeIntegerMin(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeIntegerSoftmax(const KernelSpec& spec);
// Chains of operations on single elements.
std::unique_ptr<FastKernel> MakeCodeTable(const KernelSpec& spec);

// ---- operators whose values are codes themselves, on any machine
std::unique_ptr<FastKernel> MakeConvSums(const KernelSpec& spec);     // ConvInteger
std::unique_ptr<FastKernel> MakeProductSums(const KernelSpec& spec);  // MatMulInteger
std::unique_ptr<FastKernel> MakeDynamicQuantize(const KernelSpec& spec);

}  // namespace roundel::engine
