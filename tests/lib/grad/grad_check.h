#pragma once
// Gradients of a graph against differences of its forward run, both in plain kernels.

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/grad/backward.h"
#include "tests/lib/grad/grad_test_support.h"
#include "tests/support/parse_model.h"

namespace roundel::grad {

struct CheckOptions {
  uint64_t seed = 1;
  double low = -1, high = 1;                  // of the values of inputs
  double away = 0;                            // smallest magnitude: keeps values off a kink at 0
  double step = 1e-2;                         // of differences
  double tolerance = 2e-3;                    // of a derivative, relative to the size of all
  int64_t elements = 12;                      // of each input that are checked one by one
  std::map<std::string, Tensor> values = {};  // of inputs that are not random
};

inline std::unique_ptr<engine::Executor> MustCreate(const graph::Model& model, bool fast = false) {
  auto executor = engine::Executor::Create(model, {.fast_kernels = fast});
  INFO((executor.ok() ? "" : executor.status().message()));
  REQUIRE(executor.ok());
  return std::move(*executor);
}

inline std::vector<Tensor> RunModel(const graph::Model& model, const std::vector<Tensor>& inputs,
                                    bool fast = false) {
  auto outputs = MustCreate(model, fast)->Run(inputs);
  INFO((outputs.ok() ? "" : outputs.status().message()));
  REQUIRE(outputs.ok());
  return *outputs;
}

inline graph::Node MakeNode(const char* op, std::vector<std::string> inputs, std::string output) {
  return {.op_type = op, .inputs = std::move(inputs), .outputs = {std::move(output)}};
}

// A graph of float inputs and results, with the loss sum_k <v_k, y_k> for random v_k.
class GradCheck {
 public:
  GradCheck(const std::string& text, const CheckOptions& options)
      : text_(text), options_(options), draw_(options.seed), model_(support::ParseModel(text)) {
    SetThreads(1);  // more would only wait for each other on such sizes
    for (const graph::ValueInfo& info : model_.graph->inputs) {
      inputs_.push_back(InputValue(info));
      if (info.dtype == DType::kFloat && !options.values.contains(info.name))
        trained_.push_back(inputs_.size() - 1);
    }
    forward_ = MustCreate(model_);
    for (const Tensor& y : Forward(inputs_)) weights_.push_back(draw_.Values(y.shape()));
  }

  // <v, J u> for directions u of all inputs, against <J^T v, u>; then single elements.
  void Run() {
    INFO(text_);
    const std::vector<Tensor> gradients = Gradients(false);
    double size = 1e-3;
    for (const Tensor& g : gradients) size = std::max(size, std::sqrt(Dot(g, g)));
    std::vector<Tensor> direction;
    double expected = 0;
    for (size_t k = 0; k < trained_.size(); ++k) {
      direction.push_back(draw_.Values(inputs_[trained_[k]].shape()));
      CHECK(gradients[k].shape() == direction[k].shape());
      expected += Dot(gradients[k], direction[k]);
    }
    CHECK(std::fabs(Slope(direction) - expected) < options_.tolerance * size * Norm(direction));
    for (size_t k = 0; k < trained_.size(); ++k) CheckElements(k, gradients[k], size);
    const std::vector<Tensor> fast = Gradients(true);
    for (size_t k = 0; k < fast.size(); ++k)
      for (int64_t i = 0; i < fast[k].size(); ++i)
        CHECK(std::fabs(fast[k].data<float>()[i] - gradients[k].data<float>()[i]) <
              1e-4 * size + 1e-6);
  }

  // Of all random inputs, in order.
  std::vector<Tensor> Gradients(bool fast) {
    graph::Model model = graph::Clone(model_);
    std::vector<std::string> names, wrt;
    for (const size_t i : trained_) wrt.push_back(model.graph->inputs[i].name);
    const auto gradients = Backward(&model, AddLoss(&model), wrt);
    INFO((gradients.ok() ? "" : gradients.status().message()));
    REQUIRE(gradients.ok());
    model.graph->outputs.clear();
    for (const std::string& name : *gradients)
      model.graph->outputs.push_back({.name = name, .dtype = DType::kFloat});
    if (wrt.empty()) return {};
    return RunModel(model, inputs_, fast);
  }

