#pragma once
// The requirements of a runtime on a quantized model: the tensors with quantizers, their grids, and
// the tensors that share a range. Profiles are YAML files in configs/targets. They are compiled
// into the binary, which therefore needs no other files.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/targets/choice.h"

namespace roundel::target {

// The treatment of ops of one type.
enum class OpPolicy {
  kFloat,        // stays float: needs no quantizers
  kQuantize,     // float inputs and outputs are quantized (weights by the weight grid)
  kPassThrough,  // output carries its input's scale and zero point (Reshape, MaxPool, ...)
  kShared,       // all data inputs and the output share one range (Concat)
};

struct Profile {
  std::string name, summary;
  // Defaults. Recipes may choose other grids of the two sets below.
  quant::Grid activations;
  quant::Grid weights{.bits = 8, .is_signed = true, .symmetric = true, .narrow_range = true};
  bool per_channel = true;    // weights, if the op has a channel axis
  bool quantize_bias = true;  // int32 with s_x * s_w
  bool quantize_graph_inputs = true, quantize_graph_outputs = true;
  bool absorb_relu = true;   // Relu/Clip after a quantized op become the quantizer's range
  bool contrib_qdq = false;  // com.microsoft Q/DQ allowed if the opset cannot be raised
  bool e8m0_scales = false;  // scales of microscaling formats as float8e8m0; otherwise float32
  int64_t min_opset = 13;
  std::map<std::string, OpPolicy> ops;  // by op_type of the default domain; others stay float
  struct FixedRange {
    double min, max;
  };
  std::map<std::string, FixedRange> fixed_output_ranges;     // Softmax, Sigmoid: by op_type
  std::map<std::string, FixedRange> fixed_output_ranges_16;  // instead, on grids of 16 bits
  // Grids allowed: "int4" (any of the type) or "int4 symmetric" (only with the zero point in the
  // middle); empty: any. `weight_only_grids` replaces `weight_grids` for layers with float inputs,
  // and the maps replace both for single ops.
  std::set<std::string> activation_grids, weight_grids, weight_only_grids;
  std::map<std::string, std::set<std::string>> op_activation_grids, op_weight_grids;
  std::set<std::string> per_tensor_ops;  // their weights have one scale
  // If inputs are quantized, weights of these ops may be per channel only up to this rank:
  // operators on codes (QLinearMatMul, MatMulInteger) support lists of scales only for matrices.
  std::map<std::string, int64_t> max_channel_rank = {{"MatMul", 2}};
  std::set<std::string> block_ops;  // only their weights may have blocks; empty: all
  int64_t block_size = 0;           // default granularity: blocks of this size; 0: channels
  std::set<int64_t> block_sizes;    // allowed; empty: any
  // Layers that may have quantized weights and float inputs.
  std::set<std::string> weight_only_ops = {"Conv", "ConvTranspose", "Gather", "Gemm", "MatMul"};
  std::set<std::string> float_outputs;  // ops with quantized inputs and float outputs
  // Ops that are always worth quantizing. Others are quantized between integer neighbors only
  // (islands.h). Empty: all are worth quantizing.
  std::set<std::string> anchors;
  std::set<std::string> island_ends;    // of those others: integer neighbors at inputs suffice
  std::set<std::string> float_results;  // anchors that can output floats: those need no pair
  // An Add after a layer is fused into it: only its other branch has a pair.
  bool fused_adds = false;
  // Chains of op types, without branches, that are fused: only the last output is quantized.
  std::vector<std::vector<std::string>> supergroups;
  ActivationMode mode = ActivationMode::kStatic;
  std::set<std::string> modes;    // allowed ("static", "dynamic", "float"); empty: any
  std::string format = "qdq";     // default format of export
  std::set<std::string> formats;  // allowed; empty: any
  int64_t accuracy_level = 0;     // of MatMulNBits: 4 = activations in int8
  int64_t max_opset = 0;          // 0: any
  // For models in other floating types: types in which the runtime computes, and types that it
  // accepts for scales of activations. Otherwise nodes compute in float32, between Casts.
  std::set<DType> float_types = {DType::kFloat16, DType::kBfloat16, DType::kDouble};
  std::set<DType> scale_types = {DType::kFloat16, DType::kBfloat16};
  // Minimum width of activation ranges; narrower ones are widened at the upper end, because the
  // runtime rejects small scales. 0: no minimum.
  double min_real_range = 0;
  // Supported non-ONNX nodes: domains and single operators ("com.microsoft.Gelu"). Empty:
  // any.
  std::set<std::string> domains;
  // The runtime quantizes float weights and biases of Conv, ConvTranspose and Gemm between pairs by
  // itself, with one scale per tensor: export prevents that.
  bool quantizes_between_pairs = false;
  // The runtime rounds the float input of products on dequantized weights to 8 bits by blocks
  // (lib/graph/rounded_products.h).
  bool rounds_product_inputs = false;
};

// Whether the runtime supports the operator, judged by its domain.
bool KnowsOperator(const Profile& profile, const graph::Node& node);

// A profile by name ("ort-cpu"), from a YAML file, or from an AIMET configuration in a JSON file.
// Errors: kUsage with the nearest name if there is none.
Result<Profile> LoadProfile(const std::string& name_or_file);
Result<Profile> ParseProfile(const std::string& yaml, const std::string& source);
std::vector<std::string> ProfileNames();

// The default choice of the profile.
GridChoice DefaultChoice(const Profile& profile);

// One tensor with a quantizer.
struct QuantPoint {
  std::string value;
  quant::Role role = quant::Role::kActivation;
  quant::Grid grid;
  quant::Granularity granularity = quant::Granularity::kTensor;
  int64_t axis = 0, block_size = 0;
  // Points of the same group share one range (Concat, pass-through chains). -1: weights, biases.
  int group = -1;
  // Its values come from other points of its group, so that it is not observed.
  bool derived = false;
  // kBias: scale = scale(bias_input) * scale(bias_weight) * bias_factor (Gemm: alpha / beta).
  std::string bias_input, bias_weight;
  double bias_factor = 1.0;
  // Its rarest values matter, because they reach an output unchanged: the range is that of all seen
  // values, for any method.
  bool whole_range = false;
  // They reach an output also through layers, but not through an average (output_paths.h).
  bool rare_values_count = false;
  // Set if the range is known without data.
  bool fixed_range = false;
  double range_min = 0, range_max = 0;
};

struct FloatNode {
  std::string node, op_type, reason;
};

// A Concat with a quantizer on its output: the facts that calibration checks before its parts share
// a range.
struct ValueJoin {
  struct Part {
    std::string value;
    bool read_elsewhere = false;  // other nodes read it, or a value that it was moved from
  };
  std::string output;
  std::vector<Part> parts;
  bool feeds_layer = false;  // a layer that needs the quantizer reads the output
};

// Decisions that follow from ranges; by default all parts of a join share the output's range.
struct RangeDecisions {
  std::map<std::string, std::string> floats;            // output -> reason why it has no grid
  std::set<std::pair<std::string, std::string>> apart;  // output and part: each has its own grid
  // Values; operators that read or write them are not quantized.
  std::set<std::string> unknown_ranges;
};

// The form in which a reader needs a constant. Equal forms share a tensor. "": floats. kAnyForm:
// that of the other readers, such as for a table that is also the matrix of a layer.
inline constexpr const char* kAnyForm = "any";
struct ConstantUse {
  std::string value, reader;  // the first output of the node that reads it
  int index = 0;
  std::string form;
};

struct Placement {
  std::vector<QuantPoint> points;      // activations in execution order, then weights, then biases
  std::vector<FloatNode> float_nodes;  // every node with float tensors that stays float, and why
  // Relu/Clip nodes that export drops because the quantizer of their output clamps equally. Export
  // checks the range again (zero point at qmin; max <= clip max).
  std::vector<std::string> absorbable;           // their output values
  std::vector<std::string> unmatched_excludes;   // patterns that matched no node
  std::vector<std::string> unmatched_rules;      // rules without effect
  std::vector<std::string> dynamic_layers;       // outputs of layers that quantize at run time
  std::vector<ValueJoin> joins;                  // in execution order
  std::vector<ConstantUse> constant_uses;        // of constants with a quantized form
  std::vector<FloatNode> overruled;              // weights with an unsupported granularity
  std::vector<std::string> weights_only_layers;  // outputs of layers that compute in floats
  // Values without a quantizer because of an unknown range or by the recipe (kept_float.h).
  std::set<std::string> kept_float;
};

// Errors: kUsage for a choice that the profile does not allow or that contradicts itself, or an
// invalid regular expression. Models with tensors that are not float32 get no points, but reasons.
Result<Placement> Place(const graph::Model& model, const Profile& profile, const GridChoice& choice,
                        const RangeDecisions& joins = {});

}  // namespace roundel::target
