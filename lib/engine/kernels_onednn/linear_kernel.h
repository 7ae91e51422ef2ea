#pragma once
// The frame that convolutions and matrix products share: a primitive with constant weights and
// bias, as many post-ops inside it as it takes, the rest as loops over its result.

#include <functional>
#include <memory>
#include <optional>

#include "lib/engine/fast/post_ops.h"
#include "lib/engine/kernels_onednn/common.h"

namespace roundel::engine {

// One primitive for one input shape.
struct PreparedLinear {
  bool usable = false;  // false: no fast implementation, the plain kernel takes over
  dnnl::primitive primitive;
  dnnl::memory::desc source, destination, scratchpad;
  dnnl::memory::desc weights_desc;  // of weights that are an input
  dnnl::memory weights, bias;       // packed constants; empty if there are none
  bool sums = false;                // adds to what the destination holds (residual)
  std::shared_ptr<PostOpRunner> rest;
  BoundArguments arguments;
};

// What a primitive descriptor's maker is given: attributes with post-ops and a scratchpad of ours.
// Fills primitive, descriptors and weights; false if there is no fast implementation.
using MakePrimitive = std::function<bool(const dnnl::primitive_attr&, PreparedLinear*)>;

// Constant weights in the formats that primitives want; input shapes whose primitives want the same
// share one copy.
class PackedWeights {
 public:
  PackedWeights() = default;
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  // Empty if the memory limit leaves no room for the copy.
  dnnl::memory Get(const dnnl::memory::desc& from_desc, const LinearWeights& from,
                   const dnnl::memory::desc& to_desc);

 private:
  std::vector<dnnl::memory> packed_;
  int64_t bytes_ = 0;
};

class LinearPostOps {
 public:
  explicit LinearPostOps(const KernelSpec& spec);
  // The input that is added to the result; -1 if none.
  int residual() const { return residual_; }
  // Makes the primitive with all post-ops, or else with none.
  PreparedLinear Prepare(const MakePrimitive& make) const;

 private:
  bool CanFuse() const;

  std::vector<PostOp> ops_;
  int residual_ = -1;
};

// Runs what has been prepared: source is input 0 in `layout`, the result has `shape` in that
// layout; input 1, row-major, is the weights if none were packed. False: declined.
bool RunLinear(FastContext& context, PreparedLinear& prepared, int residual, const Shape& shape,
               Layout layout);

}  // namespace roundel::engine
