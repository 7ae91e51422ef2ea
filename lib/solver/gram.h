#pragma once
// What the solvers know of a layer's data: second-order sums of the inputs and outputs of one
// group, gathered once, after which no sample is needed any more.
//
//   x: one column of the unfolded input (n values: input channels of the group times kernel taps),
//      as the quantized model will see it
//   y: what the float model's layer gives at that position, without its bias (m values)

#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/status.h"

namespace roundel::solver {

struct Gram {
  int64_t n = 0, m = 0;
  double count = 0;        // columns seen
  std::vector<double> xx;  // [n, n] sum x x^T; only entries with column >= row are kept up and read
  std::vector<double> x;   // [n] sum x
  // Targets. All three empty in the symmetric case, y = W x.
  std::vector<double> yx;  // [m, n] sum y x^T: the layout of the weights
  std::vector<double> y;   // [m] sum y
  std::vector<double> yy;  // [m] sum y^2

  Gram() = default;
  // All zeros; without targets if !asymmetric.
  Gram(int64_t inputs, int64_t outputs, bool asymmetric);
  bool asymmetric() const { return !yx.empty(); }

  // Adds `rows` columns: x is [rows, n], y is [rows, m] (ignored if symmetric), row-major.
  // Parallel; the sums depend on how the columns are cut into calls, not on the number of threads.
  void Observe(std::span<const float> x_rows, std::span<const float> y_rows, int64_t rows);
  // Adds what another one of the same layer saw (both symmetric or both not).
  void Add(const Gram& other);
};

// Sizes agree, counts and sums are finite, squares not negative. kData otherwise.
Status CheckGram(const Gram& gram);

// What the bias gains at the rounded weights w_hat [m, n] so that the mean of the output stays what
// it is in the float model: mean(y) - w_hat mean(x). `w` [m, n] are the float weights (read in the
// symmetric case only). Zeros if nothing was seen.
std::vector<double> BestBiasShift(const Gram& gram, std::span<const float> w,
                                  std::span<const float> w_hat);

}  // namespace roundel::solver
