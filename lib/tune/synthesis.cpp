#include "lib/tune/synthesis.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "lib/base/interrupt.h"
#include "lib/base/progress.h"
#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/grad/backward.h"
#include "lib/graph/batch_norm.h"
#include "lib/tune/nodes.h"
#include "lib/tune/optimizer.h"

namespace roundel::tune {
namespace {

// Steps of Adam, as a share of the range of values.
constexpr double kRate = 0.02;
// Deviation of the values at the start, as a share of their range.
constexpr double kSpread = 0.25;
constexpr int64_t kAxesInputOpset = 18;  // from which on ReduceMean has its axes as an input

const graph::ValueInfo* ImageInput(const graph::Model& model) {
  const graph::ValueInfo* found = nullptr;
  for (const graph::ValueInfo& input : model.graph->inputs) {
    if (model.graph->FindInitializer(input.name)) continue;
    if (found) return nullptr;
    found = &input;
  }
  return found;
}

std::vector<const graph::Node*> NormNodes(const graph::Model& model) {
  std::vector<const graph::Node*> nodes;
  for (const graph::NodePtr& node : model.graph->nodes())
    if (node->Is("BatchNormalization") &&
        graph::BatchNormObstacle(*model.graph, model.Opset(), *node).empty())
      nodes.push_back(node.get());
  return nodes;
}

std::vector<float> Parameter(const graph::Model& model, const std::string& name) {
  const Tensor values = model.graph->Constant(name)->ToFloat();
  return {values.data<float>(), values.data<float>() + values.size()};
}

// Emits the distance of one node's statistics.
class Matcher {
 public:
  Matcher(const graph::Model& model, Nodes* nodes) : model_(model), nodes_(nodes) {}

  std::string Distance(const graph::Node& norm) {
    std::vector<float> mu, sigma, inverse;
    const std::vector<float> means = Parameter(model_, norm.input(3)),
                             variances = Parameter(model_, norm.input(4));
    const double epsilon = norm.Float("epsilon", 1e-5f);
    for (size_t c = 0; c < means.size(); ++c) {
      const double deviation = std::sqrt(std::max(0.0, double{variances[c]}) + epsilon);
      mu.push_back(means[c]);
      sigma.push_back(static_cast<float>(deviation));
      inverse.push_back(static_cast<float>(1 / deviation));
    }
    const std::string& x = norm.input(0);
    const std::string mean = Mean(x);
    const std::string centered = nodes_->Add("Sub", {x, mean});
    const std::string variance = Mean(nodes_->Add("Mul", {centered, centered}));
    const std::string deviation = nodes_->Add(
        "Sqrt", {nodes_->Add("Add", {variance, nodes_->Scalar(static_cast<float>(epsilon))})});
    return nodes_->Add("Add", {Squared(mean, mu, inverse), Squared(deviation, sigma, inverse)});
  }

 private:
  // Over all axes but that of channels.
  std::string Mean(const std::string& value) {
    const std::vector<int64_t> axes = {0, 2, 3};
    if (model_.Opset() < kAxesInputOpset)
      return nodes_->Add("ReduceMean", {value}, {{"axes", axes}});
    return nodes_->Add("ReduceMean",
                       {value, nodes_->Constant(Tensor::FromVector<int64_t>({3}, axes))});
  }
  // The mean over channels of ((value - wanted) * inverse)^2.
  std::string Squared(const std::string& value, const std::vector<float>& wanted,
                      const std::vector<float>& inverse) {
    const auto constant = [&](const std::vector<float>& values) {
      return nodes_->Constant(Tensor::FromVector({1, std::ssize(values), 1, 1}, values));
    };
    const std::string difference = nodes_->Add("Sub", {value, constant(wanted)});
    const std::string scaled = nodes_->Add("Mul", {difference, constant(inverse)});
    return nodes_->Add("ReduceMean", {nodes_->Add("Mul", {scaled, scaled})},
                       {{"keepdims", int64_t{0}}});
  }

