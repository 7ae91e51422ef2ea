#include "lib/graph/activation_idioms.h"

#include <optional>
#include <set>

#include "lib/base/text.h"
#include "lib/graph/match.h"

namespace roundel::graph {
namespace {

class Rewriter {
 public:
  Rewriter(Graph* graph, int64_t opset) : g_(*graph), opset_(opset) {}

  int64_t Run() {
    std::vector<Node*> nodes;  // snapshot: unread nodes are removed at the end
    for (const NodePtr& node : g_.nodes()) nodes.push_back(node.get());
    int64_t count = 0;
    for (Node* node : nodes) {
      ForEachSubgraph(*node, [&](Graph& sub) { count += Rewriter(&sub, opset_).Run(); });
      if (node->domain.empty() && node->outputs.size() == 1) count += Rewrite(node);
    }
    for (auto dead = dead_.rbegin(); dead != dead_.rend(); ++dead)
      if (g_.Uses((*dead)->output(0)).empty() && !g_.IsOutput((*dead)->output(0))) {
        ForgetValue(&g_, (*dead)->output(0));
        g_.RemoveNode(*dead);
      }
    if (count > 0) g_.RemoveUnusedInitializers();
    return count;
  }

 private:
  // a * x, whichever comes first; `product` has no other reader.
  struct Scaled {
    Node* node = nullptr;
    std::string x;
    float factor = 0;
  };

  // The value of a float constant of one element that adds no axes.
  std::optional<float> Number(const std::string& name, int64_t max_rank = 1) const {
    const Tensor* value = name.empty() ? nullptr : g_.Constant(name);
    if (!value || value->size() != 1 || value->rank() > max_rank) return std::nullopt;
    if (value->dtype() != DType::kFloat && value->dtype() != DType::kFloat16) return std::nullopt;
    return value->ToFloat().data<float>()[0];
  }

  // The node that produces `value`, if it has exactly one reader.
  Node* Inner(const std::string& value, const char* op) const {
    Node* node = g_.Producer(value);
    return node && node->Is(op) && g_.OnlyConsumer(value) ? node : nullptr;
  }

  std::optional<Scaled> FindScaled(const std::string& value) const {
    Node* node = Inner(value, "Mul");
    if (!node) return std::nullopt;
    for (const size_t i : {size_t{0}, size_t{1}})
      if (const auto factor = Number(node->input(1 - i)); factor && !g_.Constant(node->input(i)))
        return Scaled{node, node->input(i), *factor};
    return std::nullopt;
  }

  bool Rewrite(Node* node) {
    if (node->Is("PRelu")) return RewritePRelu(node);
    if (node->Is("Where")) return RewriteWhere(node);
    if (node->Is("Sub") || node->Is("Add")) return RewriteRelus(node);
    if (!(node->Is("Max") || node->Is("Min")) || node->inputs.size() != 2) return false;
    for (const size_t i : {size_t{0}, size_t{1}}) {
      const std::string x = node->input(i), other = node->input(1 - i);
      if (node->Is("Max") && RewriteMax(node, x, other)) return true;
      if (node->Is("Min") && RewriteMin(node, x, other)) return true;
    }
    return false;
  }

  bool RewriteMax(Node* node, const std::string& x, const std::string& other) {
    if (const auto scaled = FindScaled(other); scaled && scaled->x == x && scaled->factor <= 1) {
      dead_.push_back(scaled->node);
      return MakeLeaky(node, x, scaled->factor);
    }
    if (Number(other) != 0.0f || g_.Constant(x)) return false;
    if (Node* min = Inner(x, "Min"); min && min->inputs.size() == 2)
      for (const size_t i : {size_t{0}, size_t{1}})
        if (const auto high = Number(min->input(1 - i)); high && *high >= 0) {
          dead_.push_back(min);
          return MakeClip(node, min->input(i), min->input(1 - i));
        }
    Become(node, "Relu", {x});
    return true;
  }

  bool RewriteMin(Node* node, const std::string& x, const std::string& bound) {
    const auto high = Number(bound);
    Node* relu = Inner(x, "Relu");
    if (!high || *high < 0 || !relu) return false;
    dead_.push_back(relu);
    return MakeClip(node, relu->input(0), bound);
  }

  bool RewritePRelu(Node* node) {
    // A slope never adds axes.
    const auto slope = Number(node->input(1), 64);
    return slope && MakeLeaky(node, node->input(0), *slope);
  }

  bool RewriteWhere(Node* node) {
    Node* test = g_.Producer(node->input(0));
    const std::string x = node->input(1);
    if (!test || !(test->Is("Greater") || test->Is("GreaterOrEqual")) || test->input(0) != x ||
        Number(test->input(1)) != 0.0f)
      return false;
    const auto scaled = FindScaled(node->input(2));
    if (!scaled || scaled->x != x) return false;
    dead_.push_back(test);
    dead_.push_back(scaled->node);
    return MakeLeaky(node, x, scaled->factor);
  }

  // Relu(x) - a * Relu(-x), or + with the sign in the factor.
  bool RewriteRelus(Node* node) {
    Node* positive = Inner(node->input(0), "Relu");
    const auto scaled = FindScaled(node->input(1));
    if (!positive || !scaled) return false;
    Node* negative = Inner(scaled->x, "Relu");
    Node* minus = negative ? Inner(negative->input(0), "Neg") : nullptr;
    const std::string x = positive->input(0);
    if (!minus || minus->input(0) != x) return false;
    for (Node* gone : {minus, negative, scaled->node, positive}) dead_.push_back(gone);
    return MakeLeaky(node, x, node->Is("Sub") ? scaled->factor : -scaled->factor);
  }

  void Become(Node* node, const char* op, std::vector<std::string> inputs) {
    node->op_type = op;
    node->inputs = std::move(inputs);
    node->attributes.clear();
    g_.InvalidateIndex();
  }

  bool MakeLeaky(Node* node, const std::string& x, float alpha) {
    Become(node, "LeakyRelu", {x});
    node->SetAttribute("alpha", alpha);
    return true;
  }

  bool MakeClip(Node* node, const std::string& x, const std::string& high) {
    const Tensor& bound = *g_.Constant(high);
    const float value = *Number(high);
    if (opset_ < 11) {
      Become(node, "Clip", {x});
      node->SetAttribute("min", 0.0f);
      node->SetAttribute("max", value);
      return true;
    }
    const DType type = bound.dtype();
    const std::string base = node->output(0);
    const std::string low_name = g_.FreshName(base + "_min");
    g_.SetInitializer(low_name, Tensor::Scalar(0.0f).FromFloatTo(type));
    const std::string high_name = g_.FreshName(base + "_max");
    g_.SetInitializer(high_name, Tensor::Scalar(value).FromFloatTo(type));
    Become(node, "Clip", {x, low_name, high_name});
    return true;
  }

  Graph& g_;
  const int64_t opset_;
  std::vector<const Node*> dead_;
};

}  // namespace

int64_t RewriteActivationIdioms(Model* model) {
  return Rewriter(model->graph.get(), model->Opset()).Run();
}

}  // namespace roundel::graph