 private:
  std::vector<Tensor> Forward(const std::vector<Tensor>& inputs) const {
    auto outputs = forward_->Run(inputs);
    INFO((outputs.ok() ? "" : outputs.status().message()));
    REQUIRE(outputs.ok());
    return *outputs;
  }

  Tensor InputValue(const graph::ValueInfo& info) {
    const auto given = options_.values.find(info.name);
    if (given != options_.values.end()) return given->second;
    Shape shape;
    for (const graph::Dim& dim : *info.shape) shape.push_back(dim.value.value());
    Tensor x = draw_.Values(shape, options_.low, options_.high);
    for (int64_t i = 0; i < x.size(); ++i) {
      float& value = x.mutable_data<float>()[i];
      if (std::fabs(value) < options_.away)
        value = std::copysign(static_cast<float>(draw_.Number(options_.away, 1)), value);
    }
    return x;
  }

  std::string AddLoss(graph::Model* model) const {
    std::string loss;
    for (size_t k = 0; k < weights_.size(); ++k) {
      const std::string v = StrCat("loss_v", k), product = StrCat("loss_p", k);
      const std::string sum = StrCat("loss_s", k), total = StrCat("loss", k);
      model->graph->SetInitializer(v, weights_[k]);
      model->graph->AddNode(MakeNode("Mul", {model->graph->outputs[k].name, v}, product));
      graph::Node reduce = MakeNode("ReduceSum", {product}, sum);
      reduce.SetAttribute("keepdims", int64_t{0});
      model->graph->AddNode(std::move(reduce));
      if (k > 0) model->graph->AddNode(MakeNode("Add", {loss, sum}, total));
      loss = k > 0 ? total : sum;
    }
    return loss;
  }

  double Loss(const std::vector<Tensor>& direction, double t) const {
    std::vector<Tensor> moved = inputs_;
    for (size_t k = 0; k < trained_.size(); ++k) {
      float* x = moved[trained_[k]].mutable_data<float>();
      const float* u = direction[k].data<float>();
      for (int64_t i = 0; i < direction[k].size(); ++i) x[i] += static_cast<float>(t * u[i]);
    }
    const std::vector<Tensor> outputs = Forward(moved);
    double loss = 0;
    for (size_t k = 0; k < outputs.size(); ++k) loss += Dot(outputs[k], weights_[k]);
    return loss;
  }

  // The derivative along the direction, by Richardson's extrapolation of central differences.
  double Slope(const std::vector<Tensor>& direction) const {
    const double h = options_.step;
    const double wide = (Loss(direction, h) - Loss(direction, -h)) / (2 * h);
    const double narrow = (Loss(direction, h / 2) - Loss(direction, -h / 2)) / h;
    return (4 * narrow - wide) / 3;
  }

  void CheckElements(size_t k, const Tensor& gradient, double size) {
    std::vector<Tensor> direction;
    for (const size_t i : trained_)
      direction.push_back(Tensor::Zeros(DType::kFloat, inputs_[i].shape()));
    for (int64_t n = 0; n < std::min(options_.elements, gradient.size()); ++n) {
      const int64_t i =
          gradient.size() <= options_.elements ? n : draw_.Int(0, gradient.size() - 1);
      direction[k].mutable_data<float>()[i] = 1;
      INFO("input " << k << " element " << i);
      CHECK(std::fabs(Slope(direction) - gradient.data<float>()[i]) < options_.tolerance * size);
      direction[k].mutable_data<float>()[i] = 0;
    }
  }

  static double Norm(const std::vector<Tensor>& direction) {
    double sum = 1;
    for (const Tensor& u : direction) sum += Dot(u, u);
    return std::sqrt(sum);
  }

  std::string text_;
  CheckOptions options_;
  Draw draw_;
  graph::Model model_;
  std::unique_ptr<engine::Executor> forward_;  // plain
  std::vector<Tensor> inputs_, weights_;
  std::vector<size_t> trained_;
};

// `signature`: "float32[2,3] x, float32[3] b"; `body`: nodes that compute y.
inline void CheckGradients(const std::string& signature, const std::string& body,
                           const CheckOptions& options = {}, int opset = 13) {
  const std::string text = StrCat("opset ", opset, ", roundel 1, com.microsoft 1\ngraph g (",
                                  signature, ") => (float32 y) {\n", body, "\n}");
  INFO(text);
  GradCheck(text, options).Run();
}

}  // namespace roundel::grad
