#pragma once
// Masks and biases that attention operators add to their scores.

#include "lib/base/status.h"
#include "lib/ops/kernels/attention_core.h"

namespace roundel::engine {

// A mask or bias as floats, broadcast to [batch, heads, rows, keys] from the right; keys beyond its
// last dimension are masked.
struct ScoreBias {
  Tensor values;
  int64_t columns = 0, steps[3] = {0, 0, 0};

  void AddTo(int64_t b, int64_t head, int64_t i, float* scores, int64_t keys) const;
};

// For booleans, true keeps a key. kModel if the shape does not broadcast to the scores of `q`.
Result<ScoreBias> ReadBias(const Tensor& mask, const Heads& q, int64_t keys);

// mask_index or key_padding_mask of the com.microsoft operators: [batch, keys] or [batch, rows,
// keys], where positive values keep a key; [batch] ends of the keys; [2 * batch] ends, then starts.
// `filter` is added to the scores of the other keys.
Result<ScoreBias> ReadPadding(const OpContext& context, size_t i, const Heads& q, int64_t keys,
                              float filter);

}  // namespace roundel::engine
