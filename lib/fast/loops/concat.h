#pragma once
// The positions of the inputs of a Concat in its result.

#include <optional>
#include <vector>

#include "lib/fast/fast_kernel.h"

namespace roundel::engine {

struct ConcatPlan {
  Shape shape;
  Layout layout = Layout::kPlain;  // channels-last if one of the inputs is
  std::vector<int64_t> run;        // elements of each input per outer index
  int64_t outer = 1, total = 0;    // total: the sum of run
};

// nullopt if the float inputs are incompatible.
std::optional<ConcatPlan> PlanConcat(FastContext& context, int64_t axis);

}  // namespace roundel::engine
