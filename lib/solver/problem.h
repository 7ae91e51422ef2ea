#pragma once
// From sums to the two quadratic forms that everything here works on:
//
//   Objective  J_o(w^): the mean squared error of output o against the float model, exactly, for
//   any
//              weights w^; used to score, also on held-out data
//   Problem    (w^ - w*)^T H (w^ - w*): what the solvers minimise, row by row; J of the calibration
//              data plus a ridge that holds w^ near the original weights, up to a constant

#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/status.h"
#include "lib/solver/gram.h"
#include "lib/solver/low_rank.h"

namespace roundel::solver {

// J_o(w^) = e^T H e - 2 e^T r_o + J_o(w) with e = w^ - w_o: written around the float weights, so
// that small errors are not differences of large numbers.
struct Objective {
  int64_t n = 0, m = 0;
  double count = 0;
  std::vector<float> H;  // [n, n] mean of x x^T (centred with a free bias), both triangles; or
  LowRank low_rank;      // the same of a layer with fewer columns than inputs; H is empty then
  std::vector<float>
      residual;               // [m, n] r_o = mean of (y_o - w_o x) x^T; empty in the symmetric case
  std::vector<double> base;   // [m] J_o(w_o): what the quantized inputs alone do; 0 if symmetric
  std::vector<double> power;  // [m] mean of y_o^2 (its variance with a free bias)
  std::vector<float> w;       // [m, n] the float weights
  std::vector<float> misses;  // [m, columns] y_o - w_o x of every column, as low_rank has them
};

// kModel unless `w` holds m x n finite values.
Status CheckWeights(std::span<const float> w, int64_t m, int64_t n);

// The sums come from products in float: a variance below this share of the second moment is noise, and the
// input a constant.
inline constexpr double kVarianceNoise = 1e-5;

// `free_bias`: the bias will be set to its best value (BestBiasShift), hence centred statistics.
// kData if the sums are not finite or sizes differ, kModel if weights are not finite. count 0: all
// 0.
Result<Objective> MakeObjective(const Gram& gram, std::span<const float> w, bool free_bias);
// The same from the columns themselves: nothing is [n, n].
Result<Objective> MakeObjective(const Columns& columns, std::span<const float> w, bool free_bias);

// J_o(w_hat_o) for each of the m rows: mean squared output error, >= 0.
std::vector<double> OutputErrors(const Objective& objective, std::span<const float> w_hat);

struct ProblemOptions {
  bool free_bias = true;
  // false: the target is W x of the same inputs (AIMET's SeqMSE, plain GPTQ) even if the Gram has
  // y.
  bool asymmetric = true;
  // Ridge l diag(H), anchored at the original weights, with l = clamp(n / count, ridge_min,
  // ridge_max): the fewer columns, the less H is trusted. In proportion to each input, because one
  // amount for all drowns small inputs beside large ones; so it is a shrinkage towards the diagonal
  // as well. It is the "damping" of GPTQ, too: no solver adds another one by itself. 0 and 0: none.
  double ridge_min = 0.01, ridge_max = 1;
};

// One group of a layer. Rows are outputs and independent of one another, apart from shared scales.
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
// Inputs that never vary, singular H and empty statistics are safe: what the data does not
// determine stays at the original weight, and with no information at all (count 0, H = 0) H becomes
// the identity.
Result<Problem> MakeProblem(const Objective& objective, const ProblemOptions& options);
// Both steps.
Result<Problem> MakeProblem(const Gram& gram, std::span<const float> w,
                            const ProblemOptions& options = {});
// Sets H to that of the objective with a ridge, and leaves the target. False if the data tells nothing:
// H is then the identity.
bool SetRidge(const Objective& objective, double ridge, Problem* problem);

// (w_hat - w*)^T H (w_hat - w*) for each of the m rows, in double.
std::vector<double> RowErrors(const Problem& problem, std::span<const float> w_hat);

}  // namespace roundel::solver
