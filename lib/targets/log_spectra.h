#pragma once
// Spectral front ends of audio and other signals: layers that transform the signal (a Fourier or
// constant-Q transform as convolutions or products), squares or magnitudes, optional sums over
// bands, and a logarithm. It makes quiet parts as important as loud ones, but the step of an 8-bit
// grid follows from the loud ones: all that is 40 dB below them becomes noise.

#include <unordered_set>

#include "lib/graph/graph.h"

namespace roundel::target {

// The nodes between the signal and the logarithm of a square or magnitude: all nodes backwards from
// it through layers with constant weights and linear operators. An activation function, a
// normalization or a product of two different values ends the search.
std::unordered_set<const graph::Node*> FindLogSpectra(const graph::Graph& graph);

}  // namespace roundel::target
