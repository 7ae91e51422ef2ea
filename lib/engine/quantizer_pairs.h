#pragma once
// Quantizers in a graph become grids of values.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/engine/flatten.h"
#include "lib/engine/plan.h"
#include "lib/quant/encodings.h"

namespace roundel::engine {

// A quantized model's QuantizeLinear -> DequantizeLinear pairs on activations, taken out of `nodes` and
// handed back as encodings of the values that are left: one fake quantization in place, in whatever
// layout, that also lets the layers around it fuse. Values in `keep` stay; pairs with parameters per
// channel or computed ones stay as nodes.
std::map<std::string, quant::Encoding> TakeQuantizerPairs(const graph::Graph& graph,
                                                          const std::set<std::string>& keep,
                                                          std::vector<FlatNode>* nodes);

// What a DequantizeLinear of constants stands for: a grid of 8 bits, or int32 for a bias, per tensor or
// per channel, with the codes. nullopt for any other node. `inputs`: nullptr where left out.
std::optional<quant::Encoding> EncodingOfDequantize(const PlanNode& node,
                                                    const std::vector<const Tensor*>& inputs);

}  // namespace roundel::engine
