#pragma once
// The interface of fast kernels to oneDNN, in this project's terms. No header or source outside
// this folder includes the library. Its versions 2 and 3, whose primitives are described
// differently (library_v2.cpp, library_v3.cpp), give the same bits.

#include <memory>
#include <span>
#include <vector>

#include "lib/fast/fast_kernel.h"
#include "lib/fast/value.h"
#include "lib/ops/kernels/spatial.h"

namespace roundel::engine {

// Sizes and type of a tensor, and the positions of its elements.
struct TensorDesc {
  Shape shape;
  DType type = DType::kFloat;    // kFloat, kInt32, kInt8, kUint8
  std::vector<int64_t> strides;  // in elements; empty: the primitive chooses (weights only)

  bool defined() const { return !shape.empty(); }
};
TensorDesc DescOf(const Shape& shape, Layout layout, DType type = DType::kFloat);
TensorDesc AnyDesc(const Shape& shape, DType type = DType::kFloat);
TensorDesc StridedDesc(const Shape& shape, std::vector<int64_t> strides,
                       DType type = DType::kFloat);

constexpr size_t kMaxPrimitiveRank = 12;
// oneDNN takes sizes as int64 but computes some offsets in int: no dimension may exceed that.
bool DimsFit(const Shape& shape);
// Whether this machine, within the limit set for oneDNN, multiplies bytes with sums in 32 bits
// (AVX-512 VNNI).
bool HasByteDotProducts();

// A constant in the order that a primitive needs; copies share it.
class PackedTensor {
 public:
  struct Contents;

  PackedTensor() = default;
  explicit PackedTensor(std::shared_ptr<const Contents> contents)
      : contents_(std::move(contents)) {}
  // Refers to the caller's values, which must outlive it.
  static PackedTensor Borrow(const TensorDesc& desc, const void* values);
  bool defined() const { return contents_ != nullptr; }
  const Contents& contents() const { return *contents_; }

 private:
  std::shared_ptr<const Contents> contents_;
};

// An operation compiled for one set of shapes; empty (false) if there is no implementation that is
// faster than plain loops. Copies share it, and one thread at a time may run it.
class Primitive {
 public:
  struct State;
  // Its operands, as described when it was made.
  struct Operands {
    const void* source = nullptr;
    const void* weights = nullptr;  // if they are not constant
    PackedTensor packed;            // if they are constant
    const void* bias = nullptr;
    void* destination = nullptr;
  };

  Primitive() = default;
  explicit Primitive(std::shared_ptr<State> state) : state_(std::move(state)) {}
  explicit operator bool() const { return state_ != nullptr; }
  const State& state() const { return *state_; }

  // The memory that a run needs in addition to its operands.
  int64_t scratch_bytes() const;
  // Runs and waits; false if oneDNN failed. `scratch` holds scratch_bytes().
  bool Run(const Operands& operands, void* scratch) const;

 private:
  std::shared_ptr<State> state_;
};

// Scratch memory for a run, until the kernel returns; false if memory is exhausted.
bool TakeScratch(FastContext& context, const Primitive& primitive, void** scratch);

// The operations of a primitive on its sums before it stores them.
struct Epilogue {
  std::span<const PostOp> post_ops;  // kAdd adds the contents of the destination
  // (sum + bias) * multiplier[channel], rounded to even and saturated; for results as codes.
  std::span<const float> multiplier;
};
// False for kinds that a primitive does not support.
bool CanAppend(const PostOp& op);

// The operands of sums of products; `bias` may be undefined.
struct LinearDesc {
  TensorDesc source, weights, bias, destination;
};
struct ConvGeometry {
  std::vector<int64_t> strides, dilations, pads_begin,
      pads_end;  // dilations in ONNX's convention: from 1
};
// Weights [M, C, k...] or [groups, M / groups, C / groups, k...], for both.
Primitive MakeConvolution(const LinearDesc& desc, const ConvGeometry& geometry,
                          const Epilogue& epilogue = {});
// The gradient of a convolution with the operands `desc` (no bias): of its source, from the gradient
// of its destination (Operands::source) and the weights; of its weights, from its source and the
// gradient of its destination (Operands::weights).
Primitive MakeConvolutionToSource(const LinearDesc& desc, const ConvGeometry& geometry);
Primitive MakeConvolutionToWeights(const LinearDesc& desc, const ConvGeometry& geometry);
Primitive MakeDeconvolution(const LinearDesc& desc, const ConvGeometry& geometry,
                            const Epilogue& epilogue = {});
// [rows, K] x weights [columns, K]
Primitive MakeInnerProduct(const LinearDesc& desc, const Epilogue& epilogue = {});
// [..., M, K] x [..., K, N] with broadcasting
Primitive MakeMatrixProduct(const LinearDesc& desc, const Epilogue& epilogue = {});

enum class PoolKind { kMax, kAverage, kAverageWithPadding };
Primitive MakePooling(PoolKind kind, const TensorDesc& source, const TensorDesc& destination,
                      const Window& window);
// Over the columns of [rows, columns].
Primitive MakeSoftmax(const Shape& shape, bool logarithm);
// `op` on n floats; also if there is only a reference implementation.
Primitive MakeElementwise(const PostOp& op, int64_t n);

// `values`, stored as `from` says, converted to the order of the weights of `primitive`.
PackedTensor PackWeights(const TensorDesc& from, const void* values, const Primitive& primitive);
bool NeedsOrder(const Primitive& primitive, const TensorDesc& desc);  // of the weights
bool NeedsOrder(const Primitive& primitive, const PackedTensor& packed);
int64_t PackedBytes(const Primitive& primitive);
// The same for weights that change from run to run, as a primitive of its own.
Primitive MakePacking(const TensorDesc& from, const Primitive& primitive);
// The result of `primitive`, in the order that it chooses, to the one that `to` describes.
Primitive MakeUnpacking(const Primitive& primitive, const TensorDesc& to);
bool HasOrder(const Primitive& primitive, const TensorDesc& desc);  // of its result
int64_t ResultBytes(const Primitive& primitive);

}  // namespace roundel::engine
