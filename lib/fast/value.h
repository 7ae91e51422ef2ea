#pragma once
// A value during a run: its logical shape, and its elements in one of two layouts, as floats or as
// codes of its grid.

#include "lib/quant/encodings.h"
#include "lib/tensor/datum.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

// kChannelsLast: [N, C, spatial...] stored as [N, spatial..., C], the layout in which oneDNN's
// convolutions are fastest without padded channels; only float values of rank 3 to 5.
enum class Layout { kPlain, kChannelsLast };

struct Value {
  Shape shape;  // logical
  Layout layout = Layout::kPlain;
  Tensor data;     // row-major over PhysicalShape(shape, layout)
  int block = -1;  // of the arena; -1: own memory (constants, graph inputs)
  // The encoding of a float value that is stored as 8-bit codes (int8 or uint8 in `data`).
  const quant::Encoding* codes_of = nullptr;
  // The items of a sequence, which has no `data`; an empty optional has neither.
  SequencePtr items = nullptr;
  // The value in its logical layout and type.
  DType dtype() const { return codes_of ? DType::kFloat : data.dtype(); }
};

inline constexpr int64_t kMinChannelsLastRank = 3, kMaxChannelsLastRank = 5;

// The order of axes in memory: {N, spatial..., C} for kChannelsLast.
Shape PhysicalShape(const Shape& shape, Layout layout);
// The position of logical axis `axis` in memory.
int64_t PhysicalAxis(int64_t axis, int64_t rank, Layout layout);
// True if both layouts are the same bytes (one channel, or one pixel).
bool LayoutsCoincide(const Shape& shape);

// Copies elements of `shape` ([N, C, spatial...]) from one layout to the other.
void ConvertLayout(const Shape& shape, const float* from, Layout from_layout, float* to);
void ConvertLayout(const Shape& shape, const uint8_t* from, Layout from_layout, uint8_t* to);

}  // namespace roundel::engine
