#pragma GCC optimize("O3", "no-trapping-math")
#include "lib/fast/loops/post_ops.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"
#include "lib/ops/kernels/vector_math.h"

namespace roundel::engine {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements; 64 kB, which fit into the second-level cache

bool IsSimple(PostOpKind kind) {
  switch (kind) {
    case PostOpKind::kRelu:
    case PostOpKind::kClip:
    case PostOpKind::kLinear:
    case PostOpKind::kHardSwish:
    case PostOpKind::kAbs:
    case PostOpKind::kSqrt:
    case PostOpKind::kErf:
    case PostOpKind::kAdd: return true;
    default: return false;
  }
}

ROUNDEL_VECTORIZE void Relu(const float* from, float* to, int64_t n, float slope) {
  if (slope == 0) {  // 0 * x would be -0
    for (int64_t i = 0; i < n; ++i) to[i] = from[i] < 0 ? 0 : from[i];
    return;
  }
  for (int64_t i = 0; i < n; ++i) to[i] = from[i] < 0 ? slope * from[i] : from[i];
}
ROUNDEL_VECTORIZE void Clip(const float* from, float* to, int64_t n, float low, float high) {
  for (int64_t i = 0; i < n; ++i) {
    const float x = from[i] < low ? low : from[i];
    to[i] = x > high ? high : x;
  }
}
ROUNDEL_VECTORIZE void Linear(const float* from, float* to, int64_t n, float a, float b) {
  for (int64_t i = 0; i < n; ++i) to[i] = a * from[i] + b;
}
ROUNDEL_VECTORIZE void HardSwish(const float* from, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    float gate = from[i] * (1.0f / 6) + 0.5f;
    gate = gate < 0 ? 0 : gate;
    to[i] = from[i] * (gate > 1 ? 1 : gate);
  }
}
ROUNDEL_VECTORIZE void Abs(const float* from, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = std::fabs(from[i]);
}
ROUNDEL_VECTORIZE void Sqrt(const float* from, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = std::sqrt(from[i]);
}
ROUNDEL_VECTORIZE void Erf(const float* from, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = ErfFloat(from[i]);
}
ROUNDEL_VECTORIZE void Add(const float* from, const float* other, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = from[i] + other[i];
}

// oneDNN is faster; this is for sizes that it does not support.
float Transcendental(const PostOp& op, float x) {
  switch (op.kind) {
    case PostOpKind::kSigmoid: return 1 / (1 + std::exp(-x));
    case PostOpKind::kTanh: return std::tanh(x);
    case PostOpKind::kElu: return x > 0 ? x : op.alpha * std::expm1(x);
    case PostOpKind::kSwish: return x / (1 + std::exp(-op.alpha * x));
    case PostOpKind::kGelu: return 0.5f * x * (1 + std::erf(x * 0.70710678f));
    default: return std::exp(x);
  }
}

void RunSimple(const PostOp& op, const float* from, float* to, int64_t n, const float* addend) {
  switch (op.kind) {
    case PostOpKind::kRelu: return Relu(from, to, n, op.alpha);
    case PostOpKind::kClip: return Clip(from, to, n, op.alpha, op.beta);
    case PostOpKind::kLinear: return Linear(from, to, n, op.alpha, op.beta);
    case PostOpKind::kHardSwish: return HardSwish(from, to, n);
    case PostOpKind::kAbs: return Abs(from, to, n);
    case PostOpKind::kSqrt: return Sqrt(from, to, n);
    case PostOpKind::kErf: return Erf(from, to, n);
    default: return Add(from, addend, to, n);
  }
}

}  // namespace

PostOpRunner::PostOpRunner(std::vector<PostOp> ops) : ops_(std::move(ops)) {
  for (const PostOp& op : ops_)
    if (!IsSimple(op.kind) && !transcendental_) transcendental_ = MakeTranscendentalOps();
}

void PostOpRunner::Run(const float* from, float* to, int64_t n, const float* addend) {
  for (size_t i = 0; i < ops_.size();) {
    if (!IsSimple(ops_[i].kind)) {
      const PostOp& op = ops_[i++];
      if (!transcendental_->Run(op, from, to, n))
        ParallelFor(n, kGrain, [&](int64_t begin, int64_t end) {
          for (int64_t k = begin; k < end; ++k) to[k] = Transcendental(op, from[k]);
        });
      from = to;
      continue;
    }
    // Consecutive simple ops share one pass over the data, chunk by chunk.
    size_t end = i;
    while (end < ops_.size() && IsSimple(ops_[end].kind)) ++end;
    ParallelFor(n, kGrain, [&](int64_t begin, int64_t stop) {
      const float* source = from + begin;
      for (size_t k = i; k < end; ++k) {
        RunSimple(ops_[k], source, to + begin, stop - begin, addend ? addend + begin : nullptr);
        source = to + begin;
      }
    });
    from = to;
    i = end;
  }
}

}  // namespace roundel::engine
