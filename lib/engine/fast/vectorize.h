#pragma once
// ROUNDEL_VECTORIZE in front of a function with a plain loop: compiled once per instruction set,
// chosen when the program starts. All versions round alike: contraction to FMA is off.

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define ROUNDEL_VECTORIZE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define ROUNDEL_VECTORIZE
#endif
