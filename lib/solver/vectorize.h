#pragma once
// Marks a loop that is compiled for several instruction sets, the best of which is chosen when the
// program starts. Unlike elsewhere in the tree, products and sums may be fused here: a solver's
// result need not have the bits of any other program. Files that use it start with
// ROUNDEL_FAST_LOOPS.

#ifdef __clang__
#define ROUNDEL_SOLVER_VECTORIZE
#define ROUNDEL_FAST_LOOPS
#else
#define ROUNDEL_SOLVER_VECTORIZE \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define ROUNDEL_FAST_LOOPS _Pragma("GCC optimize(\"O3\", \"fp-contract=fast\")")
#endif
