#pragma once
// Regression of what a layer should put out on what it puts out, for each of its channels.

#include <functional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/report/report.h"
#include "lib/walk/layer_walk.h"

namespace roundel::layers {

// Sums over pairs of a target y and a value z.
struct PairSums {
  double count = 0, y = 0, z = 0, yy = 0, zz = 0, yz = 0;

  void Add(double target, double value);
  void Add(const PairSums& other);
  double Variance() const;        // of z, times count
  double TargetVariance() const;  // of y, times count
  double Covariance() const;      // times count
};

// gain * z + offset.
struct Affine {
  double gain = 1, offset = 0;
};

// The sum of (y - gain z - offset)^2.
double SquaredError(const PairSums& sums, const Affine& fit);
// The best offset for the gain.
Affine WithBestOffset(const PairSums& sums, double gain);

// By channel: sums over the samples for fitting, and over those held out.
struct ChannelPairs {
  std::vector<PairSums> fit, held_out;
};

// Targets and values of one batch, of the same shape.
struct PairTensors {
  Tensor target, value;
};
using ComputePairs = std::function<Result<PairTensors>(const walk::LayerBatch& batch)>;

// `make` is called once for each lane. `axis`: of the channels; -1 is the last. `share`: of
// the samples that are kept apart (HeldOut). The sums do not depend on the number of threads.
Result<ChannelPairs> GatherPairs(const walk::LayerInputs& inputs, double share, int64_t axis,
                                 const std::function<Result<ComputePairs>()>& make);

// The report of a layer whose output was `before` and is `after`: errors relative to the variance of
// the targets.
report::LayerOutcome OutcomeOf(const std::string& node, const ChannelPairs& pairs,
                               const std::vector<Affine>& before, const std::vector<Affine>& after);

}  // namespace roundel::layers
