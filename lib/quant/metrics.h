#pragma once
// Error metrics of a quantized result against the float one. All of them are streaming: they take
// batch after batch in constant memory, and the sums do not depend on the number of threads.

#include <cstdint>
#include <span>
#include <vector>

namespace roundel::quant {

// Sums over pairs (reference r, other o). Pairs with a NaN or infinity are counted and excluded
// from the sums.
class ErrorSums {
 public:
  void Add(std::span<const float> reference, std::span<const float> other);  // same length
  void Merge(const ErrorSums& other);

  int64_t count() const { return count_; }            // pairs in the sums
  int64_t not_finite() const { return not_finite_; }  // excluded pairs
  int64_t broken() const { return broken_; }          // excluded pairs with a finite reference
  // 10 log10(sum r^2 / sum (r-o)^2) in dB: infinite if there is no error, NaN if nothing was added,
  // -infinity if the reference is all zeros and the other is not.
  double Sqnr() const;
  // sum r o / sqrt(sum r^2 sum o^2); 1 if both are all zeros, 0 if only one is.
  double Cosine() const;
  double reference_power() const { return reference_; }  // sum r^2
  double error_power() const { return error_; }          // sum (r-o)^2
  double MaxError() const { return max_error_; }         // max |r-o|
  double RootMeanSquareError() const;

 private:
  int64_t count_ = 0, not_finite_ = 0, broken_ = 0;
  double reference_ = 0, other_ = 0, product_ = 0, error_ = 0;  // sums of r^2, o^2, r o, (r-o)^2
  double max_error_ = 0;
};

// Number of entries that rank before `index`: larger ones, and equal ones with a smaller index. NaN
// ranks last. A label is in the top k if its rank is < k.
int64_t RankOf(std::span<const float> scores, int64_t index);
// Index of rank 0; -1 for an empty span.
int64_t ArgMax(std::span<const float> scores);

// Top-1 and top-5 hits over rows of scores.
struct TopCounts {
  int64_t samples = 0, top1 = 0, top5 = 0;

  // `scores` has one row of `classes` entries per label. Requires every label in [0, classes).
  void Add(std::span<const float> scores, int64_t classes, std::span<const int64_t> labels);
  double Top1Percent() const;  // NaN without samples
  double Top5Percent() const;
};

}  // namespace roundel::quant
