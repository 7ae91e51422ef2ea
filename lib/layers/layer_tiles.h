#pragma once
// Columns of a layer's unfolded input and what the float model makes of them, tile by tile.

#include <functional>
#include <span>

#include "lib/layers/layer_statistics.h"

namespace roundel::layers {

// Some columns of one group: x [rows, n] what the quantized model gives; of the float model reference
// [rows, n], and y [rows, m] = W reference, without bias, unless the layer has no weights at hand.
// (ConvTranspose: single pixels, n and m without and with the taps.)
struct Tile {
  int64_t group = 0;
  bool held_out = false;
  int64_t rows = 0;
  std::span<const float> x, reference, y;
};
// The columns that Gather sums up, one tile after another; tiles of different groups may come at the
// same time. The same ones in the same order for any number of threads.
Status ForEachTile(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                   const StatisticsOptions& options, const std::function<void(const Tile&)>& f);

// How many there are, both sides together, as the first batch tells.
Result<int64_t> ColumnsOf(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                          const StatisticsOptions& options);

}  // namespace roundel::layers
