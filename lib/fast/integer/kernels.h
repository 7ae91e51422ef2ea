#pragma once
// Kernels on 8-bit codes with 32-bit sums. On machines with exact dot products they give the same
// bits as ONNX Runtime's integer kernels for the exported model. On other machines, and for all
// other grids, values are simulated in float.

#include <memory>

#include "lib/fast/fast_kernel.h"

namespace roundel::engine {

// nullptr unless all values of the unit lie on such grids and its op has an integer kernel.
std::unique_ptr<FastKernel> MakeIntegerKernel(const KernelSpec& spec);

std::unique_ptr<FastKernel> MakeIntegerAveragePool(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeIntegerBinary(const KernelSpec& spec);  // Add, Mul
std::unique_ptr<FastKernel> MakeIntegerConcat(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeIntegerConv(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeIntegerMatMul(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeIntegerMean(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeIntegerMin(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeIntegerSoftmax(const KernelSpec& spec);
// Chains of element-wise operations.
std::unique_ptr<FastKernel> MakeCodeTable(const KernelSpec& spec);

// ---- operators whose values are themselves codes, on any machine
std::unique_ptr<FastKernel> MakeConvSums(const KernelSpec& spec);     // ConvInteger
std::unique_ptr<FastKernel> MakeProductSums(const KernelSpec& spec);  // MatMulInteger
std::unique_ptr<FastKernel> MakeDynamicQuantize(const KernelSpec& spec);

}  // namespace roundel::engine
