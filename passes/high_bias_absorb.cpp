// Moves large positive biases through an activation into the next layer, so that the activation's
// range, which starts at zero, is not wasted on an offset that every sample has.
//
//   x -> L1(W1, b1) -> Relu -> L2(W2, b2)     becomes     x -> L1(W1, b1 - c) -> Relu -> L2(W2, b2 + W2 c)
//
// (Nagel et al. 2019, Data-Free Quantization, section 4.1.3). For one channel with pre-activation x,
//
//   relu(x) = relu(x - c) + c     whenever x >= c,
//
// and batch normalisation tells where x lies: mean beta, deviation |gamma|. So c = max(0, beta - 3 |gamma|)
// is exact for 99.87 % of normally distributed values. What L2 then lacks is constant:
//
//   b2'_o = b2_o + sum over inputs i and kernel positions k of W2[o, i, k] c_i
//
// PRelu and LeakyRelu are the identity above zero, too. `Relu -> Min(m)` with m per channel takes m - c.
// Without an activation the move is exact for any c; c = beta then centres the values.
//
// The result is an approximation (rare values below c; zero padding of L2, which is c too low at the
// border unless padding: skip), hence the pass says so in its metrics, and the runner reports the
// measured change of the outputs instead of failing on it.
//
// Nothing is done, and the reason recorded, if the layer was not followed by batch normalisation, c is
// zero everywhere, another node reads the activation, the next node is not a layer, or a Clip with one
// bound for all channels stands between. Cost: one pass over the weights of L2.

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"
#include "lib/graph/layer.h"
#include "passes/pass.h"

