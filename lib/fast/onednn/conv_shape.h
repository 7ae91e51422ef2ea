#pragma once
// The geometry of a Conv or ConvTranspose in oneDNN's terms; shared by the kernels on floats and on
// codes, and by gradients.

#include <optional>

#include "lib/fast/onednn/primitive.h"
#include "lib/ops/kernels/spatial.h"

namespace roundel::engine {

struct ConvShape {
  Window window;
  Shape result;  // [N, M, spatial...]
};
// Of `node` with weights [M, C / group, k...] on a source of shape `x`, both of the same rank;
// nullopt if they are incompatible or too large.
std::optional<ConvShape> ResolveConv(const graph::Node& node, int64_t groups, const Shape& x,
                                     const Shape& weights);

// Of a ConvTranspose with weights [C, M / group, k...]: the Conv that leads from its result to its
// source has this geometry. nullopt also for attributes that are not supported (output_shape, SAME
// padding).
struct TransposedShape {
  ConvGeometry geometry;
  Shape result;
};
std::optional<TransposedShape> ResolveConvTranspose(const graph::Node& node, int64_t groups,
                                                    const Shape& x, const Shape& weights);

// [M, C, ...] -> [groups, M / groups, C, ...]; unchanged without groups.
Shape GroupedShape(Shape weights, int64_t groups);
// The end padding for which the output sizes are exact: a last output row that would read only end
// padding is not computed.
std::vector<int64_t> ExactEndPads(const Window& window);
ConvGeometry GeometryOf(const Window& window);

}  // namespace roundel::engine
