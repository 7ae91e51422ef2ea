#include "lib/solver/vectorize.h"
ROUNDEL_FAST_LOOPS

#include "lib/solver/adaround.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <span>

#include "lib/base/parallel.h"
#include "lib/solver/levels.h"
#include "lib/solver/linalg.h"

namespace roundel::solver {
namespace {

// 2^x and log2(x) by polynomials, for loops that the library's functions would not let vectorise;
// relative error about 1e-5, absolute 1e-4.
inline float Exp2(float x) {
  x = x > -120.0f ? x : -120.0f;
  x = x < 120.0f ? x : 120.0f;
  const float whole = __builtin_floorf(x), f = x - whole;
  const float p =
      1.0f + f * (0.69315307f +
                  f * (0.24015361f + f * (0.055826318f + f * 0.008989389f * (1 + 0.2086f * f))));
  const auto exponent = (static_cast<int32_t>(whole) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}
inline float Log2(float x) {  // x > 0, normal
  const auto bits = std::bit_cast<int32_t>(x);
  const auto exponent = static_cast<float>((bits >> 23) - 127);
  const float f = std::bit_cast<float>((bits & 0x7fffff) | 0x3f800000) - 1.0f;
  const float p =
      f * (1.4419599f + f * (-0.7096554f + f * (0.4175986f + f * (-0.1995f + f * 0.0496f))));
  return exponent + p;
}

inline float Sigmoid(float v) { return 1.0f / (1.0f + Exp2(-1.44269504f * v)); }
inline float Clamp01(float h) {
  h = h > 0.0f ? h : 0.0f;
  return h < 1.0f ? h : 1.0f;
}

// What one step of Adam needs beside the arrays.
struct Step {
  float error_factor;  // 2 s / power of the row, with its sign
  float regulariser;   // lambda, 0 in the warm start
  float beta;
  float rate, root;  // lr / (1 - beta1^t), 1 / (1 - beta2^t)
};

// The arrays of one row, [n] each.
struct Row {
  const float* floor;  // levels
  float *v, *first, *second, *error;
  const float* g;  // H (w* - w^)
};

ROUNDEL_SOLVER_VECTORIZE
void UpdateRow(int64_t n, Row row, Levels levels, Step step) {
  for (int64_t j = 0; j < n; ++j) {
    const float sigmoid = Sigmoid(row.v[j]);
    const float stretched = sigmoid * kSoftStretch + kSoftOffset;
    const float h = Clamp01(stretched);
    const float soft = row.floor[j] + h;
    const float inside = soft >= levels.low && soft <= levels.high ? 1.0f : 0.0f;
    const float slope =
        stretched > 0.0f && stretched < 1.0f ? kSoftStretch * sigmoid * (1.0f - sigmoid) : 0.0f;
    const float centred = 2.0f * h - 1.0f;
    float size = centred > 0.0f ? centred : -centred;
    size = size > 1e-12f ? size : 1e-12f;
    const float power = Exp2((step.beta - 1.0f) * Log2(size));
    const float pull = -2.0f * step.beta * power * (centred > 0.0f ? 1.0f : -1.0f);
    const float gradient =
        slope * (step.regulariser * pull - inside * step.error_factor * row.g[j]);
    row.first[j] = 0.9f * row.first[j] + 0.1f * gradient;
    row.second[j] = 0.999f * row.second[j] + 0.001f * gradient * gradient;
    row.v[j] -= step.rate * row.first[j] / (__builtin_sqrtf(row.second[j] * step.root) + 1e-8f);
  }
}

// error = w* - w^ at the present v.
ROUNDEL_SOLVER_VECTORIZE
void FillError(int64_t n, Row row, const float* target, const float* scale, Levels levels) {
  for (int64_t j = 0; j < n; ++j) {
    float x = row.floor[j] + Clamp01(Sigmoid(row.v[j]) * kSoftStretch + kSoftOffset);
    x = x > levels.low ? x : levels.low;
    x = x < levels.high ? x : levels.high;
    row.error[j] = target[j] - x * scale[j];
  }
}

// Rows per piece of work: each is learnt from the first to the last iteration by one thread, which
// never waits for another, and shares one pass over H per iteration.
constexpr int64_t kRows = 48;

// Rows [begin, end) of one group of a layer. Every array is [end - begin, n].
class Learner {
 public:
  // Row 0 of the group is `first_row` of the layer; power [m] is w* H w* of the group's rows.
  Learner(const Problem& problem, const GridSpec& spec, const Params& params, int64_t first_row,
          int64_t begin, int64_t end, std::span<const double> power);
  void Iterate(const AdaRoundOptions& options, int iteration);
  void ReadCodes(int32_t* codes) const;  // [end - begin, n]

 private:
  Row At(int64_t row, int64_t column);

  const Problem& problem_;
  const int64_t n_, columns_, blocks_, rows_;
  const float* target_;
  std::vector<quant::QParams> params_;  // [rows, blocks]
  std::vector<Levels> levels_;          // [rows, blocks]
  std::vector<float> scale_, floor_, v_, first_, second_, error_, g_;
  std::vector<double> power_;  // [rows]
};

Learner::Learner(const Problem& problem, const GridSpec& spec, const Params& params,
                 int64_t first_row, int64_t begin, int64_t end, std::span<const double> power)
    : problem_(problem),
      n_(problem.n),
      columns_(spec.ColumnsPerBlock(n_)),
      blocks_(spec.Blocks(n_)),
      rows_(end - begin),
      target_(problem.target.data() + begin * n_),
      power_(power.begin() + begin, power.begin() + end) {
  const auto size = static_cast<size_t>(rows_ * n_);
  for (std::vector<float>* array : {&scale_, &floor_, &v_, &first_, &second_, &error_, &g_})
    array->resize(size);
  for (int64_t row = 0; row < rows_; ++row)
    for (int64_t b = 0; b < blocks_; ++b) {
      params_.push_back(params[spec.ParamIndex(first_row + begin + row, b * columns_, n_)]);
      levels_.push_back(LevelsOf(params_.back(), spec.grid));
    }
  for (size_t i = 0; i < size; ++i) {
    const auto row = static_cast<int64_t>(i) / n_, column = static_cast<int64_t>(i) % n_;
    scale_[i] = levels_[row * blocks_ + column / columns_].scale;
    const float x = target_[i] / scale_[i];
    floor_[i] = std::floor(x);
    // h(v) starts at the fraction: soft rounding begins with no error at all.
    const double h = std::clamp(static_cast<double>(x - floor_[i]), 1e-3, 1 - 1e-3);
    v_[i] = static_cast<float>(-std::log(double{kSoftStretch} / (h - double{kSoftOffset}) - 1));
  }
}

Row Learner::At(int64_t row, int64_t column) {
  const int64_t at = row * n_ + column;
  return {floor_.data() + at,  v_.data() + at,     first_.data() + at,
          second_.data() + at, error_.data() + at, g_.data() + at};
}

void Learner::Iterate(const AdaRoundOptions& options, int iteration) {
  const AdaRoundStep at_iteration = AdaRoundStepAt(options, iteration);
  Step step{.regulariser = static_cast<float>(at_iteration.lambda),
            .beta = static_cast<float>(at_iteration.beta),
            .rate = static_cast<float>(at_iteration.rate),
            .root = static_cast<float>(at_iteration.root)};
  for (int64_t row = 0; row < rows_; ++row)
    for (int64_t b = 0, at = 0; b < blocks_; ++b, at += columns_)
      FillError(std::min(columns_, n_ - at), At(row, at), target_ + row * n_ + at,
                scale_.data() + row * n_ + at, levels_[row * blocks_ + b]);
  std::fill(g_.begin(), g_.end(), 0.0f);
  AddProduct(rows_, n_, n_, 1.0f, Strided<float>{error_.data(), 1, n_}, problem_.H.data(), n_,
             g_.data(), n_);
  for (int64_t row = 0; row < rows_; ++row)
    for (int64_t b = 0, at = 0; b < blocks_; ++b, at += columns_) {
      const Levels& levels = levels_[row * blocks_ + b];
      step.error_factor =
          power_[row] > 0 ? static_cast<float>(2 * double{levels.scale} / power_[row]) : 0.0f;
      UpdateRow(std::min(columns_, n_ - at), At(row, at), levels, step);
    }
}

void Learner::ReadCodes(int32_t* codes) const {
  for (size_t i = 0; i < v_.size(); ++i) {
    const auto row = static_cast<int64_t>(i) / n_, column = static_cast<int64_t>(i) % n_;
    const size_t block = static_cast<size_t>(row * blocks_ + column / columns_);
    const Levels& levels = levels_[block];
    float x = floor_[i] + (v_[i] >= 0 ? 1.0f : 0.0f);  // h >= 1/2
    x = x > levels.low ? x : levels.low;
    x = x < levels.high ? x : levels.high;
    codes[i] = CodeOf(x, params_[block]);
  }
}

}  // namespace

AdaRoundStep AdaRoundStepAt(const AdaRoundOptions& options, int iteration) {
  const double share = static_cast<double>(iteration) / std::max(1, options.iterations);
  const bool warm = share < options.warm_start;
  const double fall = warm ? 0 : (share - options.warm_start) / (1 - options.warm_start);
  return {.lambda = warm ? 0.0 : options.lambda,
          .beta = options.beta_end + (options.beta_start - options.beta_end) * 0.5 *
                                         (1 + std::cos(std::numbers::pi * fall)),
          .rate = options.learning_rate / (1 - std::pow(0.9, iteration + 1)),
          .root = 1 / (1 - std::pow(0.999, iteration + 1))};
}

Solution AdaRound(Layer layer, const GridSpec& spec, const Params& params,
                  const AdaRoundOptions& options) {
  Solution solution = EmptySolution(layer, spec, params);
  if (!solution.codes.empty())
    ParallelFor(static_cast<int64_t>(layer.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t g = begin; g < end; ++g) {
        const Problem& p = layer[g];
        const std::vector<double> power = RowErrors(p, std::vector<float>(p.target.size()));
        ParallelFor(p.m, kRows, [&](int64_t from, int64_t to) {
          Learner learner(p, spec, params, g * p.m, from, to, power);
          for (int i = 0; i < options.iterations; ++i) learner.Iterate(options, i);
          learner.ReadCodes(solution.codes.data() + (g * p.m + from) * p.n);
        });
      }
    });
  Score(layer, spec, &solution);
  return solution;
}

}  // namespace roundel::solver
