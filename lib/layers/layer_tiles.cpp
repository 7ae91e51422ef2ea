#include "lib/layers/layer_tiles.h"

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/matmul/sgemm.h"
#include "lib/tensor/held_out.h"
#include "lib/walk/columns.h"

namespace roundel::layers {
namespace {

constexpr int64_t kMinColumns = 16384, kWideInputs = 2000;
// Columns per tile: enough for an efficient matrix product, few enough for the memory.
constexpr int64_t kTile = 2048, kMinTile = 256, kTileValues = 32'000'000;
constexpr int64_t kRound = 64;  // maximum number of batches in parallel
// for smaller products a call of the library is too expensive
constexpr int64_t kPlainProduct = 64;

// The result of one batch: chosen columns of all groups, [groups][rows, n], held-out ones last.
struct Piece {
  int64_t rows[2] = {};                     // for the solver, held out
  std::vector<float> reference, quantized;  // the latter is empty if it is the same

  int64_t total() const { return rows[0] + rows[1]; }
  // Rows of one side of a group.
  const float* Of(const std::vector<float>& values, int64_t group, int side, int64_t n) const {
    return values.data() + (group * total() + (side == 1 ? rows[0] : 0)) * n;
  }
};

// Batches are read in parallel, in rounds of about as many columns as a tile has, and passed on in
// order: the tiles do not depend on the number of threads.
class Tiler {
 public:
  Tiler(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
        const StatisticsOptions& options, const std::function<void(const Tile&)>& f)
      : layer_(layer),
        inputs_(inputs),
        options_(options),
        f_(f),
        samples_(inputs.samples()),
        held_out_(options.held_out, inputs.originals()) {
    taps_ = layer.transposed() ? layer.layer.kernel : 1;
    n_ = layer.n / taps_;
    m_ = layer.m * taps_;
    for (size_t g = 0; g < layer.weight.size(); ++g)
      weights_.push_back(GroupWeight(static_cast<int64_t>(g)));
    tile_ = std::clamp(kTileValues / (layer.groups * n_), kMinTile, kTile);
  }

  // Columns of the whole sweep, if all batches are like the first.
  Result<int64_t> Count() const {
    ASSIGN_OR_RETURN(const Source first, Load(0));
    const int64_t samples = std::max<int64_t>(1, first.batch.samples);
    return (std::ssize(first.chosen[0]) + std::ssize(first.chosen[1])) * samples_ / samples;
  }

  Status Run() {
    int64_t round = 1;  // until the first batch shows its number of columns
    for (int64_t begin = 0; begin < inputs_.batches(); begin += round) {
      if (begin == 1)
        round = std::clamp(tile_ / std::max<int64_t>(1, columns_per_batch_), int64_t{1}, kRound);
      const int64_t count = std::min(round, inputs_.batches() - begin);
      RETURN_IF_ERROR(count == 1 ? AddAlone(begin) : AddRound(begin, count));
    }
    return OkStatus();
  }

 private:
  // A batch and its chosen positions.
  struct Source {
    walk::LayerBatch batch;
    walk::Columns columns;
    std::vector<int64_t> chosen[2];
  };

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
          rows[r * n_ + layer_.Column(i, k)] =
              row[static_cast<size_t>(i * layer_.layer.kernel + k)];
    }
  }

  // The number of columns to take from each sample.
  int64_t PerSample() const {
    const int64_t per_input = n_ > kWideInputs
                                  ? std::max<int64_t>(1, options_.columns_per_input / 2)
                                  : options_.columns_per_input;
    int64_t wanted = std::max(kMinColumns, per_input * n_);
    if (options_.max_columns > 0) wanted = std::min(wanted, options_.max_columns);
    return (wanted + samples_ - 1) / samples_;
  }

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

  Result<Source> Load(int64_t index) const {
    Source source;
    ASSIGN_OR_RETURN(source.batch, inputs_.Load(index));
    const walk::LayerBatch& batch = source.batch;
    const Tensor& x = batch.quantized;
    if (x.dtype() != DType::kFloat || batch.reference.shape() != x.shape())
      return ModelError(StrCat("node ", layer_.layer.node->DisplayName(),
                               ": its input is not float32 of one shape in both models"));
    ASSIGN_OR_RETURN(source.columns,
                     walk::Columns::Create(layer_.layer, layer_.weight_shape, x.shape()));
    const int64_t positions = source.columns.positions();
    const bool even = batch.samples > 0 && positions % batch.samples == 0;
    const int64_t pieces = even ? batch.samples : 1,
                  count = positions / std::max<int64_t>(1, pieces);
    for (int64_t s = 0; s < pieces && count > 0; ++s) {
      const int64_t sample = batch.first_sample + s;
      Choose(sample, s * count, count, &source.chosen[held_out_(batch.original + s)]);
    }
    return source;
  }

