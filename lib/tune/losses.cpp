#include "lib/tune/losses.h"

#include <algorithm>
#include <cmath>

#include "lib/tune/block_parts.h"

namespace roundel::tune {

using structure::Block;

LossKind KindOf(const Tuning& s, size_t index, const std::string& value, const Shape& shape) {
  const bool rows = !shape.empty() && shape.back() >= 2;
  if (s.options.loss == LossChoice::kSquared || !rows || s.hidden.contains(value))
    return LossKind::kSquared;
  const bool scores = s.options.loss == LossChoice::kAuto
                          ? HoldsScores(*s.session.model.graph, value, shape)
                          : !ReadAfter(s.blocks, index, value);
  return scores ? LossKind::kDivergence : LossKind::kSquared;
}

Result<std::vector<TargetLoss>> LossesOf(const Tuning& s, size_t index,
                                         const walk::Streams& streams,
                                         const BlockSamples& samples) {
  const Block& block = s.blocks[index];
  ASSIGN_OR_RETURN(const std::vector<double> powers, samples.TargetPowers());
  int64_t inside = 0;
  for (size_t t = 0; t < block.targets; ++t) inside += s.hidden.contains(block.outputs[t]);
  std::vector<TargetLoss> losses;
  for (size_t t = 0; t < block.targets; ++t) {
    const std::string& value = block.outputs[t];
    const Shape& shape = streams.reference(value)[0]->shape();
    const int64_t ends = static_cast<int64_t>(block.targets) - inside;
    losses.push_back({.kind = KindOf(s, index, value, shape),
                      .power = powers[t],
                      .classes = shape.empty() ? 1 : shape.back(),
                      .share = s.hidden.contains(value)
                                   ? s.options.hidden / static_cast<double>(inside)
                                   : 1 / static_cast<double>(ends),
                      .judged = !s.hidden.contains(value)});
  }
  return losses;
}

std::set<std::string> AddHiddenTargets(const graph::Model& model,
                                       const structure::BlockOptions& options,
                                       std::vector<Block>* blocks) {
  structure::BlockOptions small = options;
  small.max_layers = 0;
  std::set<std::string> hidden;
  const std::vector<Block> parts = structure::FindBlocks(model, small);
  for (Block& block : *blocks) {
    std::set<std::string> made;
    for (const size_t i : block.nodes)
      for (const std::string& value : model.graph->nodes()[i]->outputs) made.insert(value);
    for (const Block& part : parts)
      for (size_t t = 0; t < part.targets; ++t) {
        const std::string& value = part.outputs[t];
        const auto ends = block.outputs.begin() + static_cast<int64_t>(block.targets);
        if (!made.contains(value) || std::find(block.outputs.begin(), ends, value) != ends)
          continue;
        block.outputs.insert(ends, value);
        ++block.targets;
        hidden.insert(value);
      }
  }
  return hidden;
}

void LossSum::Add(std::span<const float> reference, std::span<const float> quantized) {
  if (kind_ == LossKind::kSquared) {
    for (size_t i = 0; i < reference.size(); ++i) {
      error_ += std::pow(static_cast<double>(quantized[i]) - reference[i], 2);
      power_ += static_cast<double>(reference[i]) * reference[i];
    }
    return;
  }
  const auto log_sum = [](std::span<const float> row) {
    const double top = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float x : row) sum += std::exp(x - top);
    return top + std::log(sum);
  };
  const auto classes = static_cast<size_t>(classes_);
  for (size_t i = 0; i < reference.size(); i += classes) {
    const auto t = reference.subspan(i, classes), y = quantized.subspan(i, classes);
    const double of_t = log_sum(t), of_y = log_sum(y);
    for (size_t c = 0; c < classes; ++c)
      error_ += std::exp(t[c] - of_t) * ((t[c] - of_t) - (y[c] - of_y));
    ++power_;
  }
}

}  // namespace roundel::tune
