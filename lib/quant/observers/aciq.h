#pragma once
// The closed forms of aciq.cpp.

namespace roundel::quant {

// alpha / b of the least expected error for a Laplace density of scale b around the middle of
// [-alpha, alpha], cut into 2^bits steps: the solution of t e^t = 3 * 4^bits.
double LaplaceClip(double bits);
// alpha / sigma for a Gauss density.
double GaussClip(double bits);
// The errors that those densities lead one to expect, in units of b^2 and sigma^2.
double LaplaceError(double clip, double bits);
double GaussError(double clip, double bits);

}  // namespace roundel::quant
