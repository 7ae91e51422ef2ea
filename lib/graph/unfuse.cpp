#include "lib/graph/unfuse.h"

#include <optional>
#include <set>

#include "lib/base/text.h"

namespace roundel::graph {
namespace {

constexpr const char* kContrib = "com.microsoft";

// The node of a fused activation, without inputs and outputs; nullopt for one that is not known.
// `parameters`: the operator's names of alpha, beta or bounds.
std::optional<Node> ActivationNode(const std::string& name, const std::vector<float>& parameters) {
  static const std::set<std::string> kPlain = {"Relu", "Sigmoid", "Tanh"};
  Node node{.op_type = name};
  const auto number = [&](size_t i, float fallback) {
    return i < parameters.size() ? parameters[i] : fallback;
  };
  if (kPlain.contains(name)) return node;
  if (name == "LeakyRelu" || name == "HardSigmoid") {
    const bool leaky = name == "LeakyRelu";
    node.SetAttribute("alpha", number(0, leaky ? 0.01f : 0.2f));
    if (!leaky) node.SetAttribute("beta", number(1, 0.5f));
    return node;
  }
  if (name == "Clip" && parameters.size() == 2) return node;
  return std::nullopt;
}

class Unfuser {
 public:
  // `outer`: of the graph around this one, or nullptr.
  Unfuser(const Model& model, Graph* graph, const Unfuser* outer)
      : model_(model), opset_(model.Opset()), graph_(*graph), outer_(outer) {}

  void Run() {
    std::vector<Node*> nodes;  // of now
    for (const NodePtr& node : graph_.nodes()) nodes.push_back(node.get());
    for (Node* node : nodes) {
      if (node->Is("FusedConv", kContrib)) UnfuseConv(node);
      if (node->Is("FusedGemm", kContrib)) UnfuseGemm(node);
      if (node->Is("FusedMatMul", kContrib) || node->Is("TransposeMatMul", kContrib))
        UnfuseMatMul(node);
    }
    for (Node* node : nodes)
      ForEachSubgraph(*node, [&](Graph& body) {
        Unfuser(model_, &body, this).Run();
        graph_.InvalidateIndex();  // it may read other constants from here
      });
  }

 private:
  const Tensor* Constant(const std::string& value) const {
    const bool own = graph_.Producer(value) || graph_.IsInput(value);
    const Tensor* found = graph_.Constant(value);
    return found || own || !outer_ ? found : outer_->Constant(value);
  }

  void UnfuseConv(Node* node) {
    const std::string name = node->String("activation", "");
    const auto activation = ActivationNode(name, node->Floats("activation_params"));
    if (!name.empty() && !activation) return;
    const std::string added = node->input(3);
    if (activation)
      InsertNext(node, *activation,
                 name == "Clip" ? node->Floats("activation_params") : std::vector<float>());
    if (!added.empty()) {
      Node add{.op_type = "Add"};
      InsertNext(node, add, {}, added);
    }
    if (node->inputs.size() > 3) node->inputs.resize(3);
    Become(node, "Conv", {"activation", "activation_params"});
  }

  void UnfuseGemm(Node* node) {
    const std::string name = node->String("activation", "");
    std::vector<float> parameters;
    for (const char* parameter : {"activation_alpha", "activation_beta"})
      if (node->FindAttribute(parameter)) parameters.push_back(node->Float(parameter, 0));
    const auto activation = ActivationNode(name, parameters);
    if ((!name.empty() && !activation) || name == "Clip") return;
    if (activation) InsertNext(node, *activation, {});
    Become(node, "Gemm", {"activation", "activation_alpha", "activation_beta", "activation_gamma"});
  }

  void UnfuseMatMul(Node* node) {
    const Tensor* weight = Constant(node->input(1));
    const bool plain = node->Int("transA", 0) == 0 && node->Int("transBatchA", 0) == 0 &&
                       node->Int("transBatchB", 0) == 0;
    if (!weight || weight->rank() != 2 || weight->dtype() != DType::kFloat || !plain) return;
    if (node->Int("transB", 0) != 0) {
      const std::string turned = graph_.FreshName(node->input(1) + "_T");
      const int64_t rows = weight->dim(0), columns = weight->dim(1);
      Tensor value = Tensor::Empty(DType::kFloat, {columns, rows});
      const float* from = weight->data<float>();
      float* to = value.mutable_data<float>();
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j) to[j * rows + i] = from[i * columns + j];
      const std::string old = node->input(1);
      graph_.SetInitializer(turned, value);
      graph_.SetInput(node, 1, turned);
      if (graph_.Uses(old).empty() && !graph_.IsOutput(old) && graph_.FindInitializer(old))
        graph_.RemoveInitializer(old);
    }
    const float alpha = node->Float("alpha", 1);
    if (alpha != 1) {
      const std::string factor = graph_.FreshName(node->output(0) + "_alpha");
      graph_.SetInitializer(factor, Tensor::Scalar(alpha));
      InsertNext(node, {.op_type = "Mul"}, {}, factor);
    }
    Become(node, "MatMul", {"transA", "transB", "transBatchA", "transBatchB", "alpha"});
  }

  static void Become(Node* node, const char* op, const std::vector<std::string>& gone) {
    node->op_type = op;
    node->domain.clear();
    for (const std::string& attribute : gone) node->RemoveAttribute(attribute);
  }

  // `behind` reads the node's output, which gets a new name, and writes the old name.
  void InsertNext(Node* node, Node behind, const std::vector<float>& bounds,
                  const std::string& operand = "") {
    const std::string output = node->output(0);
    const std::string made = graph_.FreshName(output + "_" + node->op_type);
    behind.name = node->name.empty() ? "" : graph_.FreshName(node->name + "_" + behind.op_type);
    behind.inputs = {made};
    behind.outputs = {output};
    if (!operand.empty()) behind.inputs.push_back(operand);
    constexpr int64_t kBoundsAsInputs = 11;
    for (size_t i = 0; i < bounds.size(); ++i) {
      const char* bound = i == 0 ? "min" : "max";
      if (opset_ < kBoundsAsInputs) {
        behind.SetAttribute(bound, bounds[i]);
        continue;
      }
      behind.inputs.push_back(graph_.FreshName(StrCat(output, "_", bound)));
      graph_.SetInitializer(behind.inputs.back(), Tensor::Scalar(bounds[i]));
    }
    graph_.SetOutput(node, 0, made);
    graph_.InsertAfter(node, std::move(behind));
  }

  const Model& model_;
  const int64_t opset_;
  Graph& graph_;
  const Unfuser* outer_;
};

}  // namespace

void UnfuseLayers(Model* model) { Unfuser(*model, model->graph.get(), nullptr).Run(); }

}  // namespace roundel::graph
