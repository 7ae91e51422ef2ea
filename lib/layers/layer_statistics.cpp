#include "lib/layers/layer_statistics.h"

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"
#include "lib/layers/layer_tiles.h"

namespace roundel::layers {
namespace {

using quant::Encoding;
using quant::Granularity;

// Wider layers would need gigabytes of sums.
constexpr int64_t kWidestStack = 8192;

// Columns are stored separately if they are fewer than half of this many inputs, or if the sums do
// not fit.
constexpr int64_t kWideLayer = 2048;
constexpr int64_t kMinColumns = 64, kMaxColumns = 2048;
constexpr int64_t kMinRows = 64;
// Bytes per weight: during its solution, and of its code afterwards.
constexpr int64_t kPerWeight = 64, kPerCode = 12;

// A ConvTranspose gathers single pixels, whose taps are spread afterwards.
bool CanStoreColumns(const UnfoldedLayer& layer) { return !layer.transposed(); }

std::string GridObstacle(const graph::WeightedLayer& layer, int64_t rank, const Encoding& e) {
  // The axes of output channels and inputs in the weight; the axis of a stack comes before them.
  const int64_t first = graph::IsConvolution(layer) ? 0 : rank - 2;
  const int64_t output_axis = first + (layer.out_major ? 0 : 1),
                input_axis = first + (layer.out_major ? 1 : 0);
  const bool free_scales =
      e.grid.scales == quant::ScaleKind::kFloat || e.grid.scales == quant::ScaleKind::kSigned;
  if (!e.grid.is_uniform() || !free_scales)
    return StrCat("weights on ", e.grid.Name(), " have no solver");
  if (e.granularity == Granularity::kChannel && e.axis != output_axis)
    return "its scales do not follow its output channels";
  if (e.granularity == Granularity::kBlock && e.axis != input_axis)
    return "its blocks are not along its inputs";
  if (e.granularity == Granularity::kBlock && layer.kernel > 1 &&
      layer.in_per_group % e.block_size != 0)
    return "blocks of a convolution that do not divide its inputs are not solved";
  if (layer.stack > 1 && e.granularity == Granularity::kBlock &&
      layer.in_per_group / layer.stack % e.block_size != 0)
    return "blocks that do not divide the inputs of each matrix of a stack are not solved";
  if (layer.stack > 1 && layer.in_per_group > kWidestStack)
    return StrCat("its matrices have ", layer.in_per_group, " inputs together, more than ",
                  kWidestStack);
  if (layer.groups > 1 && !layer.out_major && e.granularity != Granularity::kTensor)
    return "a grouped ConvTranspose shares scales between groups";
  return "";
}

// Converts sums over single input pixels of a ConvTranspose to sums over [in][kernel]: every pixel
// meets every tap separately, and the m rows are again output channels.
solver::Gram SpreadOverTaps(const solver::Gram& pixel, const UnfoldedLayer& layer) {
  const int64_t n = layer.n, m = layer.m, taps = layer.layer.kernel;
  solver::Gram gram(n, m, true);
  gram.count = pixel.count;
  for (int64_t i = 0; i < pixel.n; ++i)
    for (int64_t k = 0; k < taps; ++k) {
      gram.x[layer.Column(i, k)] = pixel.x[i];
      for (int64_t j = i; j < pixel.n; ++j)
        gram.xx[layer.Column(i, k) * n + layer.Column(j, k)] = pixel.xx[i * pixel.n + j];
      for (int64_t o = 0; o < m; ++o)
        gram.yx[o * n + layer.Column(i, k)] = pixel.yx[(o * taps + k) * pixel.n + i];
    }
  for (int64_t o = 0; o < m; ++o)
    for (int64_t k = 0; k < taps; ++k) {
      gram.y[o] += pixel.y[o * taps + k];
      gram.yy[o] += pixel.yy[o * taps + k];
    }
  return gram;
}

}  // namespace

std::optional<UnfoldedLayer> Outline(const graph::Graph& graph, const graph::WeightedLayer& layer,
                                     const Encoding& encoding, std::string* why) {
  const Tensor* weight = graph.Constant(layer.weight());
  *why = weight->dtype() != DType::kFloat ? "its weight is not float32"
                                          : GridObstacle(layer, weight->rank(), encoding);
  if (!why->empty()) return std::nullopt;
  UnfoldedLayer unfolded{.layer = layer, .weight_shape = weight->shape()};
  unfolded.groups = layer.groups;
  unfolded.m = layer.out_per_group;
  unfolded.n = layer.in_per_group * layer.kernel;
  unfolded.spec = {.grid = encoding.grid, .granularity = encoding.granularity};
  unfolded.spec.block_size = encoding.block_size;
  unfolded.spec.signed_scale = encoding.grid.scales == quant::ScaleKind::kSigned;
  return unfolded;
}

UnfoldedLayer Unfold(const graph::Graph& graph, UnfoldedLayer outline) {
  const float* weight = graph.Constant(outline.layer.weight())->data<float>();
  outline.weight.resize(static_cast<size_t>(outline.groups));
  for (int64_t g = 0; g < outline.groups; ++g) {
    std::vector<float>& matrix = outline.weight[static_cast<size_t>(g)];
    matrix.resize(static_cast<size_t>(outline.m * outline.n));
    for (int64_t o = 0; o < outline.m; ++o)
      for (int64_t c = 0; c < outline.n; ++c)
        matrix[static_cast<size_t>(o * outline.n + c)] =
            weight[outline.Place(g * outline.m + o, c)];
  }
  return outline;
}

UnfoldedLayer UnfoldRows(const graph::Graph& graph, UnfoldedLayer outline, int64_t first,
                         int64_t count) {
  INVARIANT(outline.groups == 1, "rows of several groups");
  outline.first_row = first;
  outline.m = count;
  return Unfold(graph, std::move(outline));
}

solver::Params ParamsOf(const UnfoldedLayer& layer, const Encoding& encoding) {
  const int64_t blocks = layer.spec.Blocks(layer.n), wide = layer.spec.ColumnsPerBlock(layer.n);
  if (encoding.granularity == Granularity::kTensor) return encoding.params;
  solver::Params params;
  for (int64_t row = 0; row < layer.groups * layer.m; ++row)
    for (int64_t b = 0; b < blocks; ++b)
      params.push_back(encoding.params[static_cast<size_t>(
          encoding.ParamIndex(layer.weight_shape, layer.Place(row, b * wide)))]);
  return params;
}

void StoreSolution(const UnfoldedLayer& layer, const solver::Solution& solution,
                   Encoding* encoding) {
  const int64_t blocks = layer.spec.Blocks(layer.n), wide = layer.spec.ColumnsPerBlock(layer.n);
  std::vector<int64_t> codes(solution.codes.size());
  for (int64_t row = 0; row < layer.rows(); ++row)
    for (int64_t c = 0; c < layer.n; ++c) {
      const int64_t place = layer.Place(row, c);
      codes[static_cast<size_t>(place)] = solution.codes[static_cast<size_t>(row * layer.n + c)];
      if (c % wide == 0)
        encoding->params[static_cast<size_t>(encoding->ParamIndex(layer.weight_shape, place))] =
            solution.params[encoding->granularity == Granularity::kTensor
                                ? 0
                                : static_cast<size_t>(row * blocks + c / wide)];
    }
  encoding->codes = quant::CodesTensor(codes, encoding->grid, layer.weight_shape);
  encoding->frozen = true;
}

int64_t SolvingBytes(const UnfoldedLayer& layer, bool apart, int64_t columns) {
  const int64_t n = layer.n, m = layer.m;
  // Sums, objectives, problem and factors; weights, targets, codes and candidates of them.
  constexpr int64_t kPerSum = 48, kPerColumn = 40, kPerPair = 16;
  if (!apart) return layer.groups * (kPerSum * n * n + kPerWeight * m * n);
  return layer.groups * (kPerColumn * n * columns + kPerPair * columns * columns) +
         kPerWeight * n * std::min(m, kMinRows) + kPerCode * layer.rows() * n;
}

int64_t LeastBytes(const UnfoldedLayer& layer) {
  const int64_t sums = SolvingBytes(layer, false);
  return CanStoreColumns(layer) ? std::min(sums, SolvingBytes(layer, true, kMinColumns)) : sums;
}

int64_t RowsAtOnce(const UnfoldedLayer& layer, const StatisticsOptions& options) {
  if (layer.groups > 1 || layer.spec.granularity == Granularity::kTensor) return layer.m;
  const int64_t fitting = options.memory_bytes / 4 / (kPerWeight * layer.n);
  return std::clamp(fitting / kMinRows * kMinRows, kMinRows, std::max(kMinRows, layer.m));
}

Result<bool> StoresColumns(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                           const StatisticsOptions& options, bool only_if_needed) {
  if (!CanStoreColumns(layer) || inputs.batches() == 0) return false;
  if (SolvingBytes(layer, false) > options.memory_bytes) return true;
  if (layer.n < kWideLayer || only_if_needed) return false;
  ASSIGN_OR_RETURN(const int64_t columns, ColumnsOf(layer, inputs, options));
  return columns * 2 < layer.n;
}

namespace {

Result<LayerStatistics> GatherColumns(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                                      StatisticsOptions options) {
  // As many columns as fit, at most half as many as inputs: more would cost more than they are
  // worth.
  int64_t most = std::min(std::max(layer.n / 2, kMinColumns), kMaxColumns);
  while (most > kMinColumns && SolvingBytes(layer, true, most) > options.memory_bytes)
    most = std::max(kMinColumns, most * 3 / 4);
  options.max_columns = most;
  const auto groups = static_cast<size_t>(layer.groups);
  std::vector<solver::Columns> sides[2] = {
      std::vector<solver::Columns>(groups, solver::Columns{.n = layer.n}),
      std::vector<solver::Columns>(groups, solver::Columns{.n = layer.n})};
  RETURN_IF_ERROR(ForEachTile(layer, inputs, options, [&](const Tile& tile) {
    sides[tile.held_out][static_cast<size_t>(tile.group)].Observe(tile.x, tile.reference,
                                                                  tile.rows);
  }));
  LayerStatistics statistics{.columns = sides[0][0].count};
  if (sides[1][0].count > 0) statistics.held_out_columns = std::move(sides[1]);
  statistics.train_columns = std::move(sides[0]);
  return statistics;
}

}  // namespace

Result<LayerStatistics> Gather(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                               const StatisticsOptions& options) {
  if (layer.weight.empty()) return GatherColumns(layer, inputs, options);
  const int64_t taps = layer.transposed() ? layer.layer.kernel : 1;
  std::vector<solver::Gram> grams[2];
  for (auto& side : grams)
    side.assign(static_cast<size_t>(layer.groups),
                solver::Gram(layer.n / taps, layer.m * taps, true));
  RETURN_IF_ERROR(ForEachTile(layer, inputs, options, [&](const Tile& tile) {
    grams[tile.held_out][static_cast<size_t>(tile.group)].Observe(tile.x, tile.y, tile.rows);
  }));
  LayerStatistics statistics;
  statistics.columns = static_cast<int64_t>(grams[0][0].count);
  const bool held_out = grams[1][0].count > 0;
  for (auto& side : grams)
    for (solver::Gram& gram : side)
      if (taps > 1) gram = SpreadOverTaps(gram, layer);
  statistics.train = std::move(grams[0]);
  if (held_out) statistics.held_out = std::move(grams[1]);
  return statistics;
}

}  // namespace roundel::layers
