#pragma once
// Front ends of sound and of other signals: layers that transform the signal (a Fourier or
// constant-Q transform as convolutions or products), squares or magnitudes, perhaps sums over bands,
// and a logarithm. The logarithm makes the quiet places as important as the loud ones; a grid of 8
// bits has its step from the loud ones, so that all that is more than 40 dB below them becomes noise.

#include <unordered_set>

#include "lib/graph/graph.h"

namespace roundel::target {

// The nodes between the signal and the logarithm of a square or magnitude: back from it through
// layers with constant weights and whatever is linear, as far as that goes. An activation function or
// a normalisation ends it, and so does a product of two different values.
std::unordered_set<const graph::Node*> FindLogSpectra(const graph::Graph& graph);

}  // namespace roundel::target
