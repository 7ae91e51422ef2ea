// Steps: which nodes run together. A chain starts at a node that has a fast kernel which takes
// post-ops, and grows along values that have a single reader and need not exist by themselves.

#include "lib/engine/steps.h"

#include <algorithm>
#include <cmath>

#include "lib/engine/fusion.h"
#include "lib/graph/operators.h"

namespace roundel::engine {
namespace {

bool TakesPostOps(const graph::Node& node) {
  if (!node.domain.empty()) return false;
  for (const char* op : {"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "Add",
                         "Mul", "Sub", "Div"})
    if (node.op_type == op) return true;
  return false;
}

bool IsLinear(const graph::Node& node) { return graph::Has(node, graph::Fact::kLayer); }

bool IsIntegerProduct(const graph::Node& node) {
  return node.Is("ConvInteger") || node.Is("MatMulInteger");
}

struct Chain {
  std::vector<int> nodes;
  std::vector<int> inputs;   // slots
  std::vector<int> outputs;  // of the last node
  KernelSpec spec;
  int output() const { return outputs.empty() ? kNoSlot : outputs[0]; }
};

// What the spec says of the values that go in and out.
void DescribeValues(const Plan& plan, Chain* chain) {
  KernelSpec& spec = chain->spec;
  spec.constants.clear();
  spec.encodings.clear();
  const auto address = [](const auto& optional) { return optional ? &*optional : nullptr; };
  for (int id : chain->inputs) {
    static const Slot kNone;
    const Slot& slot = id == kNoSlot ? kNone : plan.slots[id];
    spec.constants.push_back(address(slot.constant));
    spec.encodings.push_back(address(slot.constant ? slot.constant_encoding : slot.encoding));
  }
  spec.output_encoding =
      chain->output() == kNoSlot ? nullptr : address(plan.slots[chain->output()].encoding);
}

Chain Start(const Plan& plan, int i) {
  const PlanNode& node = plan.nodes[i];
  Chain chain{.nodes = {i}, .inputs = node.inputs, .outputs = node.outputs};
  chain.spec.main = &node.node;
  chain.spec.opset = node.opset;
  if (IsLinear(node.node)) {
    if (const auto fold = LinearFold::Of(plan, node)) {
      chain.spec.weights = fold->Weights();
      chain.spec.bias = fold->Bias();
    }
  } else if (const auto element = AsElementOps(plan, node)) {
    chain.spec.post_ops = element->ops;
    chain.spec.main_ops = element->ops.size();
    chain.spec.min_rank = element->min_rank;
    chain.spec.element_input = static_cast<int>(element->input);
  }
  DescribeValues(plan, &chain);
  return chain;
}

class Chainer {
 public:
  explicit Chainer(const Plan& plan)
      : plan_(plan), uses_(plan.slots.size()), taken_(plan.nodes.size(), 0) {
    for (size_t i = 0; i < plan.nodes.size(); ++i)
      for (size_t k = 0; k < plan.nodes[i].inputs.size(); ++k)
        if (const int slot = plan.nodes[i].inputs[k]; slot != kNoSlot)
          uses_[slot].push_back({static_cast<int>(i), k});
  }

  std::vector<Chain> Chains(bool fuse) {
    std::vector<Chain> chains;
    for (size_t i = 0; i < plan_.nodes.size(); ++i) {
      if (taken_[i]) continue;
      if (fuse && AddNorm(static_cast<int>(i), &chains)) continue;
      taken_[i] = 1;
      chains.push_back(Start(plan_, static_cast<int>(i)));
      if (fuse) Grow(&chains.back());
    }
    // A chain runs when its last node would: then all that it reads is there.
    std::stable_sort(chains.begin(), chains.end(), [](const Chain& a, const Chain& b) {
      return a.nodes.back() < b.nodes.back();
    });
    return chains;
  }

