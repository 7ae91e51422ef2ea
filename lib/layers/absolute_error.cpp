#include "lib/layers/absolute_error.h"

#include <algorithm>
#include <cmath>

#include "lib/layers/layer_tiles.h"
#include "lib/matmul/sgemm.h"
#include "lib/solver/candidates.h"

namespace roundel::layers {
namespace {

using quant::Granularity;

class Search {
 public:
  Search(const LayerTask& task, bool asymmetric, int candidates)
      : layer_(task.layer),
        spec_(task.layer.spec),
        asymmetric_(asymmetric && task.layer.spec.granularity != Granularity::kBlock),
        candidates_(solver::EvenCandidates(candidates)),
        ranges_(solver::RangesOf(task.problems, task.layer.spec)),
        blocks_(spec_.Blocks(task.layer.n)),
        losses_(
            candidates_.size(),
            std::vector<double>(static_cast<size_t>(task.layer.groups * task.layer.m * blocks_))) {}

  void Add(const Tile& tile) {
    const int64_t wide = spec_.ColumnsPerBlock(layer_.n);
    for (int64_t b = 0; b < blocks_; ++b) {
      const int64_t first = b * wide, n = std::min(wide, layer_.n - first);
      const std::vector<float> x = Columns(tile.x.data(), tile.rows, first, n);
      const std::vector<float> w =
          Columns(layer_.weight[static_cast<size_t>(tile.group)].data(), layer_.m, first, n);
      std::vector<float> y(tile.y.begin(), tile.y.end());
      if (!asymmetric_)
        engine::MultiplyTransposed(tile.rows, layer_.m, n, x.data(), w.data(), y.data());
      for (size_t c = 0; c < candidates_.size(); ++c) AddLoss(tile, b, n, x, w, y, c);
    }
  }

  solver::Params Best() const {
    solver::Params params;
    const bool tensor = spec_.granularity == Granularity::kTensor;
    const size_t entries = losses_[0].size();
    for (size_t at = 0; at < (tensor ? 1 : entries); ++at) {
      size_t best = 0;
      double least = HUGE_VAL;
      for (size_t c = 0; c < candidates_.size(); ++c) {
        double loss = 0;
        for (size_t i = tensor ? 0 : at; i < (tensor ? entries : at + 1); ++i)
          loss += losses_[c][i];
        if (loss < least) least = loss, best = c;
      }
      params.push_back(solver::CandidateParams(ranges_[at], spec_, candidates_[best]));
    }
    return params;
  }

 private:
  // For [rows, layer.n]: [rows, n] from column `first`.
  std::vector<float> Columns(const float* from, int64_t rows, int64_t first, int64_t n) const {
    std::vector<float> part;
    part.reserve(static_cast<size_t>(rows * n));
    for (int64_t r = 0; r < rows; ++r)
      part.insert(part.end(), from + r * layer_.n + first, from + r * layer_.n + first + n);
    return part;
  }

  void AddLoss(const Tile& tile, int64_t block, int64_t n, const std::vector<float>& x,
               const std::vector<float>& w, const std::vector<float>& y, size_t candidate) {
    std::vector<float> rounded(w.size()), out(y.size());
    for (int64_t o = 0; o < layer_.m; ++o) {
      const int64_t row = tile.group * layer_.m + o;
      const quant::QParams p = solver::CandidateParams(
          ranges_[spec_.ParamIndex(row, block * spec_.ColumnsPerBlock(layer_.n), layer_.n)], spec_,
          candidates_[candidate]);
      for (int64_t i = o * n; i < (o + 1) * n; ++i)
        rounded[static_cast<size_t>(i)] = quant::Dequantize(
            quant::Quantize(w[static_cast<size_t>(i)], p, spec_.grid.qmin(), spec_.grid.qmax()), p);
    }
    engine::MultiplyTransposed(tile.rows, layer_.m, n, x.data(), rounded.data(), out.data());
    std::vector<double>& losses = losses_[candidate];
    for (int64_t r = 0; r < tile.rows; ++r)
      for (int64_t o = 0; o < layer_.m; ++o) {
        const auto i = static_cast<size_t>(r * layer_.m + o);
        losses[static_cast<size_t>((tile.group * layer_.m + o) * blocks_ + block)] +=
            std::fabs(static_cast<double>(out[i]) - y[i]);
      }
  }

  const UnfoldedLayer& layer_;
  const solver::GridSpec& spec_;
  const bool asymmetric_;
  const std::vector<solver::Candidate> candidates_;
  const std::vector<solver::WeightRange> ranges_;
  const int64_t blocks_;
  std::vector<std::vector<double>> losses_;  // [candidates][rows * blocks]
};

}  // namespace

Result<solver::Params> LeastAbsoluteError(const LayerTask& task, StatisticsOptions statistics,
                                          bool asymmetric, int candidates) {
  statistics.held_out = 0;
  Search search(task, asymmetric, candidates);
  RETURN_IF_ERROR(ForEachTile(task.layer, *task.inputs, statistics,
                              [&](const Tile& tile) { search.Add(tile); }));
  return search.Best();
}

}  // namespace roundel::layers
