#include "lib/engine/chain_gates.h"

#include <algorithm>
#include <cmath>

namespace roundel::engine {
namespace {

bool Scales(const Chaining& s, int node, const char* op, size_t input, float factor) {
  const auto scalar = ScalarOperand(s.plan, s.plan.nodes[node], op, input);
  return scalar && std::fabs(*scalar - factor) <= 1e-5f * factor;
}

}  // namespace

bool GrowSwish(Chaining& s, Chain* chain) {
  const std::vector<Reader> readers = s.Readers(chain->output());
  if (readers.size() != 2) return false;
  const bool first = !s.plan.nodes[readers[0].node].node.Is("Mul");
  const int gate = readers[first ? 0 : 1].node, product = readers[first ? 1 : 0].node;
  const PlanNode& gate_node = s.plan.nodes[gate];
  const PlanNode& mul = s.plan.nodes[product];
  if (!mul.node.Is("Mul") || mul.opset < 7 || mul.inputs.size() != 2) return false;
  PostOp op{PostOpKind::kSwish, 1, 0};
  if (gate_node.node.Is("HardSigmoid")) {
    const float third = gate_node.node.Float("alpha", 0.2f) * 6 - 1;
    if (third > 1e-6f || third < -1e-6f || gate_node.node.Float("beta", 0.5f) != 0.5f) return false;
    op.kind = PostOpKind::kHardSwish;
  } else if (!gate_node.node.Is("Sigmoid")) {
    return false;
  }
  const int gated = gate_node.outputs.empty() ? kNoSlot : gate_node.outputs[0];
  const std::vector<Reader> gate_readers = s.Readers(gated);
  if (gate_readers.size() != 1 || gate_readers[0].node != product) return false;
  chain->spec.post_ops.push_back(op);
  s.Take(chain, gate);
  s.Take(chain, product);
  return true;
}

bool GrowGelu(Chaining& s, Chain* chain) {
  constexpr float kRoot2 = 1.41421356f;
  const std::vector<Reader> readers = s.Readers(chain->output());
  if (readers.size() != 2) return false;
  const bool first = Scales(s, readers[0].node, "Div", readers[0].input, kRoot2) ||
                     Scales(s, readers[0].node, "Mul", readers[0].input, 1 / kRoot2);
  const Reader root = readers[first ? 0 : 1], other = readers[first ? 1 : 0];
  if (!Scales(s, root.node, "Div", root.input, kRoot2) &&
      !Scales(s, root.node, "Mul", root.input, 1 / kRoot2))
    return false;
  const auto erf = s.OnlyReader(root.node);
  if (!erf || !s.plan.nodes[erf->node].node.Is("Erf")) return false;
  const auto sum = s.OnlyReader(erf->node);
  if (!sum || !Scales(s, sum->node, "Add", sum->input, 1)) return false;
  std::vector<int> nodes = {root.node, erf->node, sum->node};
  bool halved = false;
  const auto halve = [&](int* node) {
    const auto reader = halved ? std::nullopt : s.OnlyReader(*node);
    if (!reader || !Scales(s, reader->node, "Mul", reader->input, 0.5f)) return;
    nodes.push_back(*node = reader->node);
    halved = true;
  };
  int gate = sum->node, half = other.node;
  halve(&gate);
  std::optional<Reader> product = s.OnlyReader(gate);
  if (!halved && Scales(s, half, "Mul", other.input, 0.5f)) {
    const auto reader = s.OnlyReader(half);
    if (!reader || !product || reader->node != product->node) return false;
    nodes.push_back(half);
    halved = true;
  } else if (product && product->node != half) {
    return false;
  }
  if (!product || !s.plan.nodes[product->node].node.Is("Mul") ||
      s.plan.nodes[product->node].opset < 7)
    return false;
  int last = product->node;
  nodes.push_back(last);
  halve(&last);
  chain->spec.post_ops.push_back({PostOpKind::kGelu, 0, 0});
  if (!halved) chain->spec.post_ops.push_back({PostOpKind::kLinear, 2, 0});
  std::sort(nodes.begin(), nodes.end());
  for (int node : nodes) s.Take(chain, node);
  return true;
}

}  // namespace roundel::engine
