#include "lib/base/vectorize.h"
ROUNDEL_FAST_LOOPS

#include "lib/solver/adaround.h"

#include <algorithm>

#include "lib/base/interrupt.h"
#include "lib/base/parallel.h"
#include "lib/solver/descent.h"
#include "lib/solver/ldlq.h"
#include "lib/solver/levels.h"
#include "lib/solver/linalg.h"

namespace roundel::solver {
namespace {

constexpr int kCheckInterval = 32;  // iterations between two searches for settled weights

// H of the columns that are not settled yet, for the product with one vector: pieces of kWide
// columns, each [columns][kWide].
constexpr int64_t kWide = 32;
typedef float Vector __attribute__((vector_size(64), aligned(4), may_alias));

// g [n rounded up to kWide] = rest + H e
ROUNDEL_VECTORIZE_FUSED
void Multiply(int64_t n, const float* pieces, const float* e, const float* rest, float* g) {
  for (int64_t from = 0; from < n; from += kWide, rest += kWide, g += kWide) {
    Vector sum[2][2] = {
        {reinterpret_cast<const Vector*>(rest)[0], reinterpret_cast<const Vector*>(rest)[1]}, {}};
    int64_t j = 0;
    for (; j + 2 <= n; j += 2, pieces += 2 * kWide)
      for (int64_t k = 0; k < 2; ++k) {
        const auto* h = reinterpret_cast<const Vector*>(pieces + k * kWide);
        sum[k][0] += e[j + k] * h[0];
        sum[k][1] += e[j + k] * h[1];
      }
    for (; j < n; ++j, pieces += kWide) {
      sum[0][0] += e[j] * reinterpret_cast<const Vector*>(pieces)[0];
      sum[0][1] += e[j] * reinterpret_cast<const Vector*>(pieces)[1];
    }
    reinterpret_cast<Vector*>(g)[0] = sum[0][0] + sum[1][0];
    reinterpret_cast<Vector*>(g)[1] = sum[0][1] + sum[1][1];
  }
}

// A row that continues separately with its unsettled columns, in a separate matrix.
class SeparateRow {
 public:
  // The row has the weights [first, first + n) of `all`.
  SeparateRow(const Problem& problem, SoftWeights* all, int64_t first, float factor)
      : problem_(problem), all_(all), first_(first), factor_(factor) {
    for (int64_t j = 0; j < problem.n; ++j) columns_.push_back(j);
    for (auto [to, from] : {std::pair{&own_.rest, &all->rest},
                            {&own_.step, &all->step},
                            {&own_.v, &all->v},
                            {&own_.first, &all->first},
                            {&own_.second, &all->second}})
      to->assign(from->begin() + first, from->begin() + first + problem.n);
    constant_.resize(columns_.size());
    error_.resize(columns_.size());
  }

  void Learn(std::span<const AdaRoundStep> schedule, size_t from) {
    for (size_t i = from; i < schedule.size(); ++i) {
      if ((i - from) % kCheckInterval == 0 && !DropSettled(i == from)) break;
      SoftErrors(own_, 0, own_.size(), error_.data());
      Multiply(own_.size(), pieces_.data(), error_.data(), constant_.data(), slope_.data());
      LearnStep(&own_, 0, own_.size(), slope_.data(), factor_, schedule[i]);
    }
    WriteBack();
  }

 private:
  void WriteBack() {
    for (size_t k = 0; k < columns_.size(); ++k)
      all_->v[static_cast<size_t>(first_ + columns_[k])] = own_.v[k];
  }

  // Removes settled columns: their contribution to H e is constant. False if none is left. Copying
  // H pays off once a fifth of the columns is settled.
  bool DropSettled(bool always) {
    std::vector<int64_t> stay, settled;
    for (int64_t k = 0; k < own_.size(); ++k) (Settled(own_, k) ? settled : stay).push_back(k);
    if (stay.empty()) return false;
    if (!always && settled.size() * 5 < columns_.size()) return true;
    WriteBack();
    SoftErrors(own_, 0, own_.size(), error_.data());
    const auto padded = (stay.size() + kWide - 1) / kWide * kWide;
    std::vector<float> constant(padded);
    for (size_t a = 0; a < stay.size(); ++a) {
      const float* h = problem_.H.data() + columns_[stay[a]] * problem_.n;
      constant[a] = constant_[stay[a]];
      for (const int64_t s : settled) constant[a] += h[columns_[s]] * error_[s];
    }
    constant_ = std::move(constant);
    Keep(stay);
    CopyMatrix();
    return true;
  }

  void Keep(const std::vector<int64_t>& stay) {
    const auto keep = [&](auto* array) {
      for (size_t a = 0; a < stay.size(); ++a) (*array)[a] = (*array)[stay[a]];
      array->resize(stay.size());
    };
    for (auto* array : {&own_.rest, &own_.step, &own_.v, &own_.first, &own_.second}) keep(array);
    keep(&columns_);
  }

