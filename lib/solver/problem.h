#pragma once
// The two quadratic forms that solvers work on, made from a Gram:
//
//   Objective  J_o(w^): the exact mean squared error of output o against the float model, for any
//              weights w^; it scores solutions, also on held-out data
//
//   Problem    (w^ - w*)^T H (w^ - w*): the form that solvers minimize, row by row; up to a
//              constant J on the calibration set, plus a ridge that keeps w^ near the original
//              weights

#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/status.h"
#include "lib/solver/gram.h"
#include "lib/solver/low_rank.h"

namespace roundel::solver {

// J_o(w^) = e^T H e - 2 e^T r_o + J_o(w) with e = w^ - w_o: expanded around the float weights, so
// that a small error is not a difference of large numbers.
struct Objective {
  int64_t n = 0, m = 0;
  double count = 0;
  std::vector<float> H;  // [n, n] mean of x x^T (centered with a free bias), both triangles; or
  LowRank low_rank;      // the same of a layer with fewer columns than inputs; H is empty then
  std::vector<float>
      residual;               // [m, n] r_o = mean of (y_o - w_o x) x^T; empty in the symmetric case
  std::vector<double> base;   // [m] J_o(w_o): error of the quantized inputs alone; 0 if symmetric
  std::vector<double> power;  // [m] mean of y_o^2 (its variance with a free bias)
  std::vector<float> w;       // [m, n] the float weights
  std::vector<float> misses;  // [m, columns] y_o - w_o x of every column of low_rank
};

// Errors: kModel unless `w` holds m x n finite values.
Status CheckWeights(std::span<const float> w, int64_t m, int64_t n);

// The sums come from products in float: an input with a variance below this share of its second
// moment counts as constant, because such a variance is rounding noise.
inline constexpr double kVarianceNoise = 1e-5;

// `free_bias`: the bias will be set to its best value (BestBiasShift), so that sums are centered.
// Errors: kData if sums are not finite or sizes differ, kModel if weights are not finite. With
// count 0 all sums are 0.
Result<Objective> MakeObjective(const Gram& gram, std::span<const float> w, bool free_bias);
// The same from the columns themselves, without an [n, n] matrix.
Result<Objective> MakeObjective(const Columns& columns, std::span<const float> w, bool free_bias);

// J_o(w_hat_o) for each of the m rows: mean squared output error, >= 0.
std::vector<double> OutputErrors(const Objective& objective, std::span<const float> w_hat);

struct ProblemOptions {
  bool free_bias = true;
  // false: the target is W x of the same inputs (AIMET's SeqMSE, plain GPTQ) even if the Gram has
  // y.
  bool asymmetric = true;
  // Ridge l diag(H) around the original weights, with l = clamp(n / count, ridge_min, ridge_max):
  // the fewer columns, the larger l. It is proportional to each input, because one constant for all
  // would drown small inputs next to large ones; so it also shrinks H towards its diagonal. It is
  // also the "damping" of GPTQ: solvers add no other one. 0 and 0: no ridge.
  double ridge_min = 0.01, ridge_max = 1;
};

// One group of a layer. Rows are outputs, and independent except for shared scales.
struct Problem {
  int64_t m = 0, n = 0;
  std::vector<float> H;       // [n, n] symmetric, positive semidefinite, both triangles; or
  LowRank low_rank;           // the same in another form; H is empty then
  std::vector<float> target;  // [m, n] w*: the best real weights
  std::vector<float> w;       // [m, n] the original weights: ranges of the grid start from them

  double Diagonal(int64_t j) const {  // of H
    return low_rank.used() ? low_rank.Diagonal(j) : double{H[static_cast<size_t>(j * n + j)]};
  }
};

// w* = (H + R)^-1 (d + R w) with R the ridge, d the mean of y x^T. The symmetric case has w* = w.
// Constant inputs, singular H and empty sums are allowed: weights that the data does not
// determine stay at their original values, and without any data (count 0, H = 0) H becomes the
// identity.
Result<Problem> MakeProblem(const Objective& objective, const ProblemOptions& options);
// Both steps.
Result<Problem> MakeProblem(const Gram& gram, std::span<const float> w,
                            const ProblemOptions& options = {});
// Sets H to that of the objective with a ridge, and keeps the target. Returns false if there is no
// data: H is then the identity.
bool SetRidge(const Objective& objective, double ridge, Problem* problem);

// (w_hat - w*)^T H (w_hat - w*) for each of the m rows, in double.
std::vector<double> RowErrors(const Problem& problem, std::span<const float> w_hat);

}  // namespace roundel::solver
