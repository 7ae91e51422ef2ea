#pragma once
// What a runtime wants of a quantized model: which tensors get a quantizer, on which grid, which
// tensors must share a range. Profiles are YAML files in configs/targets; they are also compiled
// into the binary, which therefore needs no files beside it.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/targets/choice.h"

namespace roundel::target {

// How the ops of one type are treated.
enum class OpPolicy {
  kFloat,        // stays float: no quantizer around it for its own sake
  kQuantize,     // float inputs and outputs are quantized (weights by the weight grid)
  kPassThrough,  // output carries its input's scale and zero point (Reshape, MaxPool, ...)
  kShared,       // all data inputs and the output share one range (Concat)
};

struct Profile {
  std::string name, summary;
  // Defaults; recipes may choose others that the two sets of grids below allow.
  quant::Grid activations;
  quant::Grid weights{.bits = 8, .is_signed = true, .symmetric = true, .narrow_range = true};
  bool per_channel = true;    // weights, where the op has a channel axis
  bool quantize_bias = true;  // int32 with s_x * s_w
  bool quantize_graph_inputs = true, quantize_graph_outputs = true;
  bool absorb_relu = true;   // Relu/Clip after a quantized op become the quantizer's range
  bool contrib_qdq = false;  // com.microsoft Q/DQ allowed where the opset cannot be raised
  bool e8m0_scales = false;  // of microscaling formats in their own type; float32 otherwise
  int64_t min_opset = 13;
  std::map<std::string, OpPolicy> ops;  // by op_type of the default domain; others stay float
  struct FixedRange {
    double min, max;
  };
  std::map<std::string, FixedRange> fixed_output_ranges;     // Softmax, Sigmoid: by op_type
  std::map<std::string, FixedRange> fixed_output_ranges_16;  // instead, on grids of 16 bits
  // Grids allowed: "int4" (any of the type) or "int4 symmetric" (only with the zero point in the
  // middle); empty: any. `weight_only_grids` takes the place of `weight_grids` for layers whose
  // inputs are float, and the maps that of both for single ops.
  std::set<std::string> activation_grids, weight_grids, weight_only_grids;
  std::map<std::string, std::set<std::string>> op_activation_grids, op_weight_grids;
  std::set<std::string> per_tensor_ops;  // their weights take one scale
  // Where inputs are quantized, weights of these ops have a scale per channel up to this rank only:
  // operators on codes (QLinearMatMul, MatMulInteger) take a list of scales for matrices alone.
  std::map<std::string, int64_t> max_channel_rank = {{"MatMul", 2}};
  std::set<std::string> block_ops;  // only their weights may have blocks; empty: all
  int64_t block_size = 0;           // default granularity: blocks of so many; 0: channels
  std::set<int64_t> block_sizes;    // allowed; empty: any
  // Layers whose weights may be quantized while their inputs stay float.
  std::set<std::string> weight_only_ops = {"Conv", "ConvTranspose", "Gather", "Gemm", "MatMul"};
  std::set<std::string> float_outputs;  // ops that are quantized on their inputs only
  // Ops whose integer kernels are worth pairs for their own sake. The others are quantized between
  // integer neighbours only (islands.h). Empty: all are worth it.
  std::set<std::string> anchors;
  std::set<std::string> island_ends;    // of those others: need an integer neighbour in front only
  std::set<std::string> float_results;  // anchors whose kernels give floats too: no pair for those
  // An Add behind a layer runs as part of it: a pair on its other branch only.
  bool fused_adds = false;
  // Chains of op types without branches that run as one: only what leaves the last is quantized.
  std::vector<std::vector<std::string>> supergroups;
  ActivationMode mode = ActivationMode::kStatic;
  std::set<std::string> modes;    // allowed ("static", "dynamic", "float"); empty: any
  std::string format = "qdq";     // what export writes
  std::set<std::string> formats;  // allowed; empty: any
  int64_t accuracy_level = 0;     // of MatMulNBits: 4 = activations in int8
  int64_t max_opset = 0;          // 0: any
  // Of models in other floating types: those that the runtime computes in, and those that it takes
  // for scales of activations. Elsewhere the model computes in float32, between Casts.
  std::set<DType> float_types = {DType::kFloat16, DType::kBfloat16, DType::kDouble};
  std::set<DType> scale_types = {DType::kFloat16, DType::kBfloat16};
  // Activations whose range is narrower get one of this width, upwards: the runtime refuses such
  // small scales. 0: none is too narrow.
  double min_real_range = 0;
  // Of nodes besides ONNX's own: whole domains and single operators ("com.microsoft.Gelu"). Empty:
  // any.
  std::set<std::string> domains;
  // The runtime quantizes float weights and biases of Conv, ConvTranspose and Gemm by itself where it
  // finds the node between pairs, with one scale a tensor: export keeps it from that.
  bool quantizes_between_pairs = false;
  // The runtime rounds the float input of products on dequantized weights to 8 bits by blocks
  // (lib/graph/rounded_products.h).
  bool rounds_product_inputs = false;
};

// Whether the runtime has the operator, as far as its domain tells.
bool KnowsOperator(const Profile& profile, const graph::Node& node);

// A profile by name ("ort-cpu") or from a YAML file, or an AIMET configuration from a JSON file;
// kUsage with the nearest name if there is none.
Result<Profile> LoadProfile(const std::string& name_or_file);
Result<Profile> ParseProfile(const std::string& yaml, const std::string& source);
std::vector<std::string> ProfileNames();

// The profile's own choice.
GridChoice DefaultChoice(const Profile& profile);

// One tensor that gets a quantizer.
struct QuantPoint {
  std::string value;
  quant::Role role = quant::Role::kActivation;
  quant::Grid grid;
  quant::Granularity granularity = quant::Granularity::kTensor;
  int64_t axis = 0, block_size = 0;
  // Points of the same group share one range (Concat, pass-through chains). -1: weights, biases.
  int group = -1;
  // Its values come from other points of its group, so they need not be observed again.
  bool derived = false;
  // kBias: scale = scale(bias_input) * scale(bias_weight) * bias_factor (Gemm: alpha / beta).
  std::string bias_input, bias_weight;
  double bias_factor = 1.0;
  // Its rarest values count, for they reach an output as they are: the range is what was seen,
  // whatever the method.
  bool whole_range = false;
  // They reach an output through layers, too, but through no average (lib/targets/output_paths.h).
  bool rare_values_count = false;
  // Set if the range is known without data.
  bool fixed_range = false;
  double range_min = 0, range_max = 0;
};

struct FloatNode {
  std::string node, op_type, reason;
};

// A Concat whose output has a quantizer: what calibration must look at before its parts may share a
// range.
struct ValueJoin {
  struct Part {
    std::string value;
    bool read_elsewhere = false;  // others read it, too, or what it was made of by moving values
  };
  std::string output;
  std::vector<Part> parts;
  bool feeds_layer = false;  // that needs the quantizer
};

// What was found out from ranges; without it all parts of a join share one with the output.
struct RangeDecisions {
  std::map<std::string, std::string> floats;            // output -> why it takes no grid
  std::set<std::pair<std::string, std::string>> apart;  // output and part: each has its own grid
  std::set<std::string>
      untold;  // of which no range is known: operators beside them are not quantized
};

// What one reader wants of a constant. Equal forms can be served by one tensor; "": floats; kAnyForm:
// whatever the others have, such as a table that is also the matrix of a layer.
inline constexpr const char* kAnyForm = "any";
struct ConstantUse {
  std::string value, reader;  // the first output of the node that reads it
  int index = 0;
  std::string form;
};

struct Placement {
  std::vector<QuantPoint> points;      // activations in execution order, then weights, then biases
  std::vector<FloatNode> float_nodes;  // every node with float tensors that stays float, and why
  // Relu/Clip nodes that export drops because the quantizer of their output clamps alike; the check
  // that the range really does (zero point at qmin; max <= clip max) is repeated at export.
  std::vector<std::string> absorbable;          // their output values
  std::vector<std::string> unmatched_excludes;  // patterns that matched no node
  std::vector<std::string> unmatched_rules;     // rules that decided nothing
  std::vector<std::string> dynamic_layers;      // outputs of layers that quantize at run time
  std::vector<ValueJoin> joins;                 // in execution order
  std::vector<ConstantUse> constant_uses;       // of constants that somebody wants quantized
  std::vector<FloatNode> overruled;             // weights whose granularity the target cannot take
  std::vector<std::string> weights_alone;       // outputs of layers that compute in floats
  // Values without a quantizer for want of a range, or because the recipe says so (kept_float.h).
  std::set<std::string> kept_float;
};

// kUsage for a choice that the profile does not allow or that contradicts itself, and for a pattern
// that is no regular expression. Models whose tensors are not float32 get no points, but reasons.
Result<Placement> Place(const graph::Model& model, const Profile& profile, const GridChoice& choice,
                        const RangeDecisions& joins = {});

}  // namespace roundel::target
