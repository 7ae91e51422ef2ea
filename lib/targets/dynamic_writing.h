#pragma once
// What the steps share that write layers with dynamic quantization.

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "lib/quant/encodings.h"
#include "lib/targets/graph_edit.h"

namespace roundel::target {

// Outputs of a DynamicQuantizeLinear.
struct QuantizedInput {
  std::string codes, scale, zero_point;
};

struct DynamicWriting {
  const std::unordered_set<std::string> layers;  // their main outputs
  graph::Model& model;
  quant::EncodingTable& table;
  const graph::Graph& g = *model.graph;  // the given graph
  NameSet names{g};
  std::shared_ptr<graph::Graph> made = EmptyCopy(g);
  std::unordered_map<std::string, QuantizedInput> quantized;  // by value
  std::unordered_set<std::string> written;                    // weights
  std::map<std::pair<std::string, bool>, std::string> codes;  // (weight, transposed) -> name

  // One DynamicQuantizeLinear serves all layers that read the value.
  const QuantizedInput& QuantizeInput(const std::string& value);
  // Adds an initializer under a name like `name`, which is returned.
  std::string AddConstant(const std::string& name, const Tensor& value);
  // Zero points of a weight: one for each scale, or a `single` one.
  std::string ZeroPoint(const std::string& value, const quant::Encoding& e, bool single);
};

// Whether the codes of the encoding are integers of 8 bits.
bool HasByteCodes(const quant::Encoding& e);
bool SameZeroPoints(const quant::Encoding& e);
Tensor CodesOf(const Tensor& weight, const quant::Encoding& e);

}  // namespace roundel::target
