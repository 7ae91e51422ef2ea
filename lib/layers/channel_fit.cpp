#include "lib/layers/channel_fit.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "lib/base/lanes.h"
#include "lib/base/parallel.h"
#include "lib/tensor/held_out.h"

namespace roundel::layers {

void PairSums::Add(double target, double value) {
  ++count;
  y += target;
  z += value;
  yy += target * target;
  zz += value * value;
  yz += target * value;
}

void PairSums::Add(const PairSums& other) {
  count += other.count;
  y += other.y;
  z += other.z;
  yy += other.yy;
  zz += other.zz;
  yz += other.yz;
}

double PairSums::Variance() const { return count > 0 ? std::max(0.0, zz - z * z / count) : 0; }
double PairSums::TargetVariance() const {
  return count > 0 ? std::max(0.0, yy - y * y / count) : 0;
}
double PairSums::Covariance() const { return count > 0 ? yz - y * z / count : 0; }

double SquaredError(const PairSums& s, const Affine& fit) {
  const auto [g, o] = fit;
  return s.yy + g * g * s.zz + o * o * s.count - 2 * g * s.yz - 2 * o * s.y + 2 * g * o * s.z;
}

Affine WithBestOffset(const PairSums& sums, double gain) {
  return {gain, sums.count > 0 ? (sums.y - gain * sums.z) / sums.count : 0};
}

namespace {

ChannelPairs SumsOf(const PairTensors& pairs, const walk::LayerBatch& batch, int64_t axis,
                    const HeldOut& held_out) {
  const Shape& shape = pairs.target.shape();
  const int64_t channels = pairs.target.dim(axis), rows = shape[0];
  int64_t inner = 1;
  for (int64_t i = axis < 0 ? pairs.target.rank() : axis + 1; i < pairs.target.rank(); ++i)
    inner *= shape[static_cast<size_t>(i)];
  ChannelPairs sums = {.fit = std::vector<PairSums>(static_cast<size_t>(channels)),
                       .held_out = std::vector<PairSums>(static_cast<size_t>(channels))};
  const int64_t per_row = rows > 0 ? pairs.target.size() / rows : 0;
  const float *y = pairs.target.data<float>(), *z = pairs.value.data<float>();
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t sample = batch.original + row * batch.samples / rows;
    std::vector<PairSums>& side = held_out(sample) ? sums.held_out : sums.fit;
    for (int64_t at = row * per_row; at < (row + 1) * per_row; at += inner) {
      PairSums& channel = side[static_cast<size_t>(at / inner % channels)];
      for (int64_t i = at; i < at + inner; ++i) channel.Add(y[i], z[i]);
    }
  }
  return sums;
}

void AddTo(const std::vector<PairSums>& part, std::vector<PairSums>* whole) {
  whole->resize(part.size());
  for (size_t c = 0; c < part.size(); ++c) (*whole)[c].Add(part[c]);
}

}  // namespace

Result<ChannelPairs> GatherPairs(const walk::LayerInputs& inputs, double share, int64_t axis,
                                 const std::function<Result<ComputePairs>()>& make) {
  const HeldOut held_out(share, inputs.originals());
  const int64_t batches = inputs.batches();
  std::vector<ChannelPairs> sums(static_cast<size_t>(batches));
  std::vector<Status> errors(static_cast<size_t>(batches));
  std::atomic<int64_t> next = 0;
  const auto one = [&](const ComputePairs& compute, int64_t b) -> Status {
    ASSIGN_OR_RETURN(const walk::LayerBatch batch, inputs.Load(b));
    ASSIGN_OR_RETURN(const PairTensors pairs, compute(batch));
    sums[static_cast<size_t>(b)] = SumsOf(pairs, batch, axis, held_out);
    return OkStatus();
  };
  const auto lane = [&](int) {
    const Result<ComputePairs> compute = make();
    for (int64_t b = next++; b < batches; b = next++)
      errors[static_cast<size_t>(b)] = compute.ok() ? one(*compute, b) : compute.status();
  };
  Lanes lanes(Threads());
  lanes.Run(static_cast<int>(std::min<int64_t>(lanes.count(), batches)), lane);
  ChannelPairs total;
  for (size_t b = 0; b < sums.size(); ++b) {
    RETURN_IF_ERROR(std::move(errors[b]));
    AddTo(sums[b].fit, &total.fit);
    AddTo(sums[b].held_out, &total.held_out);
  }
  if (!held_out.any()) total.held_out.clear();
  return total;
}

namespace {
double RelativeError(const std::vector<PairSums>& sums, const std::vector<Affine>& fits) {
  double error = 0, power = 0;
  for (size_t c = 0; c < sums.size(); ++c) {
    error += SquaredError(sums[c], fits[c]);
    power += sums[c].TargetVariance();
  }
  return power > 0 ? error / power : 0;
}
}  // namespace

report::LayerOutcome OutcomeOf(const std::string& node, const ChannelPairs& pairs,
                               const std::vector<Affine>& before,
                               const std::vector<Affine>& after) {
  report::LayerOutcome outcome{.node = node,
                               .error_before = RelativeError(pairs.fit, before),
                               .error_after = RelativeError(pairs.fit, after),
                               .columns = static_cast<int64_t>(pairs.fit[0].count),
                               .inputs = 2};
  if (!pairs.held_out.empty()) {
    outcome.held_out_before = RelativeError(pairs.held_out, before);
    outcome.held_out_after = RelativeError(pairs.held_out, after);
  }
  return outcome;
}

}  // namespace roundel::layers
