#pragma once
// In front of a function with a plain loop: compiled once per instruction set, the best of which is
// chosen when the program starts.
//
//   ROUNDEL_VECTORIZE        all versions round alike: no product is fused with a sum
//   ROUNDEL_VECTORIZE_FUSED  they may be, where a result need not have the bits of any other program
//                            (solvers); such a file starts with ROUNDEL_FAST_LOOPS
//
// Choosing at the start does not go together with the address sanitizer.

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define ROUNDEL_VECTORIZE __attribute__((target_clones("avx512f", "avx2", "default")))
#define ROUNDEL_VECTORIZE_FUSED \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ROUNDEL_VECTORIZE
#define ROUNDEL_VECTORIZE_FUSED
#endif

#ifdef __clang__
#define ROUNDEL_FAST_LOOPS
#else
#define ROUNDEL_FAST_LOOPS _Pragma("GCC optimize(\"O3\", \"fp-contract=fast\")")
#endif
