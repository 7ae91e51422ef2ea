#pragma once
// What rescaling passes ask of a layer's weight, straight from its floats: large models are bound
// by memory, and a detour through doubles moves three times the bytes. Mapped weights need not be
// aligned and are not copied first.

#include <optional>
#include <vector>

#include "lib/graph/layer.h"

namespace roundel::graph {

// The weight with every W[o, i, k] multiplied by out[o] * in[i], in double, rounded once to its
// type; o and i count over all groups, an empty list stands for ones. nullopt if a value does not
// fit the type, or is NaN or infinite.
std::optional<Tensor> ScaledWeight(const Graph& graph, const WeightedLayer& layer,
                                   const std::vector<double>& out, const std::vector<double>& in);

// float32 [groups][out_per_group][in_per_group], the magnitudes of which are max |W[o, i, k]| over
// k: the weight itself where it has that form.
Tensor KernelExtremes(const Graph& graph, const WeightedLayer& layer);
// max |a[i]| * b[i], 0 for none; and largest[i] = max(largest[i], |from[i]| * factor).
float LargestProduct(const float* a, const float* b, int64_t n);
void MergeScaled(const float* from, float factor, int64_t n, float* largest);

// Whether the sum of |W[o, i, k]| over i and k reaches `bound`; nothing is read beyond that. `o`
// counts over all groups.
bool MagnitudesReach(const Graph& graph, const WeightedLayer& layer, int64_t o, double bound);

bool AllFinite(const Tensor& tensor);  // of any floating type

}  // namespace roundel::graph
