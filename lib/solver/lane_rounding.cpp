#include "lib/base/vectorize.h"
ROUNDEL_FAST_LOOPS

#include <algorithm>

#include "lib/solver/lane_rounding.h"
#include "lib/solver/linalg.h"

namespace roundel::solver {
namespace {

// Positions per piece where the levels leave the choice: enough for the product in Begin to pay
// off.
constexpr int64_t kPiece = 48;

// Rounds one position. `value` is the target with the feedback of all positions before it.
ROUNDEL_VECTORIZE_FUSED
void RoundPosition(const LaneLevels& levels, float weight, bool feedback, const float* value,
                   const float* target, float* error, float* level, float* loss) {
  const float* source = feedback ? value : target;
  for (int64_t l = 0; l < kLanes; ++l) {
    float x = __builtin_nearbyintf(source[l] / levels.scale[l]);
    x = x > levels.low[l] ? x : levels.low[l];
    x = x < levels.high[l] ? x : levels.high[l];
    const float rounded = x * levels.scale[l];
    const float epsilon = value[l] - rounded;
    level[l] = x;
    error[l] = target[l] - rounded;
    loss[l] += weight * epsilon * epsilon;
  }
}

ROUNDEL_VECTORIZE_FUSED
void AddFeedback(float factor, const float* error, float* value) {
  for (int64_t l = 0; l < kLanes; ++l) value[l] += factor * error[l];
}

}  // namespace

LaneLevels::LaneLevels() {
  std::fill_n(scale, kLanes, 1.0f);
  std::fill_n(low, kLanes, 0.0f);
  std::fill_n(high, kLanes, 0.0f);
}

void LaneLevels::Set(int64_t lane, const Levels& levels) {
  scale[lane] = levels.scale;
  low[lane] = levels.low;
  high[lane] = levels.high;
}

LaneBatch::LaneBatch(const Factor& factor, bool feedback)
    : factor_(factor), feedback_(feedback), loss_(kLanes) {
  const auto size = static_cast<size_t>(factor.n * kLanes);
  target_.resize(size);
  error_.resize(size);
  levels_.resize(size);
}

void LaneBatch::SetTarget(int64_t lane, const float* target) {
  for (int64_t p = 0; p < factor_.n; ++p) target_[p * kLanes + lane] = target[factor_.order[p]];
}

void LaneBatch::Begin(int64_t begin, int64_t end) {
  begin_ = begin;
  end_ = end;
  value_.assign(target_.begin() + begin * kLanes, target_.begin() + end * kLanes);
  if (factor_.low_rank()) return BeginLowRank(begin, end);
  if (begin > 0)
    AddProduct(end - begin, kLanes, begin, 1.0f,
               Strided<float>{factor_.S.data() + begin, factor_.n, 1}, error_.data(), kLanes,
               value_.data(), kLanes);
}

void LaneBatch::BeginLowRank(int64_t begin, int64_t end) {
  const int64_t c = factor_.columns, size = end - begin;
  sums_.resize(static_cast<size_t>(c * kLanes));
  // sums += u^T error over the positions rounded since
  AddProduct(c, kLanes, begin - summed_, 1.0f, Strided<float>{factor_.u.data() + summed_ * c, c, 1},
             error_.data() + summed_ * kLanes, kLanes, sums_.data(), kLanes);
  summed_ = begin;
  std::vector<float> v(static_cast<size_t>(c * size));  // [c, size]
  for (int64_t i = 0; i < size; ++i)
    for (int64_t k = 0; k < c; ++k) v[k * size + i] = factor_.v[(begin + i) * c + k];
  AddProduct(size, kLanes, c, 1.0f, Strided<float>{v.data(), size, 1}, sums_.data(), kLanes,
             value_.data(), kLanes);
  within_.assign(static_cast<size_t>(size * size), 0.0f);
  AddProduct(size, size, c, 1.0f, Strided<float>{factor_.u.data() + begin * c, 1, c}, v.data(),
             size, within_.data(), size, true);
}

void LaneBatch::Try(const LaneLevels& levels, float* loss) {
  trial_ = value_;
  trial_error_.resize(kLanes);
  trial_levels_.resize(kLanes);
  std::fill_n(loss, kLanes, 0.0f);
  for (int64_t p = begin_; p < end_; ++p) {
    RoundPosition(levels, factor_.T[p], feedback_, trial_.data() + (p - begin_) * kLanes,
                  target_.data() + p * kLanes, trial_error_.data(), trial_levels_.data(), loss);
    for (int64_t i = p + 1; i < end_; ++i)
      AddFeedback(Feedback(p, i), trial_error_.data(), trial_.data() + (i - begin_) * kLanes);
  }
}

void LaneBatch::Round(const std::vector<const LaneLevels*>& by_position) {
  for (int64_t p = begin_; p < end_; ++p) {
    float* error = error_.data() + p * kLanes;
    RoundPosition(*by_position[p - begin_], factor_.T[p], feedback_,
                  value_.data() + (p - begin_) * kLanes, target_.data() + p * kLanes, error,
                  levels_.data() + p * kLanes, loss_.data());
    for (int64_t i = p + 1; i < end_; ++i)
      AddFeedback(Feedback(p, i), error, value_.data() + (i - begin_) * kLanes);
  }
}

void LaneBatch::RoundAll(const LaneLevels& levels) {
  const std::vector<const LaneLevels*> same(kPiece, &levels);
  for (int64_t begin = 0; begin < factor_.n; begin += kPiece) {
    Begin(begin, std::min(factor_.n, begin + kPiece));
    Round(same);
  }
}

}  // namespace roundel::solver
