#pragma once
// A product reads a transposed matrix in place: Transpose -> MatMul becomes FusedMatMul, Transpose ->
// Gemm a Gemm with the other flag.

#include "lib/engine/plan.h"

namespace roundel::engine {

// `node`, which is about to enter `plan`, reads the sources of such Transposes instead of their
// results; true if there are any. Other readers of the results keep them.
bool ReadTransposed(const Plan& plan, PlanNode* node);

}  // namespace roundel::engine
