#pragma once
// Floats to codes of one byte and back, by the one rounding rule (lib/quant/grid.h).

#include <cstdint>
#include <optional>
#include <span>

#include "lib/fast/fast_kernel.h"
#include "lib/quant/encodings.h"

namespace roundel::engine {

// True if a value on this grid can be held as one byte per element.
bool FitsBytes(const quant::Encoding* encoding);
// True for a constant on such a grid, whose codes the encoding has.
bool HoldsBytes(const quant::Encoding* encoding);

// Codes that activations behind an operator leave of a grid; nullopt for post-ops that do more than
// to bound.
struct CodeRange {
  int32_t low, high;
};
std::optional<CodeRange> BoundedCodes(std::span<const PostOp> ops, const quant::Encoding& result);
// True if what follows the main node of the unit changes no code of the result: then the runtime
// drops it and computes on codes.
bool KeepsWholeRange(const KernelSpec& spec, const quant::Encoding& result);

// `to` and `from` of the codes: int8 or uint8, as encoding.grid.storage_type() says.
void EncodeBytes(const float* from, const quant::Encoding& encoding, int64_t n, void* to);
void DecodeBytes(const void* from, const quant::Encoding& encoding, int64_t n, float* to);

}  // namespace roundel::engine
