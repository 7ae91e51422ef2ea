#pragma once
// Scales per channel that equalize the weight ranges on both sides of channel groups:
//
//   r1_i = max |W1[i, :]| of the producers,  r2_i = max |W2[:, i]| of the consumers,
//   s_i = sqrt(r1_i / r2_i)
//
// W1 / s and W2 s have the same ranges. A layer can be a consumer of one group and a producer of
// the next, so that groups are equalized in turn until no scale changes.

#include <cstdint>
#include <map>
#include <vector>

#include "lib/graph/channel_groups.h"
#include "lib/graph/graph.h"
#include "lib/graph/layer.h"
#include "lib/tensor/tensor.h"

namespace roundel::graph {

class Equalizer {
 public:
  // A layer with scales on its input or output channels.
  struct Layer {
    WeightedLayer layer;
    Tensor extremes;                          // KernelExtremes
    int input_group = -1, output_group = -1;  // -1: not scaled
    int64_t repeat = 1;                       // inputs per channel of the input group
  };
  // The factors of a weight per channel; empty: ones.
  struct Factors {
    std::vector<double> out, in;
  };

  // `graph` must outlive this. All scales are 1.
  Equalizer(const Graph& graph, std::vector<ChannelGroup> groups);

  // Sweeps until no scale changes by more than `tolerance` (in log s), or `max_sweeps` times;
  // returns the number of sweeps. `*change` is the largest change of the last one. Channels with a
  // range below `dead_share` times the largest of the tensor are dead and keep their scale.
  int64_t Equalize(int64_t max_sweeps, double tolerance, double dead_share, double* change);

  const std::vector<ChannelGroup>& groups() const { return groups_; }
  const std::vector<Layer>& layers() const { return layers_; }
  std::vector<double>& scales(size_t group) { return scales_[group]; }

  // The largest magnitude of every output channel, with or without the scales.
  std::vector<double> OutputRanges(const Layer& layer, bool scaled) const;
  Factors FactorsOf(const Layer& layer) const;
  std::vector<double> ScaledBias(const Layer& layer) const;
  // Whether scaled weight and bias fit their type; the weight is judged by its largest magnitudes.
  bool FitsType(const Layer& layer) const;

 private:
  struct Members {
    std::vector<int> producers, consumers;  // indices into layers_
    std::vector<bool> dead;                 // channels that keep their scale
  };
  struct Ranges {
    std::vector<double> produced, consumed;  // r1 and r2 per channel
    bool feeds_itself = false;               // whether some layer is producer and consumer
  };

  int LayerIndex(const WeightedLayer& layer);
  const std::vector<double>* ScalesOf(int group) const;
  static void MergeOutputRange(const Layer& layer, const std::vector<double>* in,
                               const std::vector<double>* out, std::vector<double>* range);
  void MergeInputRange(const Layer& layer, std::vector<double>* range) const;
  Ranges RangesOf(size_t g) const;
  bool FindDead(size_t g, double dead_share);
  double EqualizeGroup(size_t g, double relaxation);

  const Graph& graph_;
  std::vector<ChannelGroup> groups_;
  std::vector<std::vector<double>> scales_;
  std::vector<Members> members_;
  std::vector<Layer> layers_;
  std::map<const Node*, int> index_;
};

}  // namespace roundel::graph
