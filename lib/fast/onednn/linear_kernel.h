#pragma once
// The frame that convolutions and matrix products share: a primitive with constant weights and
// bias, as many post-ops inside it as it takes, the rest as loops over its result.

#include <functional>
#include <memory>
#include <optional>

#include "lib/fast/loops/post_ops.h"
#include "lib/fast/onednn/prepared_cache.h"
#include "lib/fast/onednn/primitive.h"

namespace roundel::engine {

// One primitive for one input shape.
struct PreparedLinear {
  Primitive primitive;         // none: no fast implementation, the plain kernel takes over
  PackedTensor weights;        // undefined if they are an input
  const void* bias = nullptr;  // owned by the kernel
  bool sums = false;           // adds to what the destination holds (residual)
  std::shared_ptr<PostOpRunner> rest;
};

// Fills primitive, weights and bias for an epilogue; false if there is no fast implementation.
using MakePrimitive = std::function<bool(const Epilogue&, PreparedLinear*)>;

// Constant weights in the formats that primitives want; input shapes whose primitives want the same
// share one copy.
class PackedWeights {
 public:
  PackedWeights() = default;
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  // Weights that lie as `desc` says, for `primitive`; undefined if the memory limit leaves no room
  // for the copy.
  PackedTensor Get(const TensorDesc& desc, const LinearWeights& weights,
                   const Primitive& primitive);

 private:
  std::vector<PackedTensor> packed_;
  Tensor plain_;  // of primitives that take them as they are
  int64_t bytes_ = 0;
};

// Of a bias of floats; undefined and nullptr without one.
TensorDesc BiasDesc(const Tensor& bias);
const void* BiasData(const Tensor& bias);

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
