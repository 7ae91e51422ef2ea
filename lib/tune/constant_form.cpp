#include "lib/tune/constant_form.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "lib/grad/backward.h"
#include "lib/graph/layer.h"
#include "lib/graph/operators.h"

namespace roundel::tune {
namespace {

// A constant whose root mean square is below this is a shift that starts at about 0.
constexpr double kSmall = 1e-3;

double RootMeanSquare(const Tensor& tensor) {
  double sum = 0;
  for (int64_t i = 0; i < tensor.size(); ++i)
    sum += std::pow(static_cast<double>(tensor.data<float>()[i]), 2);
  return std::sqrt(sum / static_cast<double>(std::max<int64_t>(1, tensor.size())));
}

// constant = start + unit * learned
class ConstantForm : public Form {
 public:
  ConstantForm(const std::string& value, const Tensor& constant, double rate)
      : Form(value, constant), unit_(static_cast<float>(Unit(constant))) {
    learned_.push_back({.name = value + "/change",
                        .start = Tensor::Zeros(DType::kFloat, constant.shape()),
                        .rate = rate});
  }

  Emitted Emit(Nodes* nodes, const std::string&) const override {
    const std::string change = nodes->Add("Mul", {learned_[0].name, nodes->Scalar(unit_)});
    return {nodes->Add("Add", {nodes->Constant(start_), change}), ""};
  }

  Tensor Final(std::span<const Tensor> learned) const override {
    Tensor constant = start_;
    float* c = constant.mutable_data<float>();
    for (int64_t i = 0; i < constant.size(); ++i) c[i] += learned[0].data<float>()[i] * unit_;
    return constant;
  }

  std::string Keep(std::span<const Tensor> learned, const std::string&,
                   Session* session) const override {
    session->model.graph->SetInitializer(value_, Final(learned));
    return "";
  }

 private:
  static double Unit(const Tensor& constant) {
    const double size = RootMeanSquare(constant);
    return size < kSmall ? 1 : size;
  }

  const float unit_;
};

bool PerChannel(const Tensor& constant) {
  const Shape& shape = constant.shape();
  return constant.size() >= 2 && std::any_of(shape.begin(), shape.end(),
                                             [&](int64_t size) { return size == constant.size(); });
}

// What is added to products without a bias of their own is learned as their bias.
bool IsLayerBias(const graph::Graph& graph, const graph::Node& node) {
  std::string why;
  const auto layer = graph::LayerProducing(graph, node.output(0), &why);
  return layer && layer->bias_add == &node;
}

}  // namespace

std::vector<FormPtr> ConstantForms(const Session& session, const structure::Block& block,
                                   double rate) {
  constexpr uint32_t kLayers = graph::Fact::kLayer | graph::Fact::kRecurrent;
  const graph::Graph& graph = *session.model.graph;
  std::vector<FormPtr> forms;
  for (const size_t n : block.nodes) {
    const graph::Node& node = *graph.nodes()[n];
    if (graph::Has(node, kLayers) || IsLayerBias(graph, node)) continue;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const std::string& value = node.inputs[i];
      const Tensor* constant = graph.FindInitializer(value);
      if (!constant || constant->dtype() != DType::kFloat || !PerChannel(*constant) ||
          !graph::AllFinite(graph::ToDoubles(*constant)) || session.encodings.contains(value) ||
          graph.Uses(value).size() != 1 || graph.IsOutput(value) || !grad::HasGradient(node, i))
        continue;
      forms.push_back(std::make_unique<ConstantForm>(value, *constant, rate));
    }
  }
  return forms;
}

}  // namespace roundel::tune
