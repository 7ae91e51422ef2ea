#pragma once
// A common view of the operators that multiply by a constant weight: Conv, ConvTranspose, Gemm, and
// MatMul (with the Add of a constant bias after it). Passes work on output and input channels
// instead of memory layouts. Arithmetic is in double; tensors keep their types.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

struct WeightedLayer {
  Node* node = nullptr;
  Node* bias_add = nullptr;  // MatMul only: adds the bias
  // The weight is [groups][out][in][kernel] in memory, or [groups][in][out][kernel] if !out_major.
  int64_t groups = 1, out_per_group = 0, in_per_group = 0, kernel = 1;
  bool out_major = true;
  // Only set by MatchMatrixProduct: the input index of the weight, and the number of its matrices,
  // which are stacked in memory; in_per_group counts the inputs of all of them.
  size_t weight_index = 1;
  int64_t stack = 1;
  double weight_factor = 1;  // Gemm's alpha: the layer computes with weight_factor * weight

  int64_t out_channels() const { return groups * out_per_group; }
  int64_t in_channels() const { return groups * in_per_group; }
  // Index into the weight tensor; o and i count within group g.
  int64_t Index(int64_t g, int64_t o, int64_t i, int64_t k) const {
    const int64_t row = out_major ? (g * out_per_group + o) * in_per_group + i
                                  : (g * in_per_group + i) * out_per_group + o;
    return row * kernel + k;
  }
  const std::string& weight() const { return node->input(weight_index); }
  const std::string& input() const { return node->input(1 - weight_index); }
  const std::string& output() const { return (bias_add ? bias_add : node)->output(0); }
  bool depthwise() const { return groups > 1 && in_per_group == 1 && out_per_group == 1; }
};

// The layer of `node`; nullopt, with the reason in `why`, if the node is no layer (weight or bias
// not constant, transposed input, shapes that do not fit).
std::optional<WeightedLayer> MatchLayer(const Graph& graph, Node* node, std::string* why);
// As MatchLayer, and also MatMuls with a constant matrix on the left or a constant stack of
// matrices on the right. Passes that move channels or biases between layers cannot use these: the
// channels of the former are not the last axis, and each matrix of the latter has other inputs.
std::optional<WeightedLayer> MatchMatrixProduct(const Graph& graph, Node* node, std::string* why);
// The layer whose output() is `value`: its weighted node, or the Add after a MatMul.
std::optional<WeightedLayer> LayerProducing(const Graph& graph, const std::string& value,
                                            std::string* why);
bool IsLayerOp(const Node& node);
// The input index of a layer's weight: 1, or 0 for a MatMul with only the left operand constant.
// The other one of the two inputs is the data.
size_t WeightIndex(const Graph& graph, const Node& layer);
// True: channels on axis 1, for any rank. False: Gemm or MatMul, channels on the last axis.
bool IsConvolution(const WeightedLayer& layer);

std::vector<double> ReadWeight(const Graph& graph, const WeightedLayer& layer);
// One value per output channel, including Gemm's beta; zeros if there is no bias.
std::vector<double> ReadBias(const Graph& graph, const WeightedLayer& layer);

// False if a value does not fit the weight's type (the float16 maximum is 65504).
bool FitsWeightType(const Graph& graph, const WeightedLayer& layer,
                    const std::vector<double>& values);
// Writes the weight in its type, under a fresh name if another node reads the old constant.
void WriteWeight(Graph* graph, const WeightedLayer& layer, const std::vector<double>& values);
// Writes the bias. Creates one if there is none and a value is not zero; a MatMul gets an Add that
// takes over its output name.
void WriteBias(Graph* graph, WeightedLayer* layer, const std::vector<double>& values);

// Whether a constant added to an input channel shifts every output position equally, so that it can
// move into the bias: no zero padding, and all outputs of a ConvTranspose have the same taps.
bool InputShiftIsUniform(const WeightedLayer& layer);

// ---- constants

std::vector<double> ToDoubles(const Tensor& tensor);  // any floating type
Tensor FromDoubles(const std::vector<double>& values, DType type, const Shape& shape);
bool AllFinite(const std::vector<double>& values);
// Makes `value` the constant of input `index` of `node`; other readers keep the old constant.
void ReplaceConstant(Graph* graph, Node* node, size_t index, Tensor value);
// Removes `node` and the constants that no node reads after that.
void RemoveNodeAndConstants(Graph* graph, const Node* node);

}  // namespace roundel::graph
