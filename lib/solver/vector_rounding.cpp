#include "lib/base/vectorize.h"
ROUNDEL_FAST_LOOPS

#include <algorithm>

#include "lib/solver/linalg.h"
#include "lib/solver/vector_rounding.h"

namespace roundel::solver {
namespace {

// Positions per piece, if the levels allow any number: enough for the product in Begin to be
// efficient.
constexpr int64_t kPiece = 48;

// Rounds one position. `value` is the target with the feedback of all positions before it.
ROUNDEL_VECTORIZE_FUSED
void RoundPosition(const VectorLevels& levels, float weight, bool feedback, const float* value,
                   const float* target, float* error, float* level, float* loss) {
  const float* source = feedback ? value : target;
  for (int64_t l = 0; l < kVectorLanes; ++l) {
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
  for (int64_t l = 0; l < kVectorLanes; ++l) value[l] += factor * error[l];
}

}  // namespace

VectorLevels::VectorLevels() {
  std::fill_n(scale, kVectorLanes, 1.0f);
  std::fill_n(low, kVectorLanes, 0.0f);
  std::fill_n(high, kVectorLanes, 0.0f);
}

void VectorLevels::Set(int64_t lane, const Levels& levels) {
  scale[lane] = levels.scale;
  low[lane] = levels.low;
  high[lane] = levels.high;
}

VectorBatch::VectorBatch(const Factor& factor, bool feedback)
    : factor_(factor), feedback_(feedback), loss_(kVectorLanes) {
  const auto size = static_cast<size_t>(factor.n * kVectorLanes);
  target_.resize(size);
  error_.resize(size);
  levels_.resize(size);
}

void VectorBatch::SetTarget(int64_t lane, const float* target) {
  for (int64_t p = 0; p < factor_.n; ++p)
    target_[p * kVectorLanes + lane] = target[factor_.order[p]];
}

void VectorBatch::Begin(int64_t begin, int64_t end) {
  begin_ = begin;
  end_ = end;
  value_.assign(target_.begin() + begin * kVectorLanes, target_.begin() + end * kVectorLanes);
  if (factor_.low_rank()) return BeginLowRank(begin, end);
  if (begin > 0)
    AddProduct(end - begin, kVectorLanes, begin, 1.0f,
               Strided<float>{factor_.S.data() + begin, factor_.n, 1}, error_.data(), kVectorLanes,
               value_.data(), kVectorLanes);
}

void VectorBatch::BeginLowRank(int64_t begin, int64_t end) {
  const int64_t c = factor_.columns, size = end - begin;
  sums_.resize(static_cast<size_t>(c * kVectorLanes));
  // sums += u^T error over the positions rounded since
  AddProduct(c, kVectorLanes, begin - summed_, 1.0f,
             Strided<float>{factor_.u.data() + summed_ * c, c, 1},
             error_.data() + summed_ * kVectorLanes, kVectorLanes, sums_.data(), kVectorLanes);
  summed_ = begin;
  std::vector<float> v(static_cast<size_t>(c * size));  // [c, size]
  for (int64_t i = 0; i < size; ++i)
    for (int64_t k = 0; k < c; ++k) v[k * size + i] = factor_.v[(begin + i) * c + k];
  AddProduct(size, kVectorLanes, c, 1.0f, Strided<float>{v.data(), size, 1}, sums_.data(),
             kVectorLanes, value_.data(), kVectorLanes);
  within_.assign(static_cast<size_t>(size * size), 0.0f);
  AddProduct(size, size, c, 1.0f, Strided<float>{factor_.u.data() + begin * c, 1, c}, v.data(),
             size, within_.data(), size, true);
}

void VectorBatch::Try(const VectorLevels& levels, float* loss) {
  trial_ = value_;
  trial_error_.resize(kVectorLanes);
  trial_levels_.resize(kVectorLanes);
  std::fill_n(loss, kVectorLanes, 0.0f);
  for (int64_t p = begin_; p < end_; ++p) {
    RoundPosition(levels, factor_.T[p], feedback_, trial_.data() + (p - begin_) * kVectorLanes,
                  target_.data() + p * kVectorLanes, trial_error_.data(), trial_levels_.data(),
                  loss);
    for (int64_t i = p + 1; i < end_; ++i)
      AddFeedback(Feedback(p, i), trial_error_.data(), trial_.data() + (i - begin_) * kVectorLanes);
  }
}

void VectorBatch::Round(const std::vector<const VectorLevels*>& by_position) {
  for (int64_t p = begin_; p < end_; ++p) {
    float* error = error_.data() + p * kVectorLanes;
    RoundPosition(*by_position[p - begin_], factor_.T[p], feedback_,
                  value_.data() + (p - begin_) * kVectorLanes, target_.data() + p * kVectorLanes,
                  error, levels_.data() + p * kVectorLanes, loss_.data());
    for (int64_t i = p + 1; i < end_; ++i)
      AddFeedback(Feedback(p, i), error, value_.data() + (i - begin_) * kVectorLanes);
  }
}

void VectorBatch::RoundAll(const VectorLevels& levels) {
  const std::vector<const VectorLevels*> same(kPiece, &levels);
  for (int64_t begin = 0; begin < factor_.n; begin += kPiece) {
    Begin(begin, std::min(factor_.n, begin + kPiece));
    Round(same);
  }
}

}  // namespace roundel::solver
