#pragma once
// The parts of a ratio of sums that single samples contribute, for confidence intervals.

#include <cstdint>
#include <vector>

namespace roundel::eval {

// Keeps a bounded number of units: beyond it neighbours are added up in pairs, then in fours, so
// that memory does not depend on the number of samples.
class UnitSums {
 public:
  void Add(double numerator, double denominator) {
    if (filled_ == 0) {
      numerators_.push_back(0);
      denominators_.push_back(0);
    }
    numerators_.back() += numerator;
    denominators_.back() += denominator;
    ++samples_;
    filled_ = (filled_ + 1) % per_unit_;
    if (filled_ == 0 && numerators_.size() == kMostUnits) Halve();
  }

  int64_t samples() const { return samples_; }
  const std::vector<double>& numerators() const { return numerators_; }
  const std::vector<double>& denominators() const { return denominators_; }

  static constexpr size_t kMostUnits = 4096;

 private:
  void Halve() {
    for (std::vector<double>* sums : {&numerators_, &denominators_}) {
      for (size_t i = 0; i < kMostUnits / 2; ++i) (*sums)[i] = (*sums)[2 * i] + (*sums)[2 * i + 1];
      sums->resize(kMostUnits / 2);
    }
    per_unit_ *= 2;
  }

  std::vector<double> numerators_, denominators_;
  int64_t samples_ = 0, per_unit_ = 1, filled_ = 0;  // samples in the last unit; 0 = it is full
};

}  // namespace roundel::eval
