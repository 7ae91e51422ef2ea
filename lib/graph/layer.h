#pragma once
// One view on every operator that multiplies by a constant weight: Conv, ConvTranspose, Gemm, and
// MatMul (with the Add of a constant bias behind it), so that passes speak of output and input
// channels and not of memory layouts. Arithmetic is in double; tensors keep their types.

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
  // Of MatchMatrixProduct alone: where the weight stands, and how many matrices it is made of, one below the
  // other in memory; in_per_group counts the inputs of all of them.
  size_t weight_index = 1;
  int64_t stack = 1;
  double weight_factor = 1;  // Gemm's alpha: the layer computes with weight_factor * weight

  int64_t out_channels() const { return groups * out_per_group; }
  int64_t in_channels() const { return groups * in_per_group; }
  // Place in the weight tensor; o and i count within the group g.
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

// The layer whose weighted node is `node`; nullopt, with the reason in `why`, if it is none (weight
// or bias not constant, transposed input, shapes that do not fit).
std::optional<WeightedLayer> MatchLayer(const Graph& graph, Node* node, std::string* why);
// What MatchLayer takes, and MatMuls whose constant is a matrix on the left or a stack of matrices on the
// right. The output's last axis is not the channels of the former, and the latter multiply other inputs
// with each matrix: passes that move channels or biases from layer to layer have no use for them.
std::optional<WeightedLayer> MatchMatrixProduct(const Graph& graph, Node* node, std::string* why);
// The layer whose output() is `value`: its weighted node, or the Add behind a MatMul.
std::optional<WeightedLayer> LayerProducing(const Graph& graph, const std::string& value,
                                            std::string* why);
bool IsLayerOp(const Node& node);
// Which input of a layer is its weight: 1, but 0 for a MatMul whose left side alone is constant. The
// other one of the two is the data.
size_t WeightIndex(const Graph& graph, const Node& layer);
// Channels on axis 1, whatever the rank; else Gemm or MatMul, channels on the last axis.
bool IsConvolution(const WeightedLayer& layer);

std::vector<double> ReadWeight(const Graph& graph, const WeightedLayer& layer);
// One value per output channel as it is added (Gemm's beta applied); zeros if there is no bias.
std::vector<double> ReadBias(const Graph& graph, const WeightedLayer& layer);

// False, and nothing changed, if a value does not fit the weight's type (float16 ends at 65504).
bool FitsWeightType(const Graph& graph, const WeightedLayer& layer,
                    const std::vector<double>& values);
// Written in the type of the weight, under a fresh name if something else reads the old constant.
void WriteWeight(Graph* graph, const WeightedLayer& layer, const std::vector<double>& values);
// Makes the bias if there is none and a value is not zero; a MatMul gets an Add whose result keeps
// the MatMul's output name.
void WriteBias(Graph* graph, WeightedLayer* layer, const std::vector<double>& values);

// Whether an added constant per input channel reaches every output position alike, so that it can
// move into the bias: no zero padding, and no output of a ConvTranspose that sees fewer taps.
bool InputShiftIsUniform(const WeightedLayer& layer);

// ---- constants

std::vector<double> ToDoubles(const Tensor& tensor);  // any floating type
Tensor FromDoubles(const std::vector<double>& values, DType type, const Shape& shape);
bool AllFinite(const std::vector<double>& values);
// Makes `value` the constant behind input `index` of `node`; others that read the old one keep it.
void ReplaceConstant(Graph* graph, Node* node, size_t index, Tensor value);
// Removes `node` and the constants that nothing reads after that.
void RemoveNodeAndConstants(Graph* graph, const Node* node);

}  // namespace roundel::graph
