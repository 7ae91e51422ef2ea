#pragma once
// Columns of a layer's unfolded input, and the float model's outputs for them, tile by tile.

#include <functional>
#include <span>

#include "lib/layers/layer_statistics.h"

namespace roundel::layers {

// Some columns of one group: x [rows, n] of the quantized model; reference [rows, n] of the float
// model, and y [rows, m] = W reference, without bias, unless the layer has no weights loaded.
// (ConvTranspose: single pixels, n and m without and with the taps.)
struct Tile {
  int64_t group = 0;
  bool held_out = false;
  int64_t rows = 0;
  std::span<const float> x, reference, y;
};
// Visits the columns that Gather sums up, tile by tile. Tiles of different groups may come
// concurrently. Columns and their order do not depend on the number of threads.
Status ForEachTile(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                   const StatisticsOptions& options, const std::function<void(const Tile&)>& f);

// The number of columns, training and held out, estimated from the first batch.
Result<int64_t> ColumnsOf(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                          const StatisticsOptions& options);

}  // namespace roundel::layers
