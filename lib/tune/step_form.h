#pragma once
// Learned step sizes: the float weight and its scales are learned together.

#include <string>

#include "lib/quant/encodings.h"
#include "lib/tune/form.h"

namespace roundel::tune {

// LSQ (Esser et al. 2020): w^ = FakeQuant(w; s, z). Rounding is passed straight through, to w and
// to s (lib/ops/kernels/fake_quant.cpp). Asymmetric grids have learned zero points, which are
// rounded in every step (LSQ+, Bhalgat et al. 2020).
//
// Adam: w = start scale * v, s = start * exp(l), with rates of v (in steps) and of l.
// Momentum: w and s themselves, as published; the gradient of s has the factor 1 / sqrt(n * qmax),
// n the number of weights that share it. By a rule that is linear in gradients it is a factor of the
// rate; Adam does not depend on it.
struct StepSettings {
  Rule rule = Rule::kAdam;  // or kMomentum
  double rate = 2e-2;       // of weights
  double scale_rate = 1e-3;
  double offset_rate = 1e-2;  // of zero points, in codes, by Adam; 0: they stay
};

// Learning starts at the float `weight`, each element moved into the cell of its code if the encoding
// has codes. Requires: encoding.grid.is_uniform().
FormPtr MakeStepForm(const std::string& value, const Tensor& weight,
                     const quant::Encoding& encoding, const StepSettings& settings);

// LSQ's factor for the gradient of one of the scales of a weight.
double StepFactor(const quant::Encoding& encoding, const Shape& weight);

// The zero point of the encoding that all `members` share, learned by Adam at `rate` (in codes) and
// rounded in every step. Requires: an integer grid, per tensor.
FormPtr MakeOffsetForm(std::vector<std::string> members, const quant::Encoding& encoding,
                       double rate);
// Whether a range reaches to both sides of zero on an asymmetric grid. A zero point at an end of the
// grid says that values have one sign: it stays.
bool HasOffset(const quant::Encoding& encoding);

}  // namespace roundel::tune
