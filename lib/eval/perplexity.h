#pragma once
// Perplexity of language models and the divergence between two of them.

#include <vector>

#include "lib/base/status.h"
#include "lib/eval/evaluation.h"
#include "lib/tensor/tensor.h"

namespace roundel::eval {

// Adds the predictions of tokens 1.. of each row. `ids` [batch, seq] are integers; `first` (and
// `second`, if not null) are float logits [batch, seq, vocab]. Errors: kData if shapes differ.
Status AddTokens(const Tensor& ids, const Tensor& first, const Tensor* second, TokenSums* sums);

// The only input of integers [batch, seq], and the first output of floats [batch, seq, vocab].
// Errors: kUsage if there are none.
struct TokenSlots {
  size_t ids = 0, logits = 0;
};
Result<TokenSlots> FindTokenSlots(const std::vector<Tensor>& inputs,
                                  const std::vector<Tensor>& outputs);

}  // namespace roundel::eval