 private:
  bool AddNorm(int start, std::vector<Chain>* chains) {
    const auto norm = MatchNorm(plan_, start, [this](int slot) { return Readers(slot); });
    if (!norm) return false;
    Chain chain{
        .nodes = norm->nodes, .inputs = {norm->x}, .outputs = plan_.nodes[norm->last].outputs};
    // Units run one by one if the kernel declines: they, too, need what the nodes read.
    for (int node : norm->nodes) {
      taken_[node] = 1;
      for (int slot : plan_.nodes[node].inputs)
        if (slot != kNoSlot && plan_.slots[slot].constant) chain.inputs.push_back(slot);
    }
    chain.spec.main = &plan_.nodes[start].node;
    chain.spec.opset = plan_.nodes[start].opset;
    chain.spec.norm = NormSpec{norm->centred, norm->epsilon, norm->gamma ? *norm->gamma : Tensor(),
                               norm->beta ? *norm->beta : Tensor()};
    DescribeValues(plan_, &chain);
    chains->push_back(std::move(chain));
    return true;
  }

  // Readers of the chain's result if no one else needs it, else none.
  std::vector<Reader> Readers(int slot) const {
    if (slot == kNoSlot || plan_.slots[slot].pinned()) return {};
    for (const Reader& use : uses_[slot])
      if (taken_[use.node]) return {};
    return uses_[slot];
  }

  static bool OneOutput(const PlanNode& node) {
    for (size_t i = 1; i < node.outputs.size(); ++i)
      if (node.outputs[i] != kNoSlot) return false;
    return !node.outputs.empty() && node.outputs[0] != kNoSlot;
  }

  // The only reader of the chain's result, if it has one result.
  const PlanNode* Next(const Chain& chain, Reader* reader) const {
    const std::vector<Reader> readers = Readers(chain.output());
    if (readers.size() != 1 || !OneOutput(plan_.nodes[readers[0].node])) return nullptr;
    *reader = readers[0];
    return &plan_.nodes[readers[0].node];
  }

  // 32-bit sums -> Cast -> Mul by their scale (-> Add of a constant bias): false unless all of them
  // but the last are there.
  bool GrowScaledSums(Chain* chain) {
    Reader cast, mul, add;
    Chain grown = *chain;
    const PlanNode* node = Next(grown, &cast);
    if (!node || !node->node.Is("Cast") || node->node.Int("to", 0) != int64_t(DType::kFloat))
      return false;
    grown.outputs = node->outputs;
    node = Next(grown, &mul);
    if (!node || !node->node.Is("Mul") || node->opset < 7 || node->inputs.size() != 2) return false;
    const int scale = node->inputs[1 - mul.input];
    if (scale == kNoSlot || scale == grown.output()) return false;
    chain->spec.scale_input = static_cast<int>(chain->inputs.size());
    chain->inputs.push_back(scale);
    Take(chain, cast.node);
    Take(chain, mul.node);
    const Tensor* weights = ConstantInput(plan_, plan_.nodes[chain->nodes[0]], 1);
    node = Next(*chain, &add);
    const Tensor* bias = node && node->node.Is("Add") && node->opset >= 7 && weights
                             ? FloatConstant(plan_, *node, 1 - add.input)
                             : nullptr;
    if (!bias) return true;
    // Along the channels: the last axis of a product, the axis before the spatial ones of a Conv.
    const bool conv = plan_.nodes[chain->nodes[0]].node.Is("ConvInteger");
    const int64_t trailing = conv ? weights->rank() - 2 : 0;
    const int64_t channels = weights->dim(conv ? 0 : -1), position = bias->rank() - 1 - trailing;
    if (bias->size() != channels || position < 0 || bias->dim(position) != channels ||
        bias->rank() > (conv ? weights->rank() : 2))
      return true;
    chain->spec.bias = bias->Reshaped({channels});
    Take(chain, add.node);
    return true;
  }

  void Grow(Chain* chain) {
    const PlanNode& main = plan_.nodes[chain->nodes[0]];
    if (IsIntegerProduct(main.node) && (!OneOutput(main) || !GrowScaledSums(chain))) return;
    const bool element_wise = chain->spec.element_input >= 0;
    if (!OneOutput(main) ||
        (!element_wise && !TakesPostOps(main.node) && !IsIntegerProduct(main.node)))
      return;
    if (IsLinear(main.node) && !chain->spec.weights.defined() && !main.node.Is("MatMul")) return;
    GrowLinear(chain);
    while (GrowSwish(chain) || GrowGelu(chain) || GrowElementOps(chain) || GrowResidual(chain)) {
    }
    DescribeValues(plan_, chain);
  }