namespace roundel::passes {
namespace {

using graph::Graph;
using graph::Node;
using graph::WeightedLayer;

// How many deviations below its mean a channel is trusted never to go (DFQ uses 3).
constexpr double kDeviations = 3.0;

// What stands between two layers.
struct Link {
  Node* activation = nullptr;  // Relu, PRelu, LeakyRelu; nullptr: nothing
  Node* bound = nullptr;       // Min with a constant per channel behind a Relu
  WeightedLayer next;
};

// The index of the constant input of a Min of two, or -1.
int BoundIndex(const Graph& graph, const Node& node, int64_t channels) {
  if (!node.Is("Min") || node.inputs.size() != 2) return -1;
  for (int i = 0; i < 2; ++i) {
    const Tensor* bound = graph.Constant(node.inputs[i]);
    if (bound && bound->dtype() == DType::kFloat && bound->size() == channels) return i;
  }
  return -1;
}

std::optional<Link> FollowLink(const Graph& graph, const WeightedLayer& layer, std::string* why) {
  Link link;
  std::string value = layer.output();
  Node* reader = graph.OnlyConsumer(value);
  if (reader && (reader->Is("Relu") || reader->Is("PRelu") || reader->Is("LeakyRelu"))) {
    link.activation = reader;
    value = reader->output(0);
    reader = graph.OnlyConsumer(value);
    if (reader && BoundIndex(graph, *reader, layer.out_channels()) >= 0) {
      link.bound = reader;
      value = reader->output(0);
      reader = graph.OnlyConsumer(value);
    }
  }
  if (!reader) {
    *why = StrCat("'", value, "' has several readers or is a graph output");
    return std::nullopt;
  }
  if (reader->Is("Clip")) {
    *why = StrCat("Clip ", reader->DisplayName(), " has one bound for all channels");
    return std::nullopt;
  }
  std::string reason;
  std::optional<WeightedLayer> next = graph::MatchLayer(graph, reader, &reason);
  if (!next || next->input() != value) {
    *why = StrCat("its reader ", reader->DisplayName(), " ",
                  next ? "does not take it as input" : reason);
    return std::nullopt;
  }
  if (next->in_channels() != layer.out_channels()) {
    *why = StrCat("channels of ", reader->DisplayName(), " do not match");
    return std::nullopt;
  }
  link.next = *next;
  return link;
}

std::vector<double> Absorbable(const ChannelStatistics& statistics, bool activation) {
  std::vector<double> c(statistics.mean.size());
  for (size_t i = 0; i < c.size(); ++i)
    c[i] = activation ? std::max(0.0, statistics.mean[i] - kDeviations * statistics.deviation[i])
                      : statistics.mean[i];
  return c;
}

// W2 c, per output channel of the next layer.
std::vector<double> Pushed(const Graph& graph, const WeightedLayer& next,
                           const std::vector<double>& c) {
  const std::vector<double> weight = graph::ReadWeight(graph, next);
  std::vector<double> sums(static_cast<size_t>(next.out_channels()), 0.0);
  for (int64_t g = 0; g < next.groups; ++g)
    for (int64_t o = 0; o < next.out_per_group; ++o)
      for (int64_t i = 0; i < next.in_per_group; ++i)
        for (int64_t k = 0; k < next.kernel; ++k)
          sums[g * next.out_per_group + o] += next.weight_factor *
                                              weight[next.Index(g, o, i, k)] *
                                              c[g * next.in_per_group + i];
  return sums;
}

void LowerBound(Graph* graph, Node* bound, const std::vector<double>& c) {
  const int index = BoundIndex(*graph, *bound, static_cast<int64_t>(c.size()));
  Tensor lowered = *graph->Constant(bound->inputs[index]);
  float* values = lowered.mutable_data<float>();
  for (size_t i = 0; i < c.size(); ++i) values[i] = static_cast<float>(values[i] - c[i]);
  graph::ReplaceConstant(graph, bound, static_cast<size_t>(index), std::move(lowered));
}

void Absorb(Graph* graph, WeightedLayer layer, Link link, const std::vector<double>& c) {
  std::vector<double> bias = graph::ReadBias(*graph, layer);
  for (size_t i = 0; i < c.size(); ++i) bias[i] -= c[i];
  std::vector<double> next_bias = graph::ReadBias(*graph, link.next);
  const std::vector<double> pushed = Pushed(*graph, link.next, c);
  for (size_t i = 0; i < pushed.size(); ++i) next_bias[i] += pushed[i];
  graph::WriteBias(graph, &layer, bias);
  if (link.bound) LowerBound(graph, link.bound, c);
  graph::WriteBias(graph, &link.next, next_bias);
}

// True if the pair was changed; otherwise `why` says what was in the way.
bool TryPair(Session& session, const WeightedLayer& layer, bool skip_padding, std::string* why) {
  Graph& graph = *session.model.graph;
  const auto known = session.statistics.find(layer.output());
  if (known == session.statistics.end() ||
      static_cast<int64_t>(known->second.mean.size()) != layer.out_channels()) {
    *why = "no batch normalisation told its output statistics";
    return false;
  }
  const std::optional<Link> link = FollowLink(graph, layer, why);
  if (!link) return false;
  const std::vector<double> c = Absorbable(known->second, link->activation != nullptr);
  if (!graph::AllFinite(c) || std::all_of(c.begin(), c.end(), [](double v) { return v == 0; })) {
    *why = "no channel's mean lies three deviations above zero";
    return false;
  }
  const bool uniform = graph::InputShiftIsUniform(link->next);
  if (!uniform && skip_padding) {
    *why = StrCat("the zero padding of ", link->next.node->DisplayName(), " would see the shift");
    return false;
  }
  Absorb(&graph, layer, *link, c);
  for (size_t i = 0; i < c.size(); ++i) known->second.mean[i] -= c[i];
  const auto channels = std::count_if(c.begin(), c.end(), [](double v) { return v != 0; });
  session.report->Add(layer.node->DisplayName(), "absorbed",
                      StrCat(channels, " channels into ", link->next.node->DisplayName(),
                             uniform ? "" : ", inexact at its padded border"));
  return true;
}

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  const bool skip_padding = params.String("padding") == "skip";
  std::vector<Node*> nodes;
  for (const auto& node : session.model.graph->nodes())
    if (graph::IsLayerOp(*node)) nodes.push_back(node.get());
  int64_t absorbed = 0;
  for (Node* node : nodes) {
    std::string why;
    const auto layer = graph::MatchLayer(*session.model.graph, node, &why);
    if (layer && TryPair(session, *layer, skip_padding, &why))
      ++absorbed;
    else
      session.report->Add(node->DisplayName(), "declined", why);
  }
  session.report->Metric("layers_absorbed", absorbed);
  if (absorbed == 0) return Outcome::kUnchanged;
  session.report->Metric("approximate", true);
  return Outcome::kChanged;
}

}  // namespace

PassInfo high_bias_absorb_pass() {
  return {
      .name = "high_bias_absorb",
      .summary = "moves biases far above zero through the activation into the next layer",
      .params = {{.name = "padding",
                  .default_value = std::string("allow"),
                  .help = "next layers with zero padding: allow the error at the border, or skip",
                  .choices = {"allow", "skip"}}},
      .float_equivalent = true,
      .run = Run,
  };
}

}  // namespace roundel::passes
