#pragma once
// The contract of fast kernels: they compute one node, or a chain of nodes with one result, for the
// shapes and options that they support, and decline others. The plain kernels then compute these,
// and report errors. A fast kernel therefore returns no errors.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "lib/fast/value.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

// An operation on every element of a result before it is stored.
enum class PostOpKind {
  kRelu,    // x > 0 ? x : alpha * x
  kClip,    // min(max(x, alpha), beta)
  kLinear,  // alpha * x + beta
  kSigmoid,
  kTanh,
  kElu,        // x > 0 ? x : alpha * (exp(x) - 1)
  kHardSwish,  // x * clip(x / 6 + 1/2, 0, 1)
  kSwish,      // x / (1 + exp(-alpha * x))
  kGelu,       // x * normal_cdf(x)
  kExp,
  kErf,
  kAbs,
  kSqrt,
  kAdd,  // x + input, of the same shape
};
struct PostOp {
  PostOpKind kind = PostOpKind::kRelu;
  float alpha = 0, beta = 0;
  int input = -1;  // kAdd: index into the unit's inputs
};

// A normalization over the last axis: (x - mean) / sqrt(variance + epsilon) * gamma + beta, without
// the mean if not centered.
struct NormSpec {
  bool centered = true;
  float epsilon = 0;
  Tensor gamma, beta;  // [C], may be undefined
};

// Constant weights of the model. Folded scales are applied when the weights are read, so that a
// kernel with packed weights holds no second copy.
class LinearWeights {
 public:
  using Fold = std::function<Tensor(const Tensor&)>;
  LinearWeights() = default;
  LinearWeights(Tensor stored, Fold fold = nullptr)
      : stored_(std::move(stored)), fold_(std::move(fold)) {}

  bool defined() const { return stored_.defined(); }
  const Shape& shape() const { return stored_.shape(); }
  int64_t rank() const { return stored_.rank(); }
  int64_t dim(int64_t axis) const { return stored_.dim(axis); }
  // Calls pack(const void* values), row-major. Temporary memory is released afterwards.
  template <typename Pack>
  auto Read(const Pack& pack) const {
    const Tensor read = stored_.ReadOnce();
    auto packed = fold_ ? pack(fold_(read).raw()) : pack(read.raw());
    read.ReleasePages();
    return packed;
  }
  // The values, for kernels that cannot pack them; valid while the caller keeps them.
  Tensor Values() const {
    if (!fold_) return stored_;
    const Tensor read = stored_.ReadOnce();
    Tensor folded = fold_(read);
    read.ReleasePages();
    return folded;
  }
  void ReleasePages() const { stored_.ReleasePages(); }

 private:
  Tensor stored_;
  Fold fold_;
};

struct KernelSpec {
  const graph::Node* main = nullptr;  // the first node of the chain
  int64_t opset = 0;
  std::vector<const Tensor*> constants;  // by input of the unit; nullptr if not constant
  // Weights and bias of Conv, ConvTranspose, Gemm and MatMul, with all operations of the chain
  // folded in that precede the first post-op (BatchNormalization, constant scales and additions).
  // Undefined if not constant.
  LinearWeights weights;
  Tensor bias;
  std::vector<PostOp> post_ops;
  // >= 0: the chain consists of post_ops on this input only.
  int element_input = -1;
  size_t main_ops = 0;  // number of post_ops that belong to the main node
  // Constants of this rank have been folded in: a result of a lower rank would have been raised to
  // it.
  int64_t min_rank = 0;
  std::optional<NormSpec> norm;  // the chain is this normalization of input 0
  // For ConvInteger and MatMulInteger: the input of the unit by which their sums, cast to float,
  // are multiplied; then `bias` is added.
  int scale_input = -1;
  bool folded = false;  // `weights` and `bias` include folded operations
  // By input of the unit, and for its result: the grid that the value lies on, nullptr if there is
  // none. The encoding of a constant includes its codes.
  std::vector<const quant::Encoding*> encodings;
  const quant::Encoding* output_encoding = nullptr;
};

// The inputs and outputs of one execution. Pointers are valid until the kernel returns.
class FastContext {
 public:
  virtual ~FastContext() = default;
  virtual size_t input_count() const = 0;
  virtual const Value* input(size_t i) const = 0;  // nullptr if absent
  // Elements of float input i in `layout`, converted if they are in the other layout; nullptr if
  // memory is exhausted or the value has no such layout.
  virtual const float* Data(size_t i, Layout layout) = 0;
  // The codes of input i in `layout`; nullptr unless it is held as codes.
  virtual const uint8_t* Codes(size_t i, Layout layout) = 0;
  // Elements of an input of bytes (int8, uint8); nullptr for other types.
  virtual const void* Bytes(size_t i, Layout layout) = 0;
  // True if input i is not needed afterwards and shares its memory with no other value.
  virtual bool CanOverwrite(size_t i) const = 0;
  // The result, exactly one of: a new buffer (nullptr if absurdly large), the same for codes (of a
  // per-tensor grid of 8 bits, which outlives the run), the memory of input i (CanOverwrite; same
  // bytes), or input i under another name.
  virtual float* Output(const Shape& shape, Layout layout) = 0;
  virtual uint8_t* OutputCodes(const Shape& shape, Layout layout,
                               const quant::Encoding& encoding) = 0;
  virtual float* OutputOver(size_t i, const Shape& shape, Layout layout) = 0;
  virtual void OutputView(size_t i, const Shape& shape, Layout layout) = 0;
  // A new buffer for result i, of any type. Kernels of several results make each of them.
  virtual void* OutputOf(size_t i, DType type, const Shape& shape, Layout layout) = 0;
  // Uninitialized memory, valid until the kernel returns; nullptr if the size is too large.
  virtual void* Scratch(int64_t bytes) = 0;
};

class FastKernel {
 public:
  virtual ~FastKernel() = default;
  // False: declined, without output.
  virtual bool Run(FastContext& context) = 0;
};

// nullptr if there is no fast kernel for such a node.
std::unique_ptr<FastKernel> MakeFastKernel(const KernelSpec& spec);

}  // namespace roundel::engine
