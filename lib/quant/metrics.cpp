#include "lib/quant/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/check.h"
#include "lib/base/parallel.h"

namespace roundel::quant {
namespace {

constexpr int64_t kGrain = 1 << 16;  // elements per chunk of a parallel sum
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool RanksBefore(float a, float b) { return std::isnan(b) ? !std::isnan(a) : a > b; }

double Percent(int64_t part, int64_t whole) {
  return whole == 0 ? kNaN : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

void ErrorSums::Add(std::span<const float> reference, std::span<const float> other) {
  INVARIANT(reference.size() == other.size(), "compared tensors differ in size");
  const auto sum_chunk = [&](int64_t begin, int64_t end) {
    ErrorSums sums;
    for (int64_t i = begin; i < end; ++i) {
      const double r = reference[static_cast<size_t>(i)], o = other[static_cast<size_t>(i)];
      if (!std::isfinite(r) || !std::isfinite(o)) {
        ++sums.not_finite_;
        sums.broken_ += std::isfinite(r);
        continue;
      }
      ++sums.count_;
      sums.reference_ += r * r;
      sums.other_ += o * o;
      sums.product_ += r * o;
      sums.error_ += (r - o) * (r - o);
      sums.max_error_ = std::max(sums.max_error_, std::abs(r - o));
    }
    return sums;
  };
  const auto fold = [](ErrorSums a, const ErrorSums& b) {
    a.Merge(b);
    return a;
  };
  Merge(
      ParallelReduce(static_cast<int64_t>(reference.size()), kGrain, ErrorSums{}, sum_chunk, fold));
}

void ErrorSums::Merge(const ErrorSums& other) {
  count_ += other.count_;
  not_finite_ += other.not_finite_;
  broken_ += other.broken_;
  reference_ += other.reference_;
  other_ += other.other_;
  product_ += other.product_;
  error_ += other.error_;
  max_error_ = std::max(max_error_, other.max_error_);
}

double ErrorSums::Sqnr() const {
  if (count_ == 0) return kNaN;
  if (error_ == 0) return kInfinity;
  return 10 * std::log10(reference_ / error_);
}

double ErrorSums::Cosine() const {
  if (count_ == 0) return kNaN;
  if (reference_ == 0 && other_ == 0) return 1;
  if (reference_ == 0 || other_ == 0) return 0;
  // Two roots: the product of the sums may overflow where each does not.
  return product_ / (std::sqrt(reference_) * std::sqrt(other_));
}

double ErrorSums::RootMeanSquareError() const {
  return count_ == 0 ? kNaN : std::sqrt(error_ / static_cast<double>(count_));
}

int64_t RankOf(std::span<const float> scores, int64_t index) {
  INVARIANT(index >= 0 && index < static_cast<int64_t>(scores.size()), "index of a score");
  const float own = scores[static_cast<size_t>(index)];
  int64_t rank = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(scores.size()); ++i) {
    const float score = scores[static_cast<size_t>(i)];
    rank += RanksBefore(score, own) || (i < index && !RanksBefore(own, score));
  }
  return rank;
}

int64_t ArgMax(std::span<const float> scores) {
  int64_t best = scores.empty() ? -1 : 0;
  for (size_t i = 1; i < scores.size(); ++i)
    if (RanksBefore(scores[i], scores[static_cast<size_t>(best)])) best = static_cast<int64_t>(i);
  return best;
}

void TopCounts::Add(std::span<const float> scores, int64_t classes,
                    std::span<const int64_t> labels) {
  INVARIANT(classes > 0 && scores.size() == labels.size() * static_cast<size_t>(classes),
            "one row of scores per label");
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto width = static_cast<size_t>(classes);
    const int64_t rank = RankOf(scores.subspan(i * width, width), labels[i]);
    ++samples;
    top1 += rank < 1;
    top5 += rank < 5;
  }
}

double TopCounts::Top1Percent() const { return Percent(top1, samples); }
double TopCounts::Top5Percent() const { return Percent(top5, samples); }

}  // namespace roundel::quant
