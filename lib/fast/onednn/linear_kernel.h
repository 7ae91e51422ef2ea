#pragma once
// The common frame of convolutions and matrix products: a primitive with constant weights and bias,
// which computes as many post-ops as it supports; the others are loops over its result.

#include <functional>
#include <memory>
#include <optional>

#include "lib/fast/loops/post_ops.h"
#include "lib/fast/onednn/prepared_cache.h"
#include "lib/fast/onednn/primitive.h"

namespace roundel::engine {

// One primitive for one input shape.
struct PreparedLinear {
  Primitive primitive;         // empty: no fast implementation, the plain kernel runs
  PackedTensor weights;        // undefined if they are an input
  const void* bias = nullptr;  // owned by the kernel
  bool sums = false;           // adds to the contents of the destination (residual)
  std::shared_ptr<PostOpRunner> rest;
};

// Fills primitive, weights and bias for an epilogue; false if there is no fast implementation.
using MakePrimitive = std::function<bool(const Epilogue&, PreparedLinear*)>;

// Constant weights in the formats that primitives choose; input shapes whose primitives choose the
// same format share one copy.
class PackedWeights {
 public:
  PackedWeights() = default;
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  // Weights that are stored as `desc` says, for `primitive`; undefined if a copy would exceed the
  // memory limit.
  PackedTensor Get(const TensorDesc& desc, const LinearWeights& weights,
                   const Primitive& primitive);

 private:
  std::vector<PackedTensor> packed_;
  Tensor plain_;  // for primitives that take them unchanged
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
  // Makes the primitive with all post-ops, or with none.
  PreparedLinear Prepare(const MakePrimitive& make) const;

 private:
  bool CanFuse() const;

  std::vector<PostOp> ops_;
  int residual_ = -1;
};

// Runs the prepared primitive: the source is input 0 in `layout`; the result has `shape` in that
// layout; input 1, row-major, holds the weights if none were packed. False: declined.
bool RunLinear(FastContext& context, PreparedLinear& prepared, int residual, const Shape& shape,
               Layout layout);

}  // namespace roundel::engine
