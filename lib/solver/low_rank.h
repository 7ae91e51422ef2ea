#pragma once
// Layers with fewer columns than inputs (a Gemm after a Flatten has one column per sample). Their
// Gram matrix has at most the rank `columns`, so that all computations use the space of the columns
// instead of n dimensions. Memory and time: n * columns instead of n^2.

#include <cstdint>
#include <span>
#include <vector>

namespace roundel::solver {

// The columns themselves, which a Gram sums up.
struct Columns {
  int64_t n = 0, count = 0;
  std::vector<float> x;          // [count, n] as the quantized model computes them
  std::vector<float> reference;  // [count, n] as the float model computes them; empty: same

  void Observe(std::span<const float> x_rows, std::span<const float> reference_rows, int64_t rows);
  void Add(const Columns& other);  // of the same layer
};

// The change of the bias for rounded weights w_hat [m, n], as BestBiasShift of a Gram.
std::vector<double> BestBiasShift(const Columns& columns, std::span<const float> w,
                                  std::span<const float> w_hat);

// H = diag(ridge) + u u^T
struct LowRank {
  int64_t columns = 0;
  std::vector<float> u;      // [n, columns]
  std::vector<float> ridge;  // [n] >= 0

  bool used() const { return !ridge.empty(); }
  int64_t n() const { return static_cast<int64_t>(ridge.size()); }
  const float* Row(int64_t j) const { return u.data() + j * columns; }
  double Diagonal(int64_t j) const;
  // [size, size] H of the inputs [begin, begin + size).
  std::vector<float> Block(int64_t begin, int64_t size) const;
};

// [rows, columns] e u for e [rows, n].
std::vector<double> Project(const LowRank& h, const std::vector<double>& e, int64_t rows);
// [rows] e^T H e.
std::vector<double> QuadraticForms(const LowRank& h, const std::vector<double>& e, int64_t rows);
// H^-1 b for the rows of b [rows, n], in place; requires ridge > 0. By Woodbury's identity, through
// a system of `columns` unknowns.
void SolveLowRank(const LowRank& h, int64_t rows, std::vector<double>* b);

}  // namespace roundel::solver
