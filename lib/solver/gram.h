#pragma once
// The Gram matrix of a layer's inputs, and their products with its outputs: sums over one group,
// gathered once. Solvers need no samples after that.
//
//   x: one column of the unfolded input (n values: input channels of the group times kernel taps),
//      as the quantized model computes it
//   y: the output of the float model's layer at that position, without its bias (m values)

#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/status.h"

namespace roundel::solver {

struct Gram {
  int64_t n = 0, m = 0;
  double count = 0;        // number of columns
  std::vector<double> xx;  // [n, n] sum x x^T; only column >= row is maintained and read
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
  // Adds the sums of another Gram of the same layer. Requires: both are symmetric, or both are not.
  void Add(const Gram& other);
};

// Checks that sizes agree, counts and sums are finite, and squares are not negative. Errors: kData.
Status CheckGram(const Gram& gram);

// The change of the bias that keeps the mean of the output at that of the float model, for rounded
// weights w_hat [m, n]: mean(y) - w_hat mean(x). `w` [m, n] are the float weights (read in the
// symmetric case only). Zeros if there were no columns.
std::vector<double> BestBiasShift(const Gram& gram, std::span<const float> w,
                                  std::span<const float> w_hat);

}  // namespace roundel::solver
