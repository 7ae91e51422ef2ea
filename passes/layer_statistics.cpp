#include "passes/layer_statistics.h"

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"
#include "passes/layer_tiles.h"

namespace roundel::passes {
namespace {

using quant::Encoding;
using quant::Granularity;

// Wider ones would need gigabytes of sums.
constexpr int64_t kWidestStack = 8192;

std::string GridObstacle(const graph::WeightedLayer& layer, int64_t rank, const Encoding& e) {
  // The axes along which output channels and inputs lie in the weight, a stack's behind the others.
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
    return "its blocks do not lie along its inputs";
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

// Sums over single input pixels of a ConvTranspose, as sums over [in][kernel]: every pixel meets every
// tap by itself, and the m rows are again output channels.
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

std::optional<UnfoldedLayer> Unfold(const graph::Graph& graph, const graph::WeightedLayer& layer,
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
  unfolded.weight.resize(static_cast<size_t>(layer.groups));
  unfolded.place.resize(static_cast<size_t>(layer.groups * unfolded.m * unfolded.n));
  for (int64_t g = 0; g < layer.groups; ++g) {
    std::vector<float>& matrix = unfolded.weight[static_cast<size_t>(g)];
    matrix.resize(static_cast<size_t>(unfolded.m * unfolded.n));
    for (int64_t o = 0; o < unfolded.m; ++o)
      for (int64_t i = 0; i < layer.in_per_group; ++i)
        for (int64_t k = 0; k < layer.kernel; ++k) {
          const int64_t at = o * unfolded.n + unfolded.Column(i, k),
                        place = layer.Index(g, o, i, k);
          matrix[static_cast<size_t>(at)] = weight->data<float>()[place];
          unfolded.place[static_cast<size_t>(g * unfolded.m * unfolded.n + at)] = place;
        }
  }
  return unfolded;
}

solver::Params ParamsOf(const UnfoldedLayer& layer, const Encoding& encoding) {
  const int64_t blocks = layer.spec.Blocks(layer.n), wide = layer.spec.ColumnsPerBlock(layer.n);
  if (encoding.granularity == Granularity::kTensor) return encoding.params;
  solver::Params params;
  for (int64_t row = 0; row < layer.groups * layer.m; ++row)
    for (int64_t b = 0; b < blocks; ++b)
      params.push_back(encoding.params[static_cast<size_t>(encoding.ParamIndex(
          layer.weight_shape, layer.place[static_cast<size_t>(row * layer.n + b * wide)]))]);
  return params;
}

void StoreSolution(const UnfoldedLayer& layer, const solver::Solution& solution,
                   Encoding* encoding) {
  const int64_t blocks = layer.spec.Blocks(layer.n), wide = layer.spec.ColumnsPerBlock(layer.n);
  std::vector<int64_t> codes(layer.place.size());
  for (int64_t row = 0; row < layer.groups * layer.m; ++row)
    for (int64_t c = 0; c < layer.n; ++c) {
      const auto at = static_cast<size_t>(row * layer.n + c);
      codes[static_cast<size_t>(layer.place[at])] = solution.codes[at];
      if (c % wide == 0)
        encoding->params[static_cast<size_t>(
            encoding->ParamIndex(layer.weight_shape, layer.place[at]))] =
            solution.params[encoding->granularity == Granularity::kTensor
                                ? 0
                                : static_cast<size_t>(row * blocks + c / wide)];
    }
  encoding->codes = quant::CodesTensor(codes, encoding->grid, layer.weight_shape);
  encoding->frozen = true;
}

int64_t StatisticsBytes(const UnfoldedLayer& layer) {
  const int64_t sums = layer.n * layer.n + layer.m * layer.n;
  return layer.groups * sums * 2 * static_cast<int64_t>(sizeof(double));
}

Result<LayerStatistics> Gather(const UnfoldedLayer& layer, const engine::LayerInputs& inputs,
                               const StatisticsOptions& options) {
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

}  // namespace roundel::passes
