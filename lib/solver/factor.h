#pragma once
// H = (I+S) T (I+S)^T with S strictly upper triangular and T diagonal, for a given order of the
// columns. T_j is the cost of an error in column j after all later columns have compensated it
// optimally.

#include <cstdint>
#include <vector>

#include "lib/solver/ldlq.h"

namespace roundel::solver {

struct Factor {
  int64_t n = 0;
  std::vector<int64_t> order;  // [n] position -> column
  std::vector<float> S;        // [n, n] in positions; entries above the diagonal; or empty:
  std::vector<float> T;        // [n] >= 0
  // For a low-rank Problem, S_ab = u_a . v_b for a < b; both [n, columns], in positions.
  int64_t columns = 0;
  std::vector<float> u, v;

  bool low_rank() const { return S.empty(); }
};

// order[position] = column. Ties keep the natural order.
std::vector<int64_t> ColumnOrder(const Problem& problem, Order order);
// Blocks by falling mean diagonal, columns within a block by falling diagonal (kActivation);
// otherwise natural or reversed as a whole. Blocks stay contiguous.
std::vector<int64_t> ColumnOrderOfBlocks(const Problem& problem, int64_t block_size, Order order);

Factor MakeFactor(const Problem& problem, std::vector<int64_t> order);

}  // namespace roundel::solver
