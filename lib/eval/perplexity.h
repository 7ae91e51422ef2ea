#pragma once
// Perplexity of language models and the divergence between two of them.

#include <vector>

#include "lib/base/status.h"
#include "lib/eval/evaluation.h"
#include "lib/tensor/tensor.h"

namespace roundel::eval {

// Adds the predictions of tokens 1.. of each row. `ids` [batch, seq] are integers, `first` (and
// `second`, if not null) float logits [batch, seq, vocab]. kData where they do not belong together.
Status AddTokens(const Tensor& ids, const Tensor& first, const Tensor* second, TokenSums* sums);

// The only input with integers [batch, seq], and the first output with floats [batch, seq, vocab];
// kUsage if there are none.
struct TokenSlots {
  size_t ids = 0, logits = 0;
};
Result<TokenSlots> FindTokenSlots(const std::vector<Tensor>& inputs,
                                  const std::vector<Tensor>& outputs);

}  // namespace roundel::eval
