#pragma once
// The makers of kernels in this folder; nullptr if they do not support a spec.

#include <memory>

#include "lib/fast/fast_kernel.h"

namespace roundel::engine {

std::unique_ptr<FastKernel> MakeBlockProduct(const KernelSpec& spec);  // MatMulNBits
std::unique_ptr<FastKernel> MakeConvKernel(const KernelSpec& spec);
// The gradients of Conv and ConvTranspose.
std::unique_ptr<FastKernel> MakeConvToSource(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeConvToWeights(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeConvTransposeKernel(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeMatMulKernel(const KernelSpec& spec);  // Gemm, FusedMatMul too
std::unique_ptr<FastKernel> MakePoolKernel(const KernelSpec& spec);
// MaxPool of values that are stored as one-byte codes.
std::unique_ptr<FastKernel> MakePoolOfCodes(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeSoftmaxKernel(const KernelSpec& spec);

}  // namespace roundel::engine
