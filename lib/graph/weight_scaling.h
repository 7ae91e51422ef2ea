#pragma once
// Operations of rescaling passes on a layer's weight, directly on its floats: large models are
// bound by memory bandwidth, and a conversion to double moves three times the bytes. Mapped weights
// may be unaligned and are not copied first.

#include <optional>
#include <vector>

#include "lib/graph/layer.h"

namespace roundel::graph {

// The weight with every W[o, i, k] multiplied by out[o] * in[i], in double, rounded once to its
// type; o and i count over all groups, an empty list means ones. nullopt if a value does not fit
// the type, or is NaN or infinite.
std::optional<Tensor> ScaledWeight(const Graph& graph, const WeightedLayer& layer,
                                   const std::vector<double>& out, const std::vector<double>& in);

// float32 [groups][out_per_group][in_per_group] with the magnitudes max |W[o, i, k]| over k; the
// weight itself if it has that shape.
Tensor KernelExtremes(const Graph& graph, const WeightedLayer& layer);
// max |a[i]| * b[i], 0 for none; and largest[i] = max(largest[i], |from[i]| * factor).
float LargestProduct(const float* a, const float* b, int64_t n);
void MergeScaled(const float* from, float factor, int64_t n, float* largest);

// Whether the sum of |W[o, i, k]| over i and k reaches `bound`. Stops reading when it does. `o`
// counts over all groups.
bool MagnitudesReach(const Graph& graph, const WeightedLayer& layer, int64_t o, double bound);

bool AllFinite(const Tensor& tensor);  // of any floating type

}  // namespace roundel::graph
