#pragma once
// Conversion of quantizers in a graph to encodings of values.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/engine/flatten.h"
#include "lib/engine/plan.h"
#include "lib/quant/encodings.h"

namespace roundel::engine {

// Removes QuantizeLinear -> DequantizeLinear pairs on activations from `nodes` and returns them as
// encodings of the remaining values: a fake quantization in place, in any layout, around which
// layers still fuse. Values in `keep` are kept. Pairs with per-channel or computed parameters stay
// nodes.
std::map<std::string, quant::Encoding> TakeQuantizerPairs(const graph::Graph& graph,
                                                          const std::set<std::string>& keep,
                                                          std::vector<FlatNode>* nodes);

// The encoding, with codes, of a DequantizeLinear of constants: 8 bits, or int32 for a bias, per
// tensor or per channel. nullopt for any other node. `inputs`: nullptr if absent.
std::optional<quant::Encoding> EncodingOfDequantize(const PlanNode& node,
                                                    const std::vector<const Tensor*>& inputs);

}  // namespace roundel::engine
