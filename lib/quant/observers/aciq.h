#pragma once
// The closed forms of aciq.cpp.

namespace roundel::quant {

// alpha / b with the least expected error for a Laplace density of scale b, centered in [-alpha,
// alpha], with 2^bits steps: the solution of t e^t = 3 * 4^bits.
double LaplaceClip(double bits);
// alpha / sigma for a Gauss density.
double GaussClip(double bits);
// The expected errors for these densities, in units of b^2 and sigma^2.
double LaplaceError(double clip, double bits);
double GaussError(double clip, double bits);

}  // namespace roundel::quant
