#pragma once
// Conversion of floats to one-byte codes and back, by the one rounding rule (lib/quant/grid.h).

#include <cstdint>
#include <optional>
#include <span>

#include "lib/fast/fast_kernel.h"
#include "lib/quant/encodings.h"

namespace roundel::engine {

// True if values on this grid fit into one byte per element.
bool FitsBytes(const quant::Encoding* encoding);
// True for a constant on such a grid whose codes are in the encoding.
bool HoldsBytes(const quant::Encoding* encoding);

// The codes that remain possible after the post-ops; nullopt for post-ops that do more than clip.
struct CodeRange {
  int32_t low, high;
};
std::optional<CodeRange> BoundedCodes(std::span<const PostOp> ops, const quant::Encoding& result);
// True if the post-ops change no code of the result: ONNX Runtime then removes them and computes on
// codes.
bool KeepsWholeRange(const KernelSpec& spec, const quant::Encoding& result);

// The codes are int8 or uint8, as encoding.grid.storage_type() says.
void EncodeBytes(const float* from, const quant::Encoding& encoding, int64_t n, void* to);
void DecodeBytes(const void* from, const quant::Encoding& encoding, int64_t n, float* to);

}  // namespace roundel::engine