  void CopyMatrix() {
    const size_t n = columns_.size(), padded = constant_.size();
    error_.resize(n);
    slope_.resize(padded);
    pieces_.assign(n * padded, 0.0f);
    for (size_t j = 0; j < n; ++j) {
      const float* h = problem_.H.data() + columns_[j] * problem_.n;
      for (size_t k = 0; k < n; ++k)
        pieces_[k / kWide * kWide * n + j * kWide + k % kWide] = h[columns_[k]];
    }
  }

  const Problem& problem_;
  SoftWeights* all_;
  const int64_t first_;
  const float factor_;
  std::vector<int64_t> columns_;  // of the row
  SoftWeights own_;               // of those columns; without codes
  std::vector<float> pieces_, constant_, error_, slope_;
};

// Whether a row with `open` unsettled columns is faster separately: the vector product reads its
// matrix each time, the matrix product of many rows reads it once.
bool FasterSeparately(double open, double n) {
  constexpr double kCache = 512;  // columns whose matrix fits the cache of one core
  return open * open * (open <= kCache ? 3 : 9) <= n * n || open <= 2 * kWide;
}

// Rows [begin, begin + rows) of one group, of which row 0 is `first_row` of the layer.
struct Rows {
  int64_t first_row, begin, rows;
};

void LearnRows(const Problem& p, const PackedMatrix& h, Rows at, std::span<const double> power,
               std::span<const AdaRoundStep> schedule, SoftWeights* soft) {
  const auto factor = [&](int64_t row) {  // of the relative error, by w^
    const double of_row = power[static_cast<size_t>(at.begin + row)];
    return of_row > 0 ? static_cast<float>(-2 / of_row) : 0.0f;
  };
  std::vector<float> error(soft->v.size()), slope(soft->v.size());
  size_t i = 0;
  for (; i < schedule.size() && !Interrupted(); ++i) {
    if (i % kCheckInterval == 0) {
      int64_t open = 0;
      for (int64_t k = 0; k < soft->size(); ++k) open += Settled(*soft, k) ? 0 : 1;
      if (FasterSeparately(static_cast<double>(open) / static_cast<double>(at.rows),
                           static_cast<double>(p.n)))
        break;
    }
    SoftErrors(*soft, 0, soft->size(), error.data());
    std::fill(slope.begin(), slope.end(), 0.0f);
    AddProduct(at.rows, 1.0f, Strided<float>{error.data(), 1, p.n}, h, slope.data(), p.n);
    for (int64_t row = 0; row < at.rows; ++row)
      LearnStep(soft, row * p.n, (row + 1) * p.n, slope.data() + row * p.n, factor(row),
                schedule[i]);
  }
  for (int64_t row = 0; row < at.rows && !Interrupted(); ++row)
    SeparateRow(p, soft, row * p.n, factor(row)).Learn(schedule, i);
}

// Rows per piece of work: one thread learns them from the first to the last iteration and never
// waits for another.
constexpr int64_t kRows = 48;

}  // namespace

Solution AdaRound(Layer layer, const GridSpec& spec, const Params& params,
                  const AdaRoundOptions& options) {
  if (IsLowRank(layer)) {
    Solution solution = Ldlq(layer, spec, params);
    CoordinateDescent(layer, spec, &solution);
    return solution;
  }
  Solution solution = EmptySolution(layer, spec, params);
  std::vector<AdaRoundStep> schedule;
  for (int i = 0; i < options.iterations; ++i) schedule.push_back(AdaRoundStepAt(options, i));
  if (!solution.codes.empty())
    ParallelFor(static_cast<int64_t>(layer.size()), 1, [&](int64_t first, int64_t last) {
      for (int64_t g = first; g < last; ++g) {
        const Problem& p = layer[g];
        const std::vector<double> power = RowErrors(p, std::vector<float>(p.target.size()));
        const PackedMatrix h(p.H.data(), p.n, p.n);
        ParallelFor(p.m, kRows, [&](int64_t begin, int64_t end) {
          const Rows at{g * p.m, begin, end - begin};
          const auto target = std::span(p.target).subspan(begin * p.n, at.rows * p.n);
          SoftWeights soft = StartSoftWeights(target, p.n, spec, params, at.first_row + begin);
          LearnRows(p, h, at, power, schedule, &soft);
          for (int64_t k = 0; k < soft.size(); ++k)
            solution.codes[(g * p.m + begin) * p.n + k] = RoundedCode(soft, k);
        });
      }
    });
  Score(layer, spec, &solution);
  return solution;
}

}  // namespace roundel::solver
