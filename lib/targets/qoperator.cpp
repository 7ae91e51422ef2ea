// QDQ -> operators on codes. A node between DequantizeLinear and QuantizeLinear is replaced by the
// operator that does all three at once:
//
//    from   DQ(x), DQ(w), DQ(b) -> Conv -> Q        to   QLinearConv(x, w, b, scales, zero points)
//
// QLinearConv and QLinearMatMul are ONNX operators; QGemm, QLinearAdd and others are of
// com.microsoft. Nodes that only move values read and write codes. Nodes without such a form stay
// between their quantizers. All codes are 8 bits wide.

#include <algorithm>

#include "lib/base/text.h"
#include "lib/targets/formats.h"
#include "lib/targets/graph_edit.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

struct Codes {
  std::string value, scale, zero_point;
};

// Operators that move the codes of their first input without using their values.
const std::unordered_set<std::string> kMoving = {
    "Reshape", "Transpose", "Squeeze",      "Unsqueeze",    "Flatten",  "Slice", "Gather",
    "MaxPool", "Expand",    "DepthToSpace", "SpaceToDepth", "Identity", "Tile"};
// com.microsoft operators (x, scale, zero point, scale of y, zero point of y).
const std::unordered_map<std::string, std::string> kUnary = {
    {"AveragePool", "QLinearAveragePool"},
    {"GlobalAveragePool", "QLinearGlobalAveragePool"},
    {"LeakyRelu", "QLinearLeakyRelu"},
    {"Sigmoid", "QLinearSigmoid"},
    {"Softmax", "QLinearSoftmax"}};
const std::unordered_map<std::string, std::string> kBinary = {{"Add", "QLinearAdd"},
                                                              {"Mul", "QLinearMul"}};

class Rewriter {
 public:
  Rewriter(const QdqOptions& options, graph::Model* model)
      : options_(options), model_(*model), g_(*model->graph), made_(EmptyCopy(g_)) {}

  void Run() {
    for (const auto& initializer : g_.initializers()) made_->AddInitializer(initializer);
    for (const auto& node : g_.nodes())
      if (!merged_.contains(node.get()) && !Rewrite(*node)) made_->AddNode(Node(*node));
    // DequantizeLinear nodes that have no readers left.
    made_->RemoveNodes([&](const Node& node) {
      return IsDequantizeNode(node) && made_->Uses(node.output(0)).empty() &&
             !made_->IsOutput(node.output(0));
    });
    CopyValueInfo(g_, made_.get());
    RemoveUnusedConstants(made_.get());
    model_.graph = made_;
    if (contrib_)
      model_.SetOpset(kContribDomain, std::max<int64_t>(1, model_.Opset(kContribDomain)));
  }

 private:
  // The codes that the DequantizeLinear that writes `value` reads; 8 bits (32 for a bias), no
  // blocks.
  std::optional<Codes> CodesOf(const std::string& value, int bits = 8) const {
    const Node* dq = g_.Producer(value);
    if (!dq || !IsDequantizeNode(*dq) || dq->Int("block_size", 0) != 0) return std::nullopt;
    const Tensor* zero_point = g_.Constant(dq->input(2));
    if (!zero_point || BitWidth(zero_point->dtype()) != bits) return std::nullopt;
    return Codes{dq->input(0), dq->input(1), dq->input(2)};
  }

  // The QuantizeLinear that is the only reader of the output of `node`.
  const Node* QuantizeAfter(const Node& node) const {
    if (node.outputs.size() != 1) return nullptr;
    const Node* q = g_.OnlyConsumer(node.output(0));
    const bool fits = q && IsQuantizeNode(*q) && q->input(0) == node.output(0);
    if (!fits) return nullptr;
    const Tensor* zero_point = g_.Constant(q->input(2));
    return zero_point && BitWidth(zero_point->dtype()) == 8 && zero_point->size() == 1 ? q
                                                                                       : nullptr;
  }

  bool Rewrite(const Node& node) {
    if (!node.domain.empty() || IsQuantizeNode(node) || IsDequantizeNode(node)) return false;
    const Node* q = QuantizeAfter(node);
    const auto x = q ? CodesOf(node.input(0)) : std::nullopt;
    if (!x) return false;
    const Codes y{q->output(0), q->input(1), q->input(2)};
    std::optional<Node> made;
    if (node.Is("Conv") || node.Is("Gemm")) made = Layer(node, *x, y);
    if (node.Is("MatMul") || kBinary.contains(node.op_type)) made = Pair(node, *x, y);
    if (kUnary.contains(node.op_type)) made = Unary(node, *x, y);
    if (node.Is("Concat")) made = Concat(node, y);
    if (kMoving.contains(node.op_type) && SameGrid(*x, y)) {
      made = node;
      made->inputs[0] = x->value;
    }
    if (!made) return false;
    made->outputs = {y.value};
    contrib_ |= made->domain == kContribDomain;
    made_->AddNode(*std::move(made));
    merged_.insert(q);
    return true;
  }

