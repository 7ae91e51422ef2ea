#include <cmath>

#include "lib/layers/layer_bias.h"
#include "lib/tune/form.h"

namespace roundel::tune {
namespace {

// bias = start + unit * learned
class BiasForm : public Form {
 public:
  BiasForm(const graph::WeightedLayer& layer, const std::string& value, const Tensor& bias,
           const Tensor& unit, double rate)
      : Form(value, bias), layer_(layer), unit_(unit) {
    learned_.push_back({.name = value + "/shift",
                        .start = Tensor::Zeros(DType::kFloat, bias.shape()),
                        .rate = rate});
  }

  Emitted Emit(Nodes* nodes, const std::string&) const override {
    const std::string shift = nodes->Add("Mul", {learned_[0].name, nodes->Constant(unit_)});
    return {nodes->Add("Add", {nodes->Constant(start_), shift}), ""};
  }

  Tensor Final(std::span<const Tensor> learned) const override {
    Tensor bias = start_;
    float* b = bias.mutable_data<float>();
    for (int64_t i = 0; i < bias.size(); ++i)
      b[i] += learned[0].data<float>()[i] * unit_.data<float>()[i];
    return bias;
  }

  std::string Keep(std::span<const Tensor> learned, const std::string& pass,
                   Session* session) const override {
    const Tensor bias = Final(learned);
    return layers::SetBias(*session, layer_, {bias.data<float>(), bias.data<float>() + bias.size()},
                           pass);
  }

 private:
  const graph::WeightedLayer layer_;
  const Tensor unit_;
};

// The lengths of the rows of the weight: how far an output moves with inputs of size 1.
Tensor RowLengths(const graph::Graph& graph, const graph::WeightedLayer& layer,
                  const Shape& shape) {
  const std::vector<double> weight = graph::ReadWeight(graph, layer);
  std::vector<float> lengths;
  for (int64_t g = 0; g < layer.groups; ++g)
    for (int64_t o = 0; o < layer.out_per_group; ++o) {
      double sum = 0;
      for (int64_t i = 0; i < layer.in_per_group; ++i)
        for (int64_t k = 0; k < layer.kernel; ++k) {
          const double w = weight[static_cast<size_t>(layer.Index(g, o, i, k))];
          sum += w * w;
        }
      lengths.push_back(static_cast<float>(std::sqrt(sum)));
    }
  return Tensor::FromVector(shape, lengths);
}

}  // namespace

FormPtr MakeBiasForm(const Session& session, const graph::WeightedLayer& layer, double rate) {
  const graph::Graph& graph = *session.model.graph;
  const std::string& value =
      layer.bias_add ? layer.bias_add->input(graph.Constant(layer.bias_add->input(0)) ? 0 : 1)
                     : layer.node->input(2);
  const Tensor* bias = graph.FindInitializer(value);
  if (!bias || bias->dtype() != DType::kFloat || bias->size() != layer.out_channels() ||
      graph.Uses(value).size() != 1 || !layers::BiasObstacle(session, layer).empty())
    return nullptr;
  return std::make_unique<BiasForm>(layer, value, *bias, RowLengths(graph, layer, bias->shape()),
                                    rate);
}

}  // namespace roundel::tune
