#include "lib/layers/refit.h"

#include <algorithm>
#include <cmath>

#include "lib/graph/layer_slots.h"
#include "lib/layers/layer_bias.h"

namespace roundel::layers {
namespace {

using graph::WeightedLayer;
using quant::Encoding;
using quant::Granularity;

// How many scales follow one another along the output channels of a weight. 1: none do, so that all
// channels share their scales.
int64_t ScaleChannels(const graph::Graph& graph, const WeightedLayer& layer, const Encoding& e) {
  const Shape& shape = graph.Constant(layer.weight())->shape();
  const auto slots = graph::FindLayerSlots(graph, *layer.node, std::ssize(shape));
  const bool apart = e.granularity == Granularity::kChannel ? e.axis == slots->channel_axis
                                                            : e.axis != slots->channel_axis;
  if (e.granularity == Granularity::kTensor || !apart) return 1;
  return shape[static_cast<size_t>(slots->channel_axis)];
}

// The place of a scale along the output channels.
int64_t ChannelOfScale(const graph::Graph& graph, const WeightedLayer& layer, const Encoding& e,
                       int64_t scale) {
  const int64_t channels = ScaleChannels(graph, layer, e);
  if (e.granularity != Granularity::kBlock || channels == 1) return scale % channels;
  const Shape shape = quant::ScaleShape(e, graph.Constant(layer.weight())->shape());
  const auto slots = graph::FindLayerSlots(graph, *layer.node, std::ssize(shape));
  int64_t inner = 1;
  for (size_t i = static_cast<size_t>(slots->channel_axis) + 1; i < shape.size(); ++i)
    inner *= shape[i];
  return scale / inner % channels;
}

std::string ScaleObstacle(const Session& session, const WeightedLayer& layer, const Encoding& e) {
  const graph::Graph& graph = *session.model.graph;
  if (!e.grid.has_scale()) return "its grid has no scale";
  if (e.grid.scales != quant::ScaleKind::kFloat && e.grid.scales != quant::ScaleKind::kSigned)
    return "its scales are not free numbers";
  if (graph.Uses(layer.weight()).size() > 1) return "other nodes read its weights";
  return "";
}

// The best gain of some channels together, each with its best offset; or with its bias kept.
double BestGain(const ChannelPairs& pairs, const std::vector<double>& bias,
                const std::vector<size_t>& channels, bool free_bias) {
  double product = 0, square = 0;
  for (const size_t c : channels) {
    const PairSums& s = pairs.fit[c];
    if (free_bias) {
      product += s.Covariance();
      square += s.Variance();
    } else {  // of y - b on z - b
      product += s.yz - bias[c] * (s.y + s.z) + bias[c] * bias[c] * s.count;
      square += s.zz - 2 * bias[c] * s.z + bias[c] * bias[c] * s.count;
    }
  }
  return square > 0 ? product / square : 1;
}

}  // namespace

RefitRules RulesOf(const Session& session, const WeightedLayer& layer) {
  const Encoding& weight = session.encodings.at(layer.weight());
  RefitRules rules;
  rules.why_no_bias = BiasObstacle(session, layer);
  rules.why_no_scales = ScaleObstacle(session, layer, weight);
  // An int32 bias is in the unit of the weight's scale.
  if (!rules.why_no_bias.empty() && rules.why_no_scales.empty() &&
      session.encodings.contains(layer.node->input(2)))
    rules.why_no_scales = rules.why_no_bias;
  rules.scales = rules.why_no_scales.empty();
  rules.bias = rules.why_no_bias.empty();
  const int64_t scales = ScaleChannels(*session.model.graph, layer, weight);
  for (int64_t c = 0; c < layer.out_channels(); ++c)
    rules.group.push_back(static_cast<size_t>(c % scales));
  return rules;
}

std::vector<Affine> ChooseFits(const ChannelPairs& pairs, const std::vector<double>& bias,
                               const RefitRules& rules) {
  const std::vector<PairSums>& judge = pairs.held_out.empty() ? pairs.fit : pairs.held_out;
  std::vector<Affine> fits(pairs.fit.size());
  std::vector<std::vector<size_t>> groups;
  for (size_t c = 0; c < fits.size(); ++c) {
    if (rules.bias) {
      const Affine moved = WithBestOffset(pairs.fit[c], 1);
      if (SquaredError(judge[c], moved) < SquaredError(judge[c], fits[c])) fits[c] = moved;
    }
    groups.resize(std::max(groups.size(), rules.group[c] + 1));
    groups[rules.group[c]].push_back(c);
  }
  if (!rules.scales) return fits;
  for (const std::vector<size_t>& channels : groups) {
    const double gain = BestGain(pairs, bias, channels, rules.bias);
    if (!std::isfinite(gain) || gain <= 0) continue;
    std::vector<Affine> scaled;
    double before = 0, after = 0;
    for (const size_t c : channels) {
      scaled.push_back(rules.bias ? WithBestOffset(pairs.fit[c], gain)
                                  : Affine{gain, bias[c] * (1 - gain)});
      before += SquaredError(judge[c], fits[c]);
      after += SquaredError(judge[c], scaled.back());
    }
    if (after >= before) continue;
    for (size_t i = 0; i < channels.size(); ++i) fits[channels[i]] = scaled[i];
  }
  return fits;
}

std::string ApplyFits(Session& session, const WeightedLayer& layer, const std::vector<Affine>& fits,
                      const std::string& decided_by) {
  const graph::Graph& graph = *session.model.graph;
  Encoding& weight = session.encodings.at(layer.weight());
  const Encoding old = weight;
  std::vector<double> bias = graph::ReadBias(graph, layer);
  bool scales = false, moves = false;
  for (size_t c = 0; c < fits.size(); ++c) {
    const double moved = fits[c].gain * bias[c] + fits[c].offset;
    scales |= fits[c].gain != 1;
    moves |= fits[c].gain != 1 || fits[c].offset != 0;
    bias[c] = moved;
  }
  if (scales) {
    if (!weight.codes) weight.codes = quant::QuantizeTensor(*graph.Constant(layer.weight()), old);
    for (size_t i = 0; i < weight.params.size(); ++i) {
      const int64_t c = ChannelOfScale(graph, layer, old, static_cast<int64_t>(i));
      const double scale = weight.params[i].scale * fits[static_cast<size_t>(c)].gain;
      weight.params[i].scale = static_cast<float>(scale);
      if (!std::isnormal(weight.params[i].scale)) {
        weight = old;
        return "a scale would leave the range of floats";
      }
    }
    weight.frozen = true;
    weight.decided_by = decided_by;
  }
  if (!moves || !BiasObstacle(session, layer).empty()) return "";
  std::string why = SetBias(session, layer, bias, decided_by);
  if (!why.empty())
    weight = old;
  else
    session.corrected_biases.insert(layer.output());
  return why;
}

}  // namespace roundel::layers
