#pragma once
// Post-ops as separate loops: for post-ops that a primitive does not support, and for element-wise
// nodes.

#include <cstdint>
#include <memory>
#include <span>

#include "lib/fast/fast_kernel.h"

namespace roundel::engine {

// The kinds that need a polynomial; defined in lib/fast/onednn.
class TranscendentalOps {
 public:
  virtual ~TranscendentalOps() = default;
  // to[i] = op(from[i]); false if it is not supported.
  virtual bool Run(const PostOp& op, const float* from, float* to, int64_t n) = 0;
};
std::unique_ptr<TranscendentalOps> MakeTranscendentalOps();

class PostOpRunner {
 public:
  explicit PostOpRunner(std::vector<PostOp> ops);
  // Applies all ops one after another; `from` may equal `to`. kAdd adds addend[i].
  void Run(const float* from, float* to, int64_t n, const float* addend = nullptr);
  bool empty() const { return ops_.empty(); }
  const std::vector<PostOp>& ops() const { return ops_; }

 private:
  std::vector<PostOp> ops_;
  std::unique_ptr<TranscendentalOps> transcendental_;
};

}  // namespace roundel::engine
