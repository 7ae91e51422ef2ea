#pragma once
// Scaled dot-product attention over heads, the computation that all attention operators share:
//
//    scores = softcap(scale * q k^T) + mask,  y = softmax(scores) v

#include <functional>

#include "lib/base/status.h"
#include "lib/ops/op.h"

namespace roundel::engine {

// A view [batch, heads, length, width] of the floats of a tensor with any layout in which the
// `width` elements of a row are contiguous.
struct Heads {
  const float* data = nullptr;
  int64_t batch = 0, heads = 0, length = 0, width = 0;
  int64_t batch_step = 0, head_step = 0, row_step = 0;

  const float* Row(int64_t b, int64_t head, int64_t i) const {
    return data + b * batch_step + head * head_step + i * row_step;
  }
};

// x is [batch, heads, length, width], or [batch, length, heads * width], which is split into
// `heads`. kModel for other shapes.
Result<Heads> ViewHeads(const Tensor& x, int64_t heads, const char* what);
// [batch, heads, length, width] row-major.
Heads ViewWhole(const Tensor& x);

struct AttentionCall {
  Heads q, k, v;  // several heads of q may share one head of k and v
  float scale = 1, softcap = 0;
  // Adds to the scores of query row i against all keys; -infinity masks a key. May be empty.
  std::function<void(int64_t batch, int64_t head, int64_t i, float* scores)> mask;
  // Logits that enter the softmax denominator without a value, one per head of q; or nullptr.
  const float* sinks = nullptr;
  // y of query row i starts at y + b * y_batch_step + head * y_head_step + i * y_row_step.
  float* y = nullptr;
  int64_t y_batch_step = 0, y_head_step = 0, y_row_step = 0;
  // The output for the scores, [batch, heads, rows, keys], and the stage at which they are written;
  // or nullptr.
  enum Stage { kProduct, kCapped, kMasked, kSoftmax } stage = kProduct;
  float* scores = nullptr;
};

// kModel unless q, k and v have compatible shapes.
Status CheckHeads(const AttentionCall& call);
// A row whose keys are all masked gives zeros. Parallel over rows.
void Attend(const AttentionCall& call);

// Sets y and its steps for a result [batch, rows, heads * width] (3-D) or [batch, heads, rows,
// width].
Status PrepareOutput(OpContext& context, bool four_dimensional, AttentionCall* call);

// past [batch, heads, past, width] (or nullptr) followed by the rows of `fresh`: as output `output`
// if it is needed, else as a tensor that `joined` keeps. kModel if the shapes are incompatible.
Result<Heads> JoinCache(OpContext& context, size_t output, const Tensor* past, const Heads& fresh,
                        Tensor* joined);

// The attribute scale; 1 / sqrt(width) if it is absent or 0.
float AttentionScale(const graph::Node& node, int64_t width);

}  // namespace roundel::engine
