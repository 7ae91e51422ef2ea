#include "lib/graph/equalizer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "lib/graph/weight_scaling.h"

namespace roundel::graph {
namespace {

// Steps in log s are lengthened by this factor (successive over-relaxation): along chains of layers
// plain steps take a number of sweeps that grows with the square of the length.
constexpr double kOverRelaxation = 1.3;

}  // namespace

Equalizer::Equalizer(const Graph& graph, std::vector<ChannelGroup> groups)
    : graph_(graph), groups_(std::move(groups)), scales_(groups_.size()), members_(groups_.size()) {
  for (size_t g = 0; g < groups_.size(); ++g) {
    scales_[g].assign(static_cast<size_t>(groups_[g].channels), 1.0);
    for (const WeightedLayer& producer : groups_[g].producers) {
      const int layer = LayerIndex(producer);
      layers_[static_cast<size_t>(layer)].output_group = static_cast<int>(g);
      members_[g].producers.push_back(layer);
    }
    for (const ChannelConsumer& consumer : groups_[g].consumers) {
      const int layer = LayerIndex(consumer.layer);
      layers_[static_cast<size_t>(layer)].input_group = static_cast<int>(g);
      layers_[static_cast<size_t>(layer)].repeat = consumer.repeat;
      members_[g].consumers.push_back(layer);
    }
  }
}

int64_t Equalizer::Equalize(int64_t max_sweeps, double tolerance, double dead_share,
                            double* change) {
  *change = 0;
  int64_t sweeps = 0;
  for (size_t g = 0; g < groups_.size(); ++g) FindDead(g, dead_share);
  // Dead channels depend on the largest range of the tensor, which equalization lowers: channels
  // may be revived. Revived channels stay alive, so that this ends, and a second run finds the same
  // dead ones.
  for (bool revived = true; revived && sweeps < max_sweeps;) {
    do {
      *change = 0;
      for (size_t g = 0; g < groups_.size(); ++g)
        *change = std::max(*change, EqualizeGroup(g, kOverRelaxation));
    } while (++sweeps < max_sweeps && *change >= tolerance);
    for (size_t g = 0; g < groups_.size(); ++g) EqualizeGroup(g, 1);  // damps overshoots
    if (sweeps >= max_sweeps) break;
    revived = false;
    for (size_t g = 0; g < groups_.size(); ++g) revived |= FindDead(g, dead_share);
  }
  return sweeps;
}

int Equalizer::LayerIndex(const WeightedLayer& layer) {
  const auto [it, added] = index_.try_emplace(layer.node, static_cast<int>(layers_.size()));
  if (added) layers_.push_back({.layer = layer, .extremes = KernelExtremes(graph_, layer)});
  return it->second;
}

const std::vector<double>* Equalizer::ScalesOf(int group) const {
  return group < 0 ? nullptr : &scales_[static_cast<size_t>(group)];
}

std::vector<double> Equalizer::OutputRanges(const Layer& layer, bool scaled) const {
  std::vector<double> ranges(static_cast<size_t>(layer.layer.out_channels()), 0.0);
  MergeOutputRange(layer, scaled ? ScalesOf(layer.input_group) : nullptr,
                   scaled ? ScalesOf(layer.output_group) : nullptr, &ranges);
  return ranges;
}

// Merges the largest scaled magnitude of every output channel into `range`.
void Equalizer::MergeOutputRange(const Layer& layer, const std::vector<double>* in,
                                 const std::vector<double>* out, std::vector<double>* range) {
  const WeightedLayer& l = layer.layer;
  std::vector<float> factors(static_cast<size_t>(l.in_channels()), 1.0f);
  for (size_t i = 0; in && i < factors.size(); ++i)
    factors[i] = static_cast<float>((*in)[i / static_cast<size_t>(layer.repeat)]);
  for (int64_t o = 0; o < l.out_channels(); ++o) {
    const float* row = layer.extremes.data<float>() + o * l.in_per_group;
    const float* factor = factors.data() + o / l.out_per_group * l.in_per_group;
    const float largest = LargestProduct(row, factor, l.in_per_group);
    const auto channel = static_cast<size_t>(o);
    (*range)[channel] = std::max((*range)[channel], largest / (out ? (*out)[channel] : 1.0));
  }
}

// The same for the channels of the input group.
void Equalizer::MergeInputRange(const Layer& layer, std::vector<double>* range) const {
  const WeightedLayer& l = layer.layer;
  const std::vector<double>*in = ScalesOf(layer.input_group), *out = ScalesOf(layer.output_group);
  std::vector<float> largest(static_cast<size_t>(l.in_channels()), 0.0f);
  for (int64_t o = 0; o < l.out_channels(); ++o) {
    const float* row = layer.extremes.data<float>() + o * l.in_per_group;
    float* to = largest.data() + o / l.out_per_group * l.in_per_group;
    const auto factor = static_cast<float>(out ? 1.0 / (*out)[static_cast<size_t>(o)] : 1.0);
    MergeScaled(row, factor, l.in_per_group, to);
  }
  for (size_t i = 0; i < largest.size(); ++i) {
    const size_t channel = i / static_cast<size_t>(layer.repeat);
    (*range)[channel] = std::max((*range)[channel], largest[i] * (in ? (*in)[channel] : 1.0));
  }
}

Equalizer::Ranges Equalizer::RangesOf(size_t g) const {
  const auto channels = static_cast<size_t>(groups_[g].channels);
  Ranges ranges{std::vector<double>(channels, 0.0), std::vector<double>(channels, 0.0)};
  for (const int index : members_[g].producers) {
    const Layer& layer = layers_[static_cast<size_t>(index)];
    MergeOutputRange(layer, ScalesOf(layer.input_group), ScalesOf(layer.output_group),
                     &ranges.produced);
    ranges.feeds_itself |= layer.input_group == static_cast<int>(g);
  }
  for (const int layer : members_[g].consumers)
    MergeInputRange(layers_[static_cast<size_t>(layer)], &ranges.consumed);
  return ranges;
}

// Updates which channels are dead; true if one has been revived.
bool Equalizer::FindDead(size_t g, double dead_share) {
  const Ranges ranges = RangesOf(g);
  std::vector<bool>& dead = members_[g].dead;
  const bool first = dead.empty();
  if (first) dead.assign(ranges.produced.size(), true);
  const double produced = *std::max_element(ranges.produced.begin(), ranges.produced.end());
  const double consumed = *std::max_element(ranges.consumed.begin(), ranges.consumed.end());
  bool revived = false;
  for (size_t c = 0; c < dead.size(); ++c) {
    const bool alive = ranges.produced[c] > 0 && ranges.consumed[c] > 0 &&
                       ranges.produced[c] >= dead_share * produced &&
                       ranges.consumed[c] >= dead_share * consumed;
    revived |= alive && dead[c];
    dead[c] = dead[c] && !alive;
  }
  return revived && !first;
}

double Equalizer::EqualizeGroup(size_t g, double relaxation) {
  const Ranges ranges = RangesOf(g);
  std::vector<double>& scales = scales_[g];
  // A layer from the group to itself answers every step of one channel by a step of another: half a
  // step avoids oscillation.
  const double exponent = ranges.feeds_itself ? 0.25 : 0.5 * relaxation;
  double change = 0;
  for (size_t c = 0; c < scales.size(); ++c) {
    if (members_[g].dead[c]) continue;
    const double step = std::pow(ranges.produced[c] / ranges.consumed[c], exponent);
    change = std::max(change, std::fabs(std::log(step)));
    scales[c] *= step;
  }
  return change;
}

Equalizer::Factors Equalizer::FactorsOf(const Layer& layer) const {
  Factors factors;
  if (const std::vector<double>* scales = ScalesOf(layer.output_group))
    for (const double s : *scales) factors.out.push_back(1 / s);
  if (const std::vector<double>* scales = ScalesOf(layer.input_group))
    for (const double s : *scales)
      factors.in.insert(factors.in.end(), static_cast<size_t>(layer.repeat), s);
  return factors;
}

std::vector<double> Equalizer::ScaledBias(const Layer& layer) const {
  std::vector<double> bias = ReadBias(graph_, layer.layer);
  if (const std::vector<double>* scales = ScalesOf(layer.output_group))
    for (size_t c = 0; c < bias.size(); ++c) bias[c] /= (*scales)[c];
  return bias;
}

bool Equalizer::FitsType(const Layer& layer) const {
  const WeightedLayer& l = layer.layer;
  const Factors factors = FactorsOf(layer);
  const std::vector<float> in = factors.in.empty()
                                    ? std::vector<float>(static_cast<size_t>(l.in_channels()), 1.0f)
                                    : std::vector<float>(factors.in.begin(), factors.in.end());
  std::vector<double> largest;
  for (int64_t o = 0; o < l.out_channels(); ++o)
    largest.push_back(
        double{LargestProduct(layer.extremes.data<float>() + o * l.in_per_group,
                              in.data() + o / l.out_per_group * l.in_per_group, l.in_per_group)} *
        (factors.out.empty() ? 1 : factors.out[static_cast<size_t>(o)]));
  return FitsWeightType(graph_, l, largest) && FitsWeightType(graph_, l, ScaledBias(layer));
}

}  // namespace roundel::graph
