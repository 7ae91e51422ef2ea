#pragma once
// H = (I+S) T (I+S)^T with S strictly upper triangular and T diagonal, for a given order of the
// columns: what an error in one column costs after all later columns have made up for it as well as
// they can.

#include <cstdint>
#include <vector>

#include "lib/solver/ldlq.h"

namespace roundel::solver {

struct Factor {
  int64_t n = 0;
  std::vector<int64_t> order;  // [n] position -> column
  std::vector<float> S;        // [n, n] in positions; entries above the diagonal; or empty, and
  std::vector<float> T;        // [n] >= 0
  // S_ab = u_a . v_b for a < b, of a Problem in low rank: both [n, columns], in positions.
  int64_t columns = 0;
  std::vector<float> u, v;

  bool low_rank() const { return S.empty(); }
};

// order[position] = column. Ties keep the natural order.
std::vector<int64_t> ColumnOrder(const Problem& problem, Order order);
// Blocks by falling mean diagonal, columns within a block by falling diagonal (kActivation);
// natural or reversed as a whole otherwise. Every block stays together.
std::vector<int64_t> ColumnOrderOfBlocks(const Problem& problem, int64_t block_size, Order order);

Factor MakeFactor(const Problem& problem, std::vector<int64_t> order);

}  // namespace roundel::solver
