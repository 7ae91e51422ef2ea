#include "lib/engine/host_facts.h"

#include "lib/fast/onednn/facts.h"

namespace roundel::engine {
namespace {

std::string Architecture() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "aarch64";
#else
  return "other";
#endif
}

std::vector<std::string> Features() {
  std::vector<std::string> features;
#if defined(__x86_64__)
  // The names must be literals; clang knows fewer of them than GCC (lib/tensor/half.cpp).
  if (__builtin_cpu_supports("sse4.2")) features.emplace_back("sse4.2");
  if (__builtin_cpu_supports("avx2")) features.emplace_back("avx2");
  if (__builtin_cpu_supports("fma")) features.emplace_back("fma");
  if (__builtin_cpu_supports("avx512f")) features.emplace_back("avx512f");
  if (__builtin_cpu_supports("avx512bw")) features.emplace_back("avx512bw");
  if (__builtin_cpu_supports("avx512vl")) features.emplace_back("avx512vl");
  if (__builtin_cpu_supports("avx512vnni")) features.emplace_back("avx512vnni");
#endif
  return features;
}

}  // namespace

HostFacts FactsOfHost() {
  const OneDnnFacts onednn = FactsOfOneDnn();
  return {Architecture(), Features(), onednn.version, onednn.isa};
}

}  // namespace roundel::engine
