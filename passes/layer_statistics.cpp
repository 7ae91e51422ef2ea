#include "passes/layer_statistics.h"

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/engine/columns.h"
#include "lib/engine/kernels_onednn/sgemm.h"

namespace roundel::passes {
namespace {

using quant::Encoding;
using quant::Granularity;

constexpr int64_t kLeastColumns = 16384, kWideInputs = 2000;
// Columns of one piece of work: enough for the matrix product, little for the memory.
constexpr int64_t kTile = 2048;

// Wider ones would need gigabytes of sums.
constexpr int64_t kWidestStack = 8192;

std::string GridObstacle(const graph::WeightedLayer& layer, int64_t rank, const Encoding& e) {
  // The axes along which output channels and inputs lie in the weight, a stack's behind the others.
  const int64_t first = graph::IsConvolution(layer) ? 0 : rank - 2;
  const int64_t output_axis = first + (layer.out_major ? 0 : 1), input_axis = first + (layer.out_major ? 1 : 0);
  const bool free_scales = e.grid.scales == quant::ScaleKind::kFloat ||
                           e.grid.scales == quant::ScaleKind::kSigned;
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
    return StrCat("its matrices have ", layer.in_per_group, " inputs together, more than ", kWidestStack);
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

class Tiler {
 public:
  Tiler(const UnfoldedLayer& layer, const engine::LayerInputs& inputs,
        const StatisticsOptions& options, const std::function<void(const Tile&)>& f)
      : layer_(layer), options_(options), f_(f), samples_(inputs.samples()) {
    taps_ = layer.transposed() ? layer.layer.kernel : 1;
    n_ = layer.n / taps_;
    m_ = layer.m * taps_;
    for (int64_t g = 0; g < layer.groups; ++g) weights_.push_back(GroupWeight(g));
    if (options.held_out > 0) every_ = static_cast<int64_t>(std::lround(1 / options.held_out));
    if (samples_ < 2 * every_) every_ = 0;
  }

  Status Run(const engine::LayerInputs& inputs) {
    return inputs.ForEachBatch([this](const engine::LayerBatch& batch) { return Add(batch); });
  }

 private:
  // [m, n] of the matrix product at single positions.
  std::vector<float> GroupWeight(int64_t g) const {
    const std::vector<float>& w = layer_.weight[static_cast<size_t>(g)];
    if (taps_ == 1) return w;
    std::vector<float> spread(w.size());
    for (int64_t o = 0; o < layer_.m; ++o)
      for (int64_t i = 0; i < n_; ++i)
        for (int64_t k = 0; k < taps_; ++k)
          spread[(o * taps_ + k) * n_ + i] = w[o * layer_.n + layer_.Column(i, k)];
    return spread;
  }

  void PutTapsFirst(float* rows, int64_t count) const {
    std::vector<float> row(static_cast<size_t>(n_));
    for (int64_t r = 0; r < count; ++r) {
      std::copy_n(rows + r * n_, n_, row.begin());
      for (int64_t i = 0; i < layer_.layer.in_per_group; ++i)
        for (int64_t k = 0; k < layer_.layer.kernel; ++k)
          rows[r * n_ + layer_.Column(i, k)] = row[static_cast<size_t>(i * layer_.layer.kernel + k)];
    }
  }

  // Columns wanted of each sample.
  int64_t PerSample() const {
    const int64_t per_input =
        n_ > kWideInputs ? std::max<int64_t>(1, options_.columns_per_input / 2)
                         : options_.columns_per_input;
    const int64_t wanted = std::max(kLeastColumns, per_input * n_);
    return (wanted + samples_ - 1) / samples_;
  }

  bool HeldOut(int64_t sample) const { return every_ > 0 && sample % every_ == every_ - 1; }

  // Positions, one in each of equal parts of the sample, chosen by the sample's number.
  void Choose(int64_t sample, int64_t first, int64_t count, std::vector<int64_t>* chosen) const {
    const int64_t parts = std::min(count, PerSample());
    Random random(options_.seed ^ (static_cast<uint64_t>(sample) * 0x9e3779b97f4a7c15ULL));
    for (int64_t i = 0; i < parts; ++i) {
      const int64_t begin = i * count / parts, end = (i + 1) * count / parts;
      chosen->push_back(first + begin +
                        static_cast<int64_t>(random.Below(static_cast<uint64_t>(end - begin))));
    }
  }

  Status Add(const engine::LayerBatch& batch) {
    const Tensor& x = batch.quantized;
    if (x.dtype() != DType::kFloat || batch.reference.shape() != x.shape())
      return ModelError(StrCat("node ", layer_.layer.node->DisplayName(),
                               ": its input is not float32 of one shape in both models"));
    ASSIGN_OR_RETURN(const engine::Columns columns,
                     engine::Columns::Create(layer_.layer, layer_.weight_shape, x.shape()));
    const bool even = batch.samples > 0 && columns.positions() % batch.samples == 0;
    const int64_t pieces = even ? batch.samples : 1, count = columns.positions() / std::max<int64_t>(1, pieces);
    std::vector<int64_t> chosen[2];
    for (int64_t s = 0; s < pieces && count > 0; ++s) {
      const int64_t sample = batch.first_sample + s;
      Choose(sample, s * count, count, &chosen[HeldOut(sample)]);
    }
    for (int side = 0; side < 2; ++side)
      for (size_t at = 0; at < chosen[side].size(); at += kTile)
        AddTile(batch, columns,
                std::span(chosen[side]).subspan(at, std::min<size_t>(kTile, chosen[side].size() - at)),
                side == 1);
    return OkStatus();
  }

  void AddTile(const engine::LayerBatch& batch, const engine::Columns& columns,
               std::span<const int64_t> chosen, bool held_out) {
    const float* reference = batch.reference.data<float>();
    const float* quantized =
        options_.reference_inputs ? reference : batch.quantized.data<float>();
    const auto rows = static_cast<int64_t>(chosen.size());
    const auto group = [&](int64_t g) {
      std::vector<float> x(static_cast<size_t>(rows * n_)), y(static_cast<size_t>(rows * m_));
      const auto read = [&](const float* from) {
        ParallelFor(rows, 64, [&](int64_t begin, int64_t end) {
          columns.Read(from, chosen.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                       g, x.data() + begin * n_);
          if (taps_ == 1 && layer_.tap_major()) PutTapsFirst(x.data() + begin * n_, end - begin);
        });
      };
      read(reference);
      engine::MultiplyTransposed(rows, m_, n_, x.data(), weights_[static_cast<size_t>(g)].data(),
                                 y.data());
      if (quantized != reference) read(quantized);
      f_({g, held_out, rows, x, y});
    };
    // Many small groups side by side, few large ones one after another.
    if (layer_.groups >= 8)
      ParallelFor(layer_.groups, 1, [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; ++g) group(g);
      });
    else
      for (int64_t g = 0; g < layer_.groups; ++g) group(g);
  }

  const UnfoldedLayer& layer_;
  const StatisticsOptions& options_;
  const std::function<void(const Tile&)>& f_;
  const int64_t samples_;
  int64_t every_ = 0;  // one of so many samples is held out; 0: none
  int64_t taps_ = 1, n_ = 0, m_ = 0;
  std::vector<std::vector<float>> weights_;
};

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
          const int64_t at = o * unfolded.n + unfolded.Column(i, k), place = layer.Index(g, o, i, k);
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
      params.push_back(encoding.params[static_cast<size_t>(
          encoding.ParamIndex(layer.weight_shape, layer.place[static_cast<size_t>(row * layer.n + b * wide)]))]);
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
        encoding->params[static_cast<size_t>(encoding->ParamIndex(layer.weight_shape, layer.place[at]))] =
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

Status ForEachTile(const UnfoldedLayer& layer, const engine::LayerInputs& inputs,
                   const StatisticsOptions& options, const std::function<void(const Tile&)>& f) {
  return Tiler(layer, inputs, options, f).Run(inputs);
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
