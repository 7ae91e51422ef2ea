#pragma once
// The weighted source positions of Resize and Upsample, which the operators and their gradients share.

#include <string>
#include <vector>

#include "lib/ops/kernels/common.h"

namespace roundel::engine::resize {

struct Settings {
  std::string mode, coordinates, nearest;
  double cubic_a = -0.75, extrapolation = 0;
  bool exclude_outside = false, antialias = false;
};

struct AxisSpec {
  int64_t from = 1, to = 1;
  double scale = 1;
  double roi_start = 0, roi_end = 1;
};

// One output position: sum of weights[k] * x[positions[k]]; if outside, the extrapolation value.
struct Taps {
  std::vector<int64_t> positions;
  std::vector<float> weights;
  bool outside = false;
};

// Both from the attributes and inputs of a node. Errors: kModel.
Result<Settings> ReadSettings(const OpContext& context);
Result<std::vector<AxisSpec>> ResolveAxes(const OpContext& context, const Settings& settings);

// By position of the resized axis.
std::vector<Taps> TapsOf(const Settings& settings, const AxisSpec& axis);
// Whether each position is that of the source.
bool IsIdentity(const std::vector<Taps>& taps, int64_t from);

}  // namespace roundel::engine::resize
