#include "lib/graph/silent_channels.h"

#include <algorithm>
#include <cmath>

#include "lib/graph/match.h"
#include "lib/graph/weight_scaling.h"

namespace roundel::graph {
namespace {

// Trained networks have no larger activations; after Relu6 they are at most 6.
constexpr double kLargestInput = 1000;

bool KeepsNegativesAtZero(const Graph& graph, const WeightedLayer& producer) {
  const Node* reader = graph.OnlyConsumer(producer.output());
  if (!reader) return false;
  if (reader->Is("Relu")) return true;
  const auto bounds = reader->Is("Clip") ? ReadClip(graph, *reader) : std::nullopt;
  return bounds && bounds->low == 0;
}

// Calls f(output channel, input channel, index into the weight) for every element.
template <typename F>
void ForEachWeight(const WeightedLayer& layer, const F& f) {
  for (int64_t g = 0; g < layer.groups; ++g)
    for (int64_t o = 0; o < layer.out_per_group; ++o)
      for (int64_t i = 0; i < layer.in_per_group; ++i)
        for (int64_t k = 0; k < layer.kernel; ++k)
          f(g * layer.out_per_group + o, g * layer.in_per_group + i,
            static_cast<size_t>(layer.Index(g, o, i, k)));
}

}  // namespace

int64_t ClearSilentChannels(Graph* graph, const ChannelGroup& group) {
  if (group.producers.size() != 1 || !KeepsNegativesAtZero(*graph, group.producers[0])) return 0;
  WeightedLayer producer = group.producers[0];
  std::vector<double> bias = ReadBias(*graph, producer);
  std::vector<bool> silent(bias.size());
  const double factor = kLargestInput * std::fabs(producer.weight_factor);
  for (size_t c = 0; c < bias.size(); ++c)  // even the largest inputs leave the output below zero
    silent[c] = bias[c] < 0 &&
                !MagnitudesReach(*graph, producer, static_cast<int64_t>(c), -bias[c] / factor);
  const int64_t count = std::count(silent.begin(), silent.end(), true);
  if (count == 0) return 0;
  std::vector<double> weight = ReadWeight(*graph, producer);
  ForEachWeight(producer, [&](int64_t o, int64_t, size_t at) {
    if (silent[static_cast<size_t>(o)]) weight[at] = 0;
  });
  for (size_t c = 0; c < bias.size(); ++c)
    if (silent[c]) bias[c] = 0;
  WriteWeight(graph, producer, weight);
  WriteBias(graph, &producer, bias);
  for (const ChannelConsumer& consumer : group.consumers) {
    std::vector<double> column = ReadWeight(*graph, consumer.layer);
    ForEachWeight(consumer.layer, [&](int64_t, int64_t i, size_t at) {
      if (silent[static_cast<size_t>(i / consumer.repeat)]) column[at] = 0;
    });
    WriteWeight(graph, consumer.layer, column);
  }
  return count;
}

}  // namespace roundel::graph