  // Scale and zero point may have several names, one for each tensor of a shared range.
  bool SameGrid(const Codes& a, const Codes& b) const {
    const auto same = [this](const std::string& p, const std::string& q) {
      const Tensor *s = g_.Constant(p), *t = g_.Constant(q);
      return s && t && *s == *t;
    };
    return same(a.scale, b.scale) && same(a.zero_point, b.zero_point);
  }

  static Node Quantized(const Node& node, const std::string& op, const char* domain) {
    Node made = node;
    made.op_type = op;
    made.domain = domain;
    made.name = node.name.empty() ? "" : node.name + "_quant";
    made.inputs.clear();
    return made;
  }

  std::optional<Node> Layer(const Node& node, const Codes& x, const Codes& y) const {
    const auto w = CodesOf(node.input(1));
    const bool gemm = node.Is("Gemm");
    if (!w || !g_.Constant(w->value)) return std::nullopt;
    std::string bias;
    if (!node.input(2).empty()) {
      // A bias with another scale, or with codes that are not integers, cannot be added to the sum.
      const auto b = BiasOf(node.input(2));
      if (!b || (gemm && node.Float("beta", 1) != 1)) return std::nullopt;
      bias = *b;
    }
    Node made = Quantized(node, gemm ? "QGemm" : "QLinearConv", gemm ? kContribDomain : "");
    made.inputs = {x.value, x.scale, x.zero_point, w->value, w->scale, w->zero_point};
    if (gemm) {
      made.RemoveAttribute("beta");
      for (const std::string& input : {bias, y.scale, y.zero_point}) made.inputs.push_back(input);
    } else {
      made.inputs.insert(made.inputs.end(), {y.scale, y.zero_point});
      if (!bias.empty()) made.inputs.push_back(bias);
    }
    return made;
  }

  std::optional<std::string> BiasOf(const std::string& value) const {
    const Node* dq = g_.Producer(value);
    if (!dq || !IsDequantizeNode(*dq)) return std::nullopt;
    const Tensor* codes = g_.Constant(dq->input(0));
    if (!codes || codes->dtype() != DType::kInt32) return std::nullopt;
    return dq->input(0);
  }

  std::optional<Node> Pair(const Node& node, const Codes& x, const Codes& y) const {
    const auto other = CodesOf(node.input(1));
    if (!other || HasTooManyScales(node, *other)) return std::nullopt;
    const bool product = node.Is("MatMul");
    Node made = Quantized(node, product ? "QLinearMatMul" : kBinary.at(node.op_type),
                          product ? "" : kContribDomain);
    made.inputs = {x.value,      x.scale,           x.zero_point, other->value,
                   other->scale, other->zero_point, y.scale,      y.zero_point};
    return made;
  }

  // A batch of matrices cannot have a list of scales, nor can an element-wise operator.
  bool HasTooManyScales(const Node& node, const Codes& other) const {
    const Tensor *codes = g_.Constant(other.value), *scale = g_.Constant(other.scale);
    if (!scale || scale->size() == 1) return false;
    const int64_t most = options_.matmul_channel_rank;
    return !codes || !node.Is("MatMul") || (most > 0 && codes->rank() > most);
  }

  std::optional<Node> Unary(const Node& node, const Codes& x, const Codes& y) const {
    Node made = Quantized(node, kUnary.at(node.op_type), kContribDomain);
    made.inputs = {x.value, x.scale, x.zero_point, y.scale, y.zero_point};
    if (node.op_type.ends_with("AveragePool")) made.SetAttribute("channels_last", int64_t{0});
    if (node.Is("Softmax")) {
      made.SetAttribute("opset", model_.Opset());
      made.SetAttribute("axis", node.Int("axis", model_.Opset() < 13 ? 1 : -1));
    }
    return made;
  }

  std::optional<Node> Concat(const Node& node, const Codes& y) const {
    Node made = Quantized(node, "QLinearConcat", kContribDomain);
    made.inputs = {y.scale, y.zero_point};
    for (const std::string& input : node.inputs) {
      const auto x = CodesOf(input);
      if (!x) return std::nullopt;
      for (const std::string& part : {x->value, x->scale, x->zero_point})
        made.inputs.push_back(part);
    }
    return made;
  }

  const QdqOptions& options_;
  graph::Model& model_;
  const Graph& g_;
  std::shared_ptr<Graph> made_;
  std::unordered_set<const Node*> merged_;  // QuantizeLinear nodes
  bool contrib_ = false;
};

// Rewrites nodes of a QDQ model to operators on codes if all their tensors have 8 bits.
void RewriteToCodes(const ExportOptions& options, graph::Model* model) {
  const auto old_graph = model->graph;  // outlives the rewriter, which reads from it
  Rewriter(options.qdq, model).Run();
}

bool ComputesOnCodes(const Node& node) {
  return node.op_type.starts_with("QLinear") || node.Is("QGemm", kContribDomain);
}

}  // namespace

Format qoperator_format() {
  return {.title = "QOperator", .after = RewriteToCodes, .has = ComputesOnCodes, .on_codes = true};
}

}  // namespace roundel::target
