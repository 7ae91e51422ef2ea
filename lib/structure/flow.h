#pragma once
// The part of a graph that blocks divide: what lies on the way of floats from the input to layers and
// from layers to the outputs. Sizes, masks and positions are not on it.

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::structure {

struct Flow {
  static constexpr int kNone = -1;

  explicit Flow(const graph::Model& model);

  // ---- by position of the node
  std::vector<const graph::Node*> nodes;
  std::vector<std::vector<std::string>> reads;  // values, also those read by bodies; no constants
  std::vector<std::vector<int>> sources;        // producers of these, without duplicates
  std::vector<std::vector<int>> from;           // producers of floats, if both are on the flow
  std::vector<int> results;                     // how many of its floats other nodes read
  std::vector<bool> layer;                      // multiplies by a constant weight
  std::vector<bool> trained;                    // has a float result that depends on a layer
  std::vector<bool> core;                       // a layer, or on the way to one

  int Producer(const std::string& value) const;
  bool IsFloat(const std::string& value) const;
  // Of a layer.
  std::string Weight(int layer_node) const;
  int64_t WeightSize(int layer_node) const;
  // Each input channel has its own outputs: Conv with as many groups as channels.
  bool IsDepthwise(int layer_node) const;

 private:
  void ReadGraph();
  void FindLayers();
  void FindFlow();
  bool IsLayer(const graph::Node& node) const;

  const graph::Graph& graph_;
  std::unordered_map<std::string, int> producer_;
  std::unordered_map<std::string, DType> types_;
};

}  // namespace roundel::structure
