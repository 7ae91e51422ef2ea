#include "lib/eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "lib/base/text.h"

namespace roundel::eval {
namespace {

// log sum exp of a row.
double LogSum(std::span<const float> row) {
  const double top = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float x : row) sum += std::exp(static_cast<double>(x) - top);
  return top + std::log(sum);
}

// sum p (log p - log q) with p, q = softmax of the rows.
double Divergence(std::span<const float> p, double p_sum, std::span<const float> q, double q_sum) {
  double kl = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double log_p = p[i] - p_sum;
    kl += std::exp(log_p) * (log_p - (q[i] - q_sum));
  }
  return kl;
}

}  // namespace

double TokenSums::Perplexity() const {
  return tokens == 0 ? 0 : std::exp(cross_entropy / static_cast<double>(tokens));
}
double TokenSums::SecondPerplexity() const {
  return tokens == 0 ? 0 : std::exp(second_cross_entropy / static_cast<double>(tokens));
}
double TokenSums::RisePercent() const { return 100 * (SecondPerplexity() / Perplexity() - 1); }
double TokenSums::MeanKl() const { return tokens == 0 ? 0 : kl / static_cast<double>(tokens); }

Status AddTokens(const Tensor& ids, const Tensor& first, const Tensor* second, TokenSums* sums) {
  const int64_t rows = ids.dim(0), length = ids.dim(1), vocabulary = first.dim(2);
  if (first.dim(0) != rows || first.dim(1) != length || vocabulary == 0 ||
      (second && second->shape() != first.shape()))
    return DataError(StrCat("perplexity: ids ", ShapeString(ids.shape()), " and logits ",
                            ShapeString(first.shape()), " do not match"));
  const std::vector<int64_t> tokens = ids.ToInt64s();
  const Tensor a = first.ToFloat(), b = second ? second->ToFloat() : Tensor();
  const auto width = static_cast<size_t>(vocabulary);
  for (int64_t row = 0; row < rows; ++row) {
    double entropy = 0, second_entropy = 0, kl = 0;
    for (int64_t i = 1; i < length; ++i) {
      const int64_t token = tokens[static_cast<size_t>(row * length + i)];
      if (token < 0 || token >= vocabulary)
        return DataError(StrCat("perplexity: token ", token, " in a vocabulary of ", vocabulary));
      const auto at = static_cast<size_t>((row * length + i - 1) * vocabulary);
      const auto x = a.span<float>().subspan(at, width);
      const double x_sum = LogSum(x);
      entropy += x_sum - x[static_cast<size_t>(token)];
      if (!second) continue;
      const auto y = b.span<float>().subspan(at, width);
      const double y_sum = LogSum(y);
      second_entropy += y_sum - y[static_cast<size_t>(token)];
      kl += Divergence(x, x_sum, y, y_sum);
    }
    if (length < 2) continue;
    sums->tokens += length - 1;
    sums->cross_entropy += entropy;
    if (!second) continue;
    sums->second_cross_entropy += second_entropy;
    sums->kl += kl;
    sums->rise_units.Add(second_entropy - entropy, static_cast<double>(length - 1));
    sums->kl_units.Add(kl, static_cast<double>(length - 1));
  }
  return OkStatus();
}

Result<TokenSlots> FindTokenSlots(const std::vector<Tensor>& inputs,
                                  const std::vector<Tensor>& outputs) {
  TokenSlots slots{inputs.size(), outputs.size()};
  for (size_t i = inputs.size(); i-- > 0;)
    if (IsInteger(inputs[i].dtype()) && inputs[i].rank() == 2) slots.ids = i;
  for (size_t i = outputs.size(); i-- > 0;)
    if (IsFloating(outputs[i].dtype()) && outputs[i].rank() == 3) slots.logits = i;
  if (slots.ids < inputs.size() && slots.logits < outputs.size()) return slots;
  return UsageError("perplexity needs token ids [batch, seq] and logits [batch, seq, vocabulary]");
}

}  // namespace roundel::eval
