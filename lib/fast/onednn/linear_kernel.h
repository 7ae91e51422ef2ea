#pragma once
// The common frame of convolutions and matrix products: a primitive, with constant weights and bias
// or with those of the run, which computes as many post-ops as it supports; the others are loops
// over its result.

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
  Primitive packing;           // of weights that are an input; empty if they are used as they are
  const void* bias = nullptr;  // owned by the kernel
  int bias_input = -1;         // of a bias that is an input
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

// Weights and bias of a layer: constants of the model, or inputs 1 and 2 of its node.
class LayerWeights {
 public:
  explicit LayerWeights(const KernelSpec& spec);
  // The shape of the weights in this run; nullptr if they are no floats.
  const Shape* ShapeIn(const FastContext& context) const;
  // False if the bias is not one float per channel.
  bool BiasFits(const FastContext& context, int64_t channels) const;
  TensorDesc BiasFor(int64_t channels) const;
  // Gives `out` weights and bias for its primitive; `plain` describes the weights as they are
  // stored. False if memory is exhausted.
  bool Fill(const TensorDesc& plain, PreparedLinear* out);

 private:
  const LinearWeights weights_;  // undefined: inputs of the run
  const Tensor bias_;
  const bool has_bias_input_;
  PackedWeights packed_;
};

// Prepares for weights that are stored as `plain` says and may change from run to run.
bool PackEachRun(const TensorDesc& plain, PreparedLinear* out);
// Replaces the address of the weights by that of a packed copy; false if memory is exhausted.
bool Pack(FastContext& context, const PreparedLinear& prepared, const void** weights);

class LinearPostOps {
 public:
  explicit LinearPostOps(const KernelSpec& spec) : LinearPostOps(spec.post_ops) {}
  explicit LinearPostOps(std::vector<PostOp> ops);
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
// layout; input 1, row-major, holds the weights if they are not constant. False: declined.
bool RunLinear(FastContext& context, PreparedLinear& prepared, int residual, const Shape& shape,
               Layout layout);

}  // namespace roundel::engine
