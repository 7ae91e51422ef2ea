#pragma once
// Scaled dot-product attention over heads, the sum behind every attention operator:
//
//   scores = softcap(scale * q k^T) + mask,  y = softmax(scores) v

#include <functional>

#include "lib/base/status.h"
#include "lib/ops/op.h"

namespace roundel::engine {

// [batch, heads, length, width] seen in the floats of a tensor that may be laid out otherwise; the
// `width` elements of a row lie together.
struct Heads {
  const float* data = nullptr;
  int64_t batch = 0, heads = 0, length = 0, width = 0;
  int64_t batch_step = 0, head_step = 0, row_step = 0;

  const float* Row(int64_t b, int64_t head, int64_t i) const {
    return data + b * batch_step + head * head_step + i * row_step;
  }
};

// x [batch, heads, length, width], or [batch, length, heads * width] cut into `heads`. kModel if it
// is neither.
Result<Heads> ViewHeads(const Tensor& x, int64_t heads, const char* what);
// [batch, heads, length, width] row-major.
Heads ViewWhole(const Tensor& x);

struct AttentionCall {
  Heads q, k, v;  // several heads of q may share one of k and v
  float scale = 1, softcap = 0;
  // Adds to the scores of query row i against all keys; -infinity leaves a key out. May be empty.
  std::function<void(int64_t batch, int64_t head, int64_t i, float* scores)> mask;
  // What joins the sum of a head's softmax without a value: one logit per head of q; or nullptr.
  const float* sinks = nullptr;
  // y of query row i starts at y + b * y_batch_step + head * y_head_step + i * y_row_step.
  float* y = nullptr;
  int64_t y_batch_step = 0, y_head_step = 0, y_row_step = 0;
  // Where to leave the scores, [batch, heads, rows, keys], and at which stage; or nullptr.
  enum Stage { kProduct, kCapped, kMasked, kSoftmax } stage = kProduct;
  float* scores = nullptr;
};

// kModel unless q, k and v fit together.
Status CheckHeads(const AttentionCall& call);
// A row without any key gives zeros. Parallel over rows.
void Attend(const AttentionCall& call);

// Sets y and its steps for a result [batch, rows, heads * width] (3-D) or [batch, heads, rows,
// width].
Status PrepareOutput(OpContext& context, bool four_dimensional, AttentionCall* call);

// past [batch, heads, past, width] (or nullptr) followed by the rows of `fresh`, as output `output`
// if wanted, else as a tensor that `joined` keeps. kModel if they do not fit.
Result<Heads> JoinCache(OpContext& context, size_t output, const Tensor* past, const Heads& fresh,
                        Tensor* joined);

// scale attribute, or 1 / sqrt(width) where it is absent or 0.
float AttentionScale(const graph::Node& node, int64_t width);

}  // namespace roundel::engine
