// Bias correction: subtracts from the bias the mean error that rounding the weights adds to a
// layer's output.
//
//   b'[o] = b[o] - sum_{i,k} (Wq - W)[o,i,k] * mean(x[i]) * share[k]
//
// The mean error is not zero if inputs are not centered, such as after a Relu: rounding shifts each
// output channel equally at every position (Nagel et al. 2019, Data-free quantization, section 4.2;
// here the means are measured instead of derived from batch normalization). share[k] is the share
// of output positions at which tap k of a convolution is inside the input and not in the padding.
// The mean is that of the float model: each layer corrects its own weights only, and no correction
// is made twice.
//
// Requires the input means that calibrate measures in its sweep; this pass reads no data. It
// changes only biases, on the grid of calibrate, and adds a bias to a layer without one. It
// declines layers with a bias that has codes or is frozen, and MatMul, which has no bias.

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"
#include "lib/calibration/input_means.h"
#include "lib/graph/layer.h"
#include "lib/layers/layer_bias.h"
#include "lib/ops/kernels/spatial.h"
#include "passes/pass.h"

namespace roundel::passes {
namespace {

using graph::WeightedLayer;
using quant::Encoding;

// By tap of the kernel, row-major: the share of output positions for which it is inside the input.
Result<std::vector<double>> TapShares(const WeightedLayer& layer, const Shape& weight,
                                      const Shape& input) {
  if (!graph::IsConvolution(layer)) return std::vector<double>{1};
  // If the input has not been measured (calibrate's data_free), borders are ignored.
  if (input.empty() && !layer.node->Is("ConvTranspose"))
    return std::vector<double>(static_cast<size_t>(layer.kernel), 1.0);
  const Shape kernel(weight.begin() + 2, weight.end());
  if (layer.node->Is("ConvTranspose")) {
    // Every input position uses each tap once, and the strides distribute the products over the
    // outputs.
    double share = 1;
    for (int64_t stride : layer.node->Ints("strides", Shape(kernel.size(), 1)))
      share /= static_cast<double>(stride);
    return std::vector<double>(static_cast<size_t>(NumElements(kernel)), share);
  }
  ASSIGN_OR_RETURN(
      const engine::Window window,
      engine::ResolveWindow(*layer.node, Shape(input.begin() + 2, input.end()), kernel, false));
  std::vector<double> shares = {1};
  for (size_t d = 0; d < kernel.size(); ++d) {
    std::vector<double> next;
    for (const double outer : shares)
      for (int64_t k = 0; k < kernel[d]; ++k) {
        int64_t inside = 0;
        for (int64_t o = 0; o < window.output[d]; ++o) {
          const int64_t at = o * window.strides[d] - window.pads_begin[d] + k * window.dilations[d];
          inside += at >= 0 && at < window.input[d];
        }
        next.push_back(outer * static_cast<double>(inside) /
                       static_cast<double>(std::max<int64_t>(1, window.output[d])));
      }
    shares = std::move(next);
  }
  return shares;
}

// The mean change of each output channel by the rounding of the weights.
std::vector<double> MeanShift(const WeightedLayer& layer, const std::vector<double>& error,
                              const std::vector<double>& mean, const std::vector<double>& shares) {
  std::vector<double> shift;
  for (int64_t g = 0; g < layer.groups; ++g)
    for (int64_t o = 0; o < layer.out_per_group; ++o) {
      double sum = 0;
      for (int64_t i = 0; i < layer.in_per_group; ++i)
        for (int64_t k = 0; k < layer.kernel; ++k)
          sum += error[layer.Index(g, o, i, k)] * mean[g * layer.in_per_group + i] * shares[k];
      shift.push_back(sum * layer.weight_factor);
    }
  return shift;
}

// Empty if the layer was corrected; else the reason why not.
Result<std::string> Correct(Session& session, const WeightedLayer& layer) {
  const graph::Graph& graph = *session.model.graph;
  const Encoding& weight = session.encodings.at(layer.weight());
  const Tensor& values = *graph.Constant(layer.weight());
  if (session.corrected_biases.contains(layer.output()))
    return std::string("its bias was corrected before");
  if (std::string why = layers::BiasObstacle(session, layer); !why.empty()) return why;
  if (!session.input_means || !session.input_means->contains(layer.input()))
    return std::string("the mean of its input was not measured");
  if (values.dtype() != DType::kFloat) return std::string("its weight is not float32");
  const quant::InputMean& input = session.input_means->at(layer.input());
  if (static_cast<int64_t>(input.mean.size()) != layer.in_channels())
    return std::string("its input has another number of channels than its weight");

  const Tensor rounded = quant::FakeQuantizeTensor(values, weight);
  std::vector<double> error(static_cast<size_t>(values.size()));
  for (size_t i = 0; i < error.size(); ++i)
    error[i] = static_cast<double>(rounded.data<float>()[i]) - values.data<float>()[i];
  ASSIGN_OR_RETURN(const auto shares, TapShares(layer, values.shape(), input.shape));
  const std::vector<double> shift = MeanShift(layer, error, input.mean, shares);
  std::vector<double> bias = graph::ReadBias(graph, layer);
  for (size_t c = 0; c < bias.size(); ++c) bias[c] -= shift[c];
  if (std::string why = layers::SetBias(session, layer, bias, "bias_correct"); !why.empty())
    return why;
  session.corrected_biases.insert(layer.output());
  double largest = 0;
  for (double s : shift) largest = std::max(largest, std::fabs(s));
  session.report->Add(layer.node->DisplayName(), "corrected", StrCat("by up to ", largest));
  return std::string();
}

Result<Outcome> Run(Session& session, const recipe::Params&) {
  RETURN_IF_ERROR(calibration::EnsureInputMeans(session));
  int64_t corrected = 0, declined = 0;
  std::vector<graph::Node*> nodes;  // a snapshot: a correction may add a node
  for (const graph::NodePtr& node : session.model.graph->nodes()) nodes.push_back(node.get());
  for (graph::Node* node : nodes) {
    if (!graph::IsLayerOp(*node) || !session.encodings.contains(node->input(1))) continue;
    std::string why;
    const auto layer = graph::MatchLayer(*session.model.graph, node, &why);
    if (layer) {
      ASSIGN_OR_RETURN(why, Correct(session, *layer));
    }
    ++(why.empty() ? corrected : declined);
    if (!why.empty()) session.report->Add(node->DisplayName(), "declined", why);
  }
  session.report->Metric("corrected", corrected);
  session.report->Metric("declined", declined);
  return corrected > 0 ? Outcome::kChanged : Outcome::kUnchanged;
}

}  // namespace

PassInfo bias_correct_pass() {
  return {
      .name = "bias_correct",
      .summary = "subtracts the mean output error of rounded weights from the biases",
      .params = {},
      .needs_grids = true,
      .needs_input_means = true,
      .corrects_rounding = true,
      .run = Run,
  };
}

}  // namespace roundel::passes