  Piece Read(const Source& source, std::span<const int64_t> train,
             std::span<const int64_t> held_out) const {
    Piece piece{.rows = {std::ssize(train), std::ssize(held_out)}};
    std::vector<int64_t> chosen(train.begin(), train.end());
    chosen.insert(chosen.end(), held_out.begin(), held_out.end());
    const auto read = [&](const Tensor& from, std::vector<float>* to) {
      to->resize(static_cast<size_t>(layer_.groups * piece.total() * n_));
      // Pieces of groups, or of rows if there are few groups.
      constexpr int64_t kRows = 64;
      const int64_t parts = (piece.total() + kRows - 1) / kRows;
      ParallelFor(layer_.groups * parts, parts > 1 ? 1 : 8, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t g = i / parts, first = i % parts * kRows;
          const int64_t rows = std::min(kRows, piece.total() - first);
          float* at = to->data() + (g * piece.total() + first) * n_;
          source.columns.Read(
              from.data<float>(),
              std::span(chosen).subspan(static_cast<size_t>(first), static_cast<size_t>(rows)), g,
              at);
          if (taps_ == 1 && layer_.tap_major()) PutTapsFirst(at, rows);
        }
      });
    };
    read(source.batch.reference, &piece.reference);
    const Tensor& quantized = source.batch.quantized;
    if (!options_.reference_inputs &&
        quantized.data<float>() != source.batch.reference.data<float>())
      read(quantized, &piece.quantized);
    return piece;
  }

  Status AddAlone(int64_t index) {
    ASSIGN_OR_RETURN(const Source source, Load(index));
    const std::span<const int64_t> train = source.chosen[0], held_out = source.chosen[1];
    columns_per_batch_ = std::ssize(train) + std::ssize(held_out);
    const auto size = static_cast<size_t>(tile_);
    for (size_t at = 0; at < train.size(); at += size)
      HandOn({Read(source, train.subspan(at, std::min(size, train.size() - at)), {})});
    for (size_t at = 0; at < held_out.size(); at += size)
      HandOn({Read(source, {}, held_out.subspan(at, std::min(size, held_out.size() - at)))});
    return OkStatus();
  }

  Status AddRound(int64_t begin, int64_t count) {
    std::vector<Piece> pieces(static_cast<size_t>(count));
    std::vector<Status> problems(static_cast<size_t>(count));
    ParallelFor(count, 1, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const auto source = Load(begin + i);
        if (source.ok())
          pieces[static_cast<size_t>(i)] = Read(*source, source->chosen[0], source->chosen[1]);
        else
          problems[static_cast<size_t>(i)] = source.status();
      }
    });
    for (Status& problem : problems) RETURN_IF_ERROR(std::move(problem));
    HandOn(pieces);
    return OkStatus();
  }

  void HandOn(const std::vector<Piece>& pieces) const {
    const auto group = [&](int64_t g) {
      for (int side = 0; side < 2; ++side) HandOn(pieces, g, side);
    };
    // Many small groups in parallel, few large ones one after another.
    if (layer_.groups >= 8)
      ParallelFor(layer_.groups, 1, [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; ++g) group(g);
      });
    else
      for (int64_t g = 0; g < layer_.groups; ++g) group(g);
  }

  void HandOn(const std::vector<Piece>& pieces, int64_t g, int side) const {
    std::vector<float> reference, quantized;
    const auto gather = [&](bool of_quantized, std::vector<float>* to) {
      for (const Piece& piece : pieces) {
        const auto& values =
            of_quantized && !piece.quantized.empty() ? piece.quantized : piece.reference;
        const float* from = piece.Of(values, g, side, n_);
        to->insert(to->end(), from, from + piece.rows[side] * n_);
      }
    };
    gather(false, &reference);
    const int64_t rows = std::ssize(reference) / n_;
    if (rows == 0) return;
    std::vector<float> y(weights_.empty() ? 0 : static_cast<size_t>(rows * m_));
    if (!weights_.empty())
      Multiply(rows, reference.data(), weights_[static_cast<size_t>(g)].data(), y.data());
    const bool same =
        options_.reference_inputs ||
        std::all_of(pieces.begin(), pieces.end(), [](auto& p) { return p.quantized.empty(); });
    if (!same) gather(true, &quantized);
    f_({g, side == 1, rows, same ? reference : quantized, reference, y});
  }

  // y [rows, m] = x [rows, n] w^T
  void Multiply(int64_t rows, const float* x, const float* w, float* y) const {
    if (m_ * n_ > kPlainProduct) return engine::MultiplyTransposed(rows, m_, n_, x, w, y);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t o = 0; o < m_; ++o) {
        float sum = 0;
        for (int64_t i = 0; i < n_; ++i) sum += x[r * n_ + i] * w[o * n_ + i];
        y[r * m_ + o] = sum;
      }
  }

  const UnfoldedLayer& layer_;
  const walk::LayerInputs& inputs_;
  const StatisticsOptions& options_;
  const std::function<void(const Tile&)>& f_;
  const int64_t samples_;
  const HeldOut held_out_;
  int64_t taps_ = 1, n_ = 0, m_ = 0;
  int64_t tile_ = 0, columns_per_batch_ = 0;
  std::vector<std::vector<float>> weights_;
};

}  // namespace

Status ForEachTile(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                   const StatisticsOptions& options, const std::function<void(const Tile&)>& f) {
  return Tiler(layer, inputs, options, f).Run();
}

Result<int64_t> ColumnsOf(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                          const StatisticsOptions& options) {
  const std::function<void(const Tile&)> none;
  return Tiler(layer, inputs, options, none).Count();
}

}  // namespace roundel::layers
