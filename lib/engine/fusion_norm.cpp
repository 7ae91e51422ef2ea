// Layer and RMS normalization as chains of nodes that exporters write:
//
//    m = ReduceMean(x); d = Sub(x, m); v = ReduceMean(Pow(d, 2) or Mul(d, d));
//                                                           y = Div(d, Sqrt(v + e))
//    v = ReduceMean(Pow(x, 2) or Mul(x, x));                y = x / Sqrt(v + e)
//
// over the last axis, followed by Mul with a constant gamma and Add of a constant beta.

#include <algorithm>
#include <cmath>

#include "lib/engine/fusion.h"

namespace roundel::engine {
namespace {

class NormMatcher {
 public:
  NormMatcher(const Plan& plan, const ReaderList& readers) : plan_(plan), readers_(readers) {}

  std::optional<NormPattern> Match(int start) {
    const PlanNode& first = plan_.nodes[start];
    if (first.inputs.empty() || first.inputs[0] == kNoSlot) return std::nullopt;
    pattern_.x = first.inputs[0];
    if (plan_.slots[pattern_.x].constant) return std::nullopt;
    const bool matched = first.node.Is("ReduceMean") ? MatchCentered(start) : MatchSquare(start);
    if (!matched) return std::nullopt;
    TakeScale();
    std::sort(pattern_.nodes.begin(), pattern_.nodes.end());
    return pattern_;
  }

 private:
  const PlanNode& node(int i) const { return plan_.nodes[i]; }
  // The slot of the only output; its readers, none if the value is also needed outside the chain.
  int Output(int i) const { return node(i).outputs.size() == 1 ? node(i).outputs[0] : kNoSlot; }
  std::vector<Reader> Readers(int i) const { return readers_(Output(i)); }
  std::optional<Reader> OnlyReader(int i) const {
    const std::vector<Reader> readers = Readers(i);
    return readers.size() == 1 ? std::optional(readers[0]) : std::nullopt;
  }
  bool Take(int i) {
    pattern_.nodes.push_back(i);
    return true;
  }

  bool IsLastAxisMean(int i) const {
    const PlanNode& n = node(i);
    if (!n.node.Is("ReduceMean") || n.node.Int("keepdims", 1) != 1) return false;
    std::vector<int64_t> axes = n.node.Ints("axes");
    if (n.inputs.size() > 1 && n.inputs[1] != kNoSlot) {
      const std::optional<Tensor>& constant = plan_.slots[n.inputs[1]].constant;
      if (!constant || constant->dtype() != DType::kInt64) return false;
      axes = constant->ToInt64s();
    }
    return axes == std::vector<int64_t>{-1};
  }

  // Pow(value, 2) or Mul(value, value).
  bool IsSquareOf(int i, int slot) const {
    const PlanNode& n = node(i);
    if (n.inputs.size() != 2 || n.inputs[0] != slot) return false;
    if (n.node.Is("Mul")) return n.inputs[1] == slot;
    const Tensor* exponent = n.node.Is("Pow") ? FloatConstant(plan_, n, 1) : nullptr;
    return exponent && exponent->size() == 1 && exponent->rank() <= 1 &&
           *exponent->data<float>() == 2;
  }

  bool MatchCentered(int mean) {
    if (!IsLastAxisMean(mean)) return false;
    const auto sub = OnlyReader(mean);
    if (!sub || !node(sub->node).node.Is("Sub") || sub->input != 1 ||
        node(sub->node).inputs[0] != pattern_.x)
      return false;
    pattern_.centered = true;
    Take(mean);
    Take(sub->node);
    const int centered = Output(sub->node);
    for (const Reader& reader : Readers(sub->node))
      if (IsSquareOf(reader.node, centered)) return FinishAfter(reader.node, centered, sub->node);
    return false;
  }

  bool MatchSquare(int square) {
    pattern_.centered = false;
    return IsSquareOf(square, pattern_.x) && FinishAfter(square, pattern_.x, -1);
  }

  // square -> mean -> + epsilon -> root -> numerator / root. `numerator_node`: the node that
  // computes the numerator, which must have no other readers; -1: the numerator is x.
  bool FinishAfter(int square, int numerator, int numerator_node) {
    const auto mean = OnlyReader(square);
    if (!mean || !IsLastAxisMean(mean->node)) return false;
    const auto sum = OnlyReader(mean->node);
    const auto epsilon =
        sum ? ScalarOperand(plan_, node(sum->node), "Add", sum->input) : std::nullopt;
    if (!epsilon) return false;
    const auto root = OnlyReader(sum->node);
    if (!root || !node(root->node).node.Is("Sqrt")) return false;
    pattern_.epsilon = *epsilon;
    for (const int i : {square, mean->node, sum->node, root->node}) Take(i);
    auto quotient = OnlyReader(root->node);
    if (!quotient) return false;
    const bool inverted = IsInverse(*quotient);
    if (inverted) {
      Take(quotient->node);
      quotient = OnlyReader(quotient->node);
    }
    if (!quotient || !node(quotient->node).node.Is(inverted ? "Mul" : "Div")) return false;
    const std::vector<int>& operands = node(quotient->node).inputs;
    if (operands.size() != 2 || (!inverted && quotient->input != 1) ||
        operands[1 - quotient->input] != numerator)
      return false;
    if (numerator_node >= 0 && !ReadBy(numerator_node, square, quotient->node)) return false;
    pattern_.last = quotient->node;
    return Take(quotient->node);
  }

  // Reciprocal, or 1 / value.
  bool IsInverse(const Reader& reader) const {
    const PlanNode& n = node(reader.node);
    if (n.node.Is("Reciprocal")) return true;
    const auto one = ScalarOperand(plan_, n, "Div", 1);
    return one && *one == 1 && reader.input == 1;
  }

  bool ReadBy(int i, int a, int b) const {
    const std::vector<Reader> readers = Readers(i);
    return !readers.empty() && std::all_of(readers.begin(), readers.end(), [&](const Reader& r) {
      return r.node == a || r.node == b;
    });
  }

  // Mul by gamma, then Add of beta, both constant vectors along the last axis.
  void TakeScale() {
    for (const char* op : {"Mul", "Add"}) {
      const auto reader = OnlyReader(pattern_.last);
      if (!reader || !node(reader->node).node.Is(op) || node(reader->node).opset < 7) return;
      const Tensor* vector = FloatConstant(plan_, node(reader->node), 1 - reader->input);
      if (!vector || vector->rank() != 1) return;
      if (pattern_.gamma && vector->size() != pattern_.gamma->size()) return;
      (*op == 'M' ? pattern_.gamma : pattern_.beta) = vector;
      pattern_.last = reader->node;
      Take(reader->node);
    }
  }

  const Plan& plan_;
  const ReaderList& readers_;
  NormPattern pattern_;
};

}  // namespace

std::optional<NormPattern> MatchNorm(const Plan& plan, int start, const ReaderList& readers) {
  const graph::Node& node = plan.nodes[start].node;
  if (!node.Is("ReduceMean") && !node.Is("Pow") && !node.Is("Mul")) return std::nullopt;
  return NormMatcher(plan, readers).Match(start);
}

}  // namespace roundel::engine