  void Take(Chain* chain, int node) {
    taken_[node] = 1;
    chain->nodes.push_back(node);
    chain->outputs = plan_.nodes[node].outputs;
  }

  // What can be folded into the weights.
  void GrowLinear(Chain* chain) {
    const PlanNode& main = plan_.nodes[chain->nodes[0]];
    if (!IsLinear(main.node) || !chain->spec.weights.defined()) return;
    auto fold = LinearFold::Of(plan_, main);
    while (true) {
      const std::vector<Reader> readers = Readers(chain->output());
      if (readers.size() != 1 || !OneOutput(plan_.nodes[readers[0].node])) break;
      if (!fold->Append(plan_, plan_.nodes[readers[0].node], readers[0].input)) break;
      Take(chain, readers[0].node);
    }
    if (chain->nodes.size() == 1) return;
    chain->spec.weights = fold->Weights();
    chain->spec.bias = fold->Bias();
    chain->spec.min_rank = fold->min_rank();
    chain->spec.folded = true;
  }

  bool GrowElementOps(Chain* chain) {
    const std::vector<Reader> readers = Readers(chain->output());
    if (readers.size() != 1) return false;
    const PlanNode& node = plan_.nodes[readers[0].node];
    const auto element = AsElementOps(plan_, node);
    if (!element || element->input != readers[0].input || !OneOutput(node)) return false;
    chain->spec.post_ops.insert(chain->spec.post_ops.end(), element->ops.begin(),
                                element->ops.end());
    chain->spec.min_rank = std::max(chain->spec.min_rank, element->min_rank);
    Take(chain, readers[0].node);
    return true;
  }

  // x -> Sigmoid -> Mul(x, .) is swish; with HardSigmoid(1/6, 1/2) it is hard swish.
  bool GrowSwish(Chain* chain) {
    const std::vector<Reader> readers = Readers(chain->output());
    if (readers.size() != 2) return false;
    const bool first = !plan_.nodes[readers[0].node].node.Is("Mul");
    const int gate = readers[first ? 0 : 1].node, product = readers[first ? 1 : 0].node;
    const PlanNode& gate_node = plan_.nodes[gate];
    const PlanNode& mul = plan_.nodes[product];
    if (!mul.node.Is("Mul") || mul.opset < 7 || mul.inputs.size() != 2) return false;
    PostOp op{PostOpKind::kSwish, 1, 0};
    if (gate_node.node.Is("HardSigmoid")) {
      const float third = gate_node.node.Float("alpha", 0.2f) * 6 - 1;
      if (third > 1e-6f || third < -1e-6f || gate_node.node.Float("beta", 0.5f) != 0.5f)
        return false;
      op.kind = PostOpKind::kHardSwish;
    } else if (!gate_node.node.Is("Sigmoid")) {
      return false;
    }
    const int gated = gate_node.outputs.empty() ? kNoSlot : gate_node.outputs[0];
    const std::vector<Reader> gate_readers = Readers(gated);
    if (gate_readers.size() != 1 || gate_readers[0].node != product) return false;
    chain->spec.post_ops.push_back(op);
    Take(chain, gate);
    Take(chain, product);
    return true;
  }

  // The only reader of the first output of `node`; nullopt if there are others.
  std::optional<Reader> OnlyReader(int node) const {
    const std::vector<int>& outputs = plan_.nodes[node].outputs;
    const std::vector<Reader> readers = Readers(outputs.empty() ? kNoSlot : outputs[0]);
    return readers.size() == 1 ? std::optional(readers[0]) : std::nullopt;
  }
  bool Scales(int node, const char* op, size_t input, float factor) const {
    const auto scalar = ScalarOperand(plan_, plan_.nodes[node], op, input);
    return scalar && std::fabs(*scalar - factor) <= 1e-5f * factor;
  }

