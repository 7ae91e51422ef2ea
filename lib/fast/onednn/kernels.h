#pragma once
// The makers of kernels in this folder; nullptr if they do not support a spec.

#include <memory>

#include "lib/fast/fast_kernel.h"

namespace roundel::engine {

std::unique_ptr<FastKernel> MakeBlockProduct(const KernelSpec& spec);  // MatMulNBits
std::unique_ptr<FastKernel> MakeConvKernel(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeConvTransposeKernel(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeMatMulKernel(const KernelSpec& spec);  // also Gemm
std::unique_ptr<FastKernel> MakePoolKernel(const KernelSpec& spec);
// MaxPool of values that are stored as one-byte codes.
std::unique_ptr<FastKernel> MakePoolOfCodes(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeSoftmaxKernel(const KernelSpec& spec);

}  // namespace roundel::engine
