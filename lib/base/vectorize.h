#pragma once
// Attributes of functions with plain loops: the function is compiled for several instruction sets,
// and the best one that the processor has is chosen when the program starts.
//
//   ROUNDEL_VECTORIZE        all versions round alike: no fused multiply-add
//   ROUNDEL_VECTORIZE_FUSED  fused multiply-add allowed, for results that need not match others
//                            bit for bit (solvers). Requires ROUNDEL_FAST_LOOPS on top of the file
//
// The choice at program start is not compatible with the address sanitizer.

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
