#pragma once
// The makers of kernels in this folder; nullptr if they do not support a spec.

#include <memory>

#include "lib/fast/fast_kernel.h"

namespace roundel::engine {

std::unique_ptr<FastKernel> MakeBatchNormKernel(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeBinaryKernel(const KernelSpec& spec);
// ChannelSum, SumTo
std::unique_ptr<FastKernel> MakeChannelSums(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeConcatGradient(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeConcatKernel(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeNormalizeKernel(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeElementKernel(const KernelSpec& spec);
// Gradients of Slice, Pad, Tile, Gather and others by positions.
std::unique_ptr<FastKernel> MakeMoveGradient(const KernelSpec& spec);
// Gradients of LayerNormalization and RMSNormalization.
std::unique_ptr<FastKernel> MakeNormGradient(const KernelSpec& spec);
// Gradients of Relu and Clip.
std::unique_ptr<FastKernel> MakeMaskGradient(const KernelSpec& spec);
// Of operators whose results depend on single elements of their inputs.
std::unique_ptr<FastKernel> MakeMemoryOrderKernel(const KernelSpec& spec);
// Gradients of MaxPool and AveragePool, and of GlobalAveragePool and ReduceMean over all pixels.
std::unique_ptr<FastKernel> MakePoolGradient(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeMeanGradient(const KernelSpec& spec);
std::unique_ptr<FastKernel> MakeTransposeKernel(const KernelSpec& spec);

}  // namespace roundel::engine