  // x / 2 * (1 + erf(x / sqrt(2))) as exporters write it: the factor 1/2 on x, on the sum, or on
  // their product.
  bool GrowGelu(Chain* chain) {
    constexpr float kRoot2 = 1.41421356f;
    const std::vector<Reader> readers = Readers(chain->output());
    if (readers.size() != 2) return false;
    const bool first = Scales(readers[0].node, "Div", readers[0].input, kRoot2) ||
                       Scales(readers[0].node, "Mul", readers[0].input, 1 / kRoot2);
    const Reader root = readers[first ? 0 : 1], other = readers[first ? 1 : 0];
    if (!Scales(root.node, "Div", root.input, kRoot2) &&
        !Scales(root.node, "Mul", root.input, 1 / kRoot2))
      return false;
    const auto erf = OnlyReader(root.node);
    if (!erf || !plan_.nodes[erf->node].node.Is("Erf")) return false;
    const auto sum = OnlyReader(erf->node);
    if (!sum || !Scales(sum->node, "Add", sum->input, 1)) return false;
    std::vector<int> nodes = {root.node, erf->node, sum->node};
    bool halved = false;
    const auto halve = [&](int* node) {
      const auto reader = halved ? std::nullopt : OnlyReader(*node);
      if (!reader || !Scales(reader->node, "Mul", reader->input, 0.5f)) return;
      nodes.push_back(*node = reader->node);
      halved = true;
    };
    int gate = sum->node, half = other.node;
    halve(&gate);
    std::optional<Reader> product = OnlyReader(gate);
    if (!halved && Scales(half, "Mul", other.input, 0.5f)) {
      const auto reader = OnlyReader(half);
      if (!reader || !product || reader->node != product->node) return false;
      nodes.push_back(half);
      halved = true;
    } else if (product && product->node != half) {
      return false;
    }
    if (!product || !plan_.nodes[product->node].node.Is("Mul") ||
        plan_.nodes[product->node].opset < 7)
      return false;
    int last = product->node;
    nodes.push_back(last);
    halve(&last);
    chain->spec.post_ops.push_back({PostOpKind::kGelu, 0, 0});
    if (!halved) chain->spec.post_ops.push_back({PostOpKind::kLinear, 2, 0});
    std::sort(nodes.begin(), nodes.end());
    for (int node : nodes) Take(chain, node);
    return true;
  }

  // Add of another value: once per chain, and only behind kernels that can start from it.
  bool GrowResidual(Chain* chain) {
    const graph::Node& main = plan_.nodes[chain->nodes[0]].node;
    if (!IsLinear(main) && !IsIntegerProduct(main)) return false;
    for (const PostOp& op : chain->spec.post_ops)
      if (op.kind == PostOpKind::kAdd) return false;
    const std::vector<Reader> readers = Readers(chain->output());
    if (readers.size() != 1) return false;
    const PlanNode& add = plan_.nodes[readers[0].node];
    if (!add.node.Is("Add") || add.opset < 7 || add.inputs.size() != 2 || !OneOutput(add))
      return false;
    const int other = add.inputs[1 - readers[0].input];
    if (other == kNoSlot || plan_.slots[other].constant) return false;
    chain->spec.post_ops.push_back(
        {.kind = PostOpKind::kAdd, .input = static_cast<int>(chain->inputs.size())});
    chain->inputs.push_back(other);
    Take(chain, readers[0].node);
    return true;
  }

  const Plan& plan_;
  std::vector<std::vector<Reader>> uses_;  // by slot
  std::vector<char> taken_;                // by node
};

}  // namespace

KernelSpec SingleSpec(const Plan& plan, int node) { return Start(plan, node).spec; }

std::vector<Step> MakeSteps(const Plan& plan, bool fuse, std::vector<KernelSpec>* specs) {
  std::vector<Step> steps;
  for (Chain& chain : Chainer(plan).Chains(fuse)) {
    Step step;
    if (chain.nodes.size() > 1)
      for (int node : chain.nodes)
        step.members.push_back({.nodes = {node},
                                .inputs = plan.nodes[node].inputs,
                                .outputs = plan.nodes[node].outputs});
    step.whole = {.nodes = std::move(chain.nodes),
                  .inputs = std::move(chain.inputs),
                  .outputs = std::move(chain.outputs)};
    steps.push_back(std::move(step));
    specs->push_back(std::move(chain.spec));
  }
  return steps;
}

}  // namespace roundel::engine