  const graph::Model& model_;
  Nodes* nodes_;
};

// Outputs: the loss, and its gradient with respect to the input.
Result<graph::Model> MatchingModel(const graph::Model& original) {
  graph::Model model = graph::Clone(original);
  const std::string input = ImageInput(model)->name;
  const std::vector<const graph::Node*> norms = NormNodes(model);
  model.graph->outputs.clear();
  Nodes nodes(model.graph.get(), "synthesis");
  Matcher matcher(model, &nodes);
  std::string sum;
  for (const graph::Node* norm : norms) {
    const std::string distance = matcher.Distance(*norm);
    sum = sum.empty() ? distance : nodes.Add("Add", {sum, distance});
  }
  const std::string loss =
      nodes.Add("Mul", {sum, nodes.Scalar(1 / static_cast<float>(norms.size()))});
  ASSIGN_OR_RETURN(const std::vector<std::string> gradients, grad::Backward(&model, loss, {input}));
  for (const std::string& output : {loss, gradients[0]})
    model.graph->outputs.push_back({.name = output, .dtype = DType::kFloat});
  return model;
}

Tensor RandomImages(const Shape& shape, const SynthesisOptions& options, Random* random) {
  Tensor images = Tensor::Empty(DType::kFloat, shape);
  const double center = (double{options.low} + options.high) / 2,
               spread = kSpread * (double{options.high} - options.low);
  float* x = images.mutable_data<float>();
  for (int64_t i = 0; i < images.size(); ++i)
    x[i] = std::clamp(static_cast<float>(center + spread * random->Normal()), options.low,
                      options.high);
  return images;
}

// [batch, channels, height, width], -1 where neither the model nor the options say.
Shape ShapeOf(const graph::ValueInfo& input, const SynthesisOptions& options) {
  Shape shape;
  for (const graph::Dim& dim : *input.shape) shape.push_back(dim.value.value_or(-1));
  if (shape[2] < 1) shape[2] = options.height;
  if (shape[3] < 1) shape[3] = options.width;
  return shape;
}

}  // namespace

std::string WhyNoSynthesis(const graph::Model& model, const SynthesisOptions& options) {
  const graph::ValueInfo* input = ImageInput(model);
  if (!input) return "it does not have one input";
  if (input->dtype != DType::kFloat) return "its input is not float32";
  if (!input->shape || input->shape->size() != 4) return "its input does not have four axes";
  const Shape shape = ShapeOf(*input, options);
  if (*std::min_element(shape.begin() + 1, shape.end()) < 1)
    return "it leaves the size of its input open: give crop, such as 224 or 48x192";
  if (shape[0] > 1) return "its batch size is fixed";
  if (NormNodes(model).empty())
    return "it has no BatchNormalization node with constants, whose statistics images could match; "
           "exporters fold them into layers unless they are told not to";
  return "";
}

Result<Synthesized> Synthesize(const graph::Model& model, const SynthesisOptions& options) {
  if (const std::string why = WhyNoSynthesis(model, options); !why.empty())
    return ModelError(StrCat("no images can be made for the model: ", why));
  ASSIGN_OR_RETURN(const graph::Model matching, MatchingModel(model));
  ASSIGN_OR_RETURN(const auto executor, engine::Executor::Create(matching));
  const graph::ValueInfo& input = *ImageInput(model);
  Shape shape = ShapeOf(input, options);
  // A model whose batch size is 1 matches the statistics of single images.
  const int64_t batch = shape[0] == 1 ? 1 : options.batch;
  const int64_t batches = (options.samples + batch - 1) / batch;
  Synthesized made;
  Progress progress("synthesize", batches * options.iterations, "steps");
  for (int64_t b = 0; b < batches; ++b) {
    Random random(options.seed + static_cast<uint64_t>(b));
    shape[0] = std::min(batch, options.samples - b * batch);
    Optimizer optimizer({{.name = input.name,
                          .start = RandomImages(shape, options, &random),
                          .rate = kRate * (double{options.high} - options.low),
                          .low = options.low,
                          .high = options.high}});
    double loss = 0;
    for (int64_t i = 0; i < options.iterations; ++i) {
      if (Interrupted()) return InterruptedError();
      ASSIGN_OR_RETURN(const std::vector<Tensor> outputs, executor->Run(optimizer.values()));
      loss = outputs[0].data<float>()[0];
      if (i == 0) made.loss_before += loss / static_cast<double>(batches);
      const double progressed = static_cast<double>(i) / static_cast<double>(options.iterations);
      optimizer.Step({outputs[1]}, 0.5 * (1 + std::cos(std::numbers::pi * progressed)));
      progress.Advance(1, StrFormat("loss %.3g", loss));
    }
    made.loss_after += loss / static_cast<double>(batches);
    made.batches.push_back(optimizer.values()[0]);
  }
  return made;
}

}  // namespace roundel::tune
