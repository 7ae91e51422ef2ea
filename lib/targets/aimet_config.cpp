// Sections apply from the general to the specific. Booleans are the texts "True" and "False".
// Meaning of the keys:
//
//    defaults.ops.is_output_quantized     whether ops get quantizers; is_symmetric: int8 symmetric
//    defaults.params, params.weight       grid of weights; params.bias: int32 biases
//    defaults.unsigned_symmetric          symmetric grids of nonnegative activations are unsigned
//    defaults.per_channel_quantization    one scale per output channel; op_type.X: for one op
//    supported_kernels                    grids allowed, for all ops or for one
//    op_type.X.is_output_quantized        False: layers are quantized only on their inputs, other
//                                         ops stay float (data movers follow their input)
//    op_type.X.encoding_constraints       fixed range of the output
//    supergroups                          chains of ops of which only the last output is quantized
//    model_input, model_output            quantizers on the inputs and outputs of the graph

#include "lib/targets/aimet_config.h"

#include <charconv>

#include "lib/base/text.h"
#include "lib/graph/operators.h"
#include "lib/recipe/yaml.h"

namespace roundel::target {
namespace {

using recipe::ForMessage;
using recipe::YamlNode;  // JSON is YAML

class Reader {
 public:
  Reader(const std::string& source, const Profile& generic) : source_(source), profile_(generic) {}

  Result<Profile> Read(const YamlNode& root) {
    if (!root.IsMap() || !root.Find("defaults"))
      return Error(root, "no quantsim configuration: 'defaults' is missing");
    profile_.name = source_.substr(source_.find_last_of('/') + 1);
    profile_.summary = "AIMET configuration";
    profile_.quantize_bias = false;
    profile_.absorb_relu = false;
    profile_.quantize_graph_inputs = false;
    profile_.fixed_output_ranges.clear();
    profile_.anchors.clear();  // the file lists ops explicitly
    profile_.island_ends.clear();
    profile_.weights = {.bits = 8, .is_signed = true, .symmetric = true};
    RETURN_IF_ERROR(ReadDefaults(*root.Find("defaults")));
    if (const YamlNode* node = root.Find("params")) RETURN_IF_ERROR(ReadParams(*node, nullptr));
    if (const YamlNode* node = root.Find("op_type")) RETURN_IF_ERROR(ReadOpTypes(*node));
    if (const YamlNode* node = root.Find("supergroups")) RETURN_IF_ERROR(ReadSupergroups(*node));
    RETURN_IF_ERROR(
        ReadFlag(root.Find("model_input"), "is_input_quantized", &profile_.quantize_graph_inputs));
    RETURN_IF_ERROR(ReadFlag(root.Find("model_output"), "is_output_quantized",
                             &profile_.quantize_graph_outputs));
    return std::move(profile_);
  }

 private:
  Status Error(const YamlNode& node, const std::string& message) const {
    return UsageError(StrCat(source_, ":", node.line, ": ", message));
  }

  // Sets `out` if the section has the key.
  Status ReadFlag(const YamlNode* section, const char* key, bool* out) const {
    const YamlNode* node = section && section->IsMap() ? section->Find(key) : nullptr;
    if (!node) return OkStatus();
    const std::string& text = node->scalar;
    if (text != "True" && text != "False" && text != "true" && text != "false")
      return Error(*node, StrCat("'", key, "' must be \"True\" or \"False\""));
    *out = text == "True" || text == "true";
    return OkStatus();
  }

  Status ReadDefaults(const YamlNode& node) {
    if (!node.IsMap()) return Error(node, "'defaults' must be a map");
    bool outputs = false, symmetric = false, strict = false, from_zero = false;
    RETURN_IF_ERROR(ReadFlag(node.Find("ops"), "is_output_quantized", &outputs));
    RETURN_IF_ERROR(ReadFlag(node.Find("ops"), "is_symmetric", &symmetric));
    RETURN_IF_ERROR(ReadFlag(&node, "strict_symmetric", &strict));
    RETURN_IF_ERROR(ReadFlag(&node, "unsigned_symmetric", &from_zero));
    RETURN_IF_ERROR(ReadFlag(&node, "per_channel_quantization", &profile_.per_channel));
    if (symmetric)
      profile_.activations = {
          .bits = 8, .is_signed = !from_zero, .symmetric = true, .from_zero = from_zero};
    bool params = true, param_symmetric = true;
    RETURN_IF_ERROR(ReadFlag(node.Find("params"), "is_quantized", &params));
    RETURN_IF_ERROR(ReadFlag(node.Find("params"), "is_symmetric", &param_symmetric));
    if (!params) return Error(node, "nothing to do: the params are not quantized");
    SetWeights(param_symmetric, strict);
    if (!outputs)
      for (auto& [op, policy] : profile_.ops) policy = OpPolicy::kFloat;
    if (!node.Find("per_channel_quantization")) profile_.per_channel = false;
    return ReadKernels(node.Find("supported_kernels"), &profile_.activation_grids,
                       &profile_.weight_grids);
  }

  void SetWeights(bool symmetric, bool strict) {
    profile_.weights = {.bits = 8, .is_signed = symmetric, .symmetric = symmetric};
    profile_.weights.narrow_range = symmetric && strict;
  }

  // params.weight and params.bias; for one op if `op` is given.
  Status ReadParams(const YamlNode& node, const std::string* op) {
    if (!node.IsMap()) return Error(node, "'params' must be a map");
    if (op) return OkStatus();  // the symmetry of the weights of a single op is not represented
    RETURN_IF_ERROR(ReadFlag(node.Find("bias"), "is_quantized", &profile_.quantize_bias));
    bool symmetric = profile_.weights.symmetric;
    const bool strict = profile_.weights.narrow_range;
    RETURN_IF_ERROR(ReadFlag(node.Find("weight"), "is_symmetric", &symmetric));
    if (symmetric != profile_.weights.symmetric) SetWeights(symmetric, strict);
    return OkStatus();
  }

  Status ReadOpTypes(const YamlNode& node) {
    if (!node.IsMap()) return Error(node, "'op_type' must be a map");
    for (const auto& [op, settings] : node.entries) {
      if (!settings.IsMap()) return Error(settings, StrCat("'", ForMessage(op), "' must be a map"));
      RETURN_IF_ERROR(ReadOp(op, settings));
    }
    return OkStatus();
  }

  Status ReadOp(const std::string& op, const YamlNode& node) {
    if (node.Find("is_output_quantized") || node.Find("is_input_quantized")) {
      bool output = false, input = false;
      RETURN_IF_ERROR(ReadFlag(&node, "is_output_quantized", &output));
      RETURN_IF_ERROR(ReadFlag(&node, "is_input_quantized", &input));
      SetPolicy(op, input, output);
    }
    bool per_channel = true;
    RETURN_IF_ERROR(ReadFlag(&node, "per_channel_quantization", &per_channel));
    if (!per_channel) profile_.per_tensor_ops.insert(op);
    if (const YamlNode* params = node.Find("params")) RETURN_IF_ERROR(ReadParams(*params, &op));
    if (const YamlNode* range = node.Find("encoding_constraints"))
      RETURN_IF_ERROR(ReadRange(op, *range));
    if (!node.Find("supported_kernels")) return OkStatus();
    return ReadKernels(node.Find("supported_kernels"), &profile_.op_activation_grids[op],
                       &profile_.op_weight_grids[op]);
  }

  void SetPolicy(const std::string& op, bool input, bool output) {
    const auto known = profile_.ops.find(op);
    const bool follows = known != profile_.ops.end() && known->second == OpPolicy::kPassThrough;
    const bool layer = graph::Has(op, graph::Fact::kLayer);
    if (output) {
      if (!follows) profile_.ops[op] = OpPolicy::kQuantize;
    } else if (input || layer) {
      profile_.ops[op] = OpPolicy::kQuantize;
      profile_.float_outputs.insert(op);
    } else if (!follows) {
      profile_.ops[op] = OpPolicy::kFloat;
    }
  }

  Status ReadRange(const std::string& op, const YamlNode& node) {
    const auto bound = [&](const char* key, double* out) {
      const YamlNode* value = node.IsMap() ? node.Find(key) : nullptr;
      if (!value) return false;
      const std::string& text = value->scalar;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
      return error == std::errc() && end == text.data() + text.size();
    };
    Profile::FixedRange range{};
    const bool low = bound("min", &range.min), high = bound("max", &range.max);
    if (low && !high && range.min == 0) return OkStatus();  // Relu: the data gives the same range
    if (!low || !high || !(range.min < range.max && range.min > -1e30 && range.max < 1e30))
      return Error(node, StrCat("the range of '", ForMessage(op), "' is not {min, max}"));
    profile_.fixed_output_ranges[op] = range;
    return OkStatus();
  }

  Status ReadSupergroups(const YamlNode& node) {
    if (!node.IsList()) return Error(node, "'supergroups' must be a list");
    for (const YamlNode& item : node.items) {
      const YamlNode* ops = item.IsMap() ? item.Find("op_list") : nullptr;
      if (!ops || !ops->IsList() || ops->items.size() < 2)
        return Error(item, "a supergroup is {\"op_list\": [op, op, ...]}");
      std::vector<std::string> chain;
      for (const YamlNode& op : ops->items) chain.push_back(op.scalar);
      profile_.supergroups.push_back(std::move(chain));
    }
    return OkStatus();
  }

  static int Bits(const YamlNode* side) {
    const YamlNode* dtype = side && side->IsMap() ? side->Find("dtype") : nullptr;
    const YamlNode* bits = side && side->IsMap() ? side->Find("bitwidth") : nullptr;
    int value = 0;
    if (!bits || !dtype || dtype->scalar != "int") return 0;  // float kernels need no grid
    const std::string& text = bits->scalar;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && value >= 2 && value <= 16 ? value : 0;
  }

  Status ReadKernels(const YamlNode* node, std::set<std::string>* activations,
                     std::set<std::string>* weights) const {
    if (!node) return OkStatus();
    if (!node->IsList()) return Error(*node, "'supported_kernels' must be a list");
    activations->clear();
    weights->clear();
    const auto add = [](int bits, std::set<std::string>* grids) {
      if (bits == 0) return;
      grids->insert(StrCat("uint", bits));
      grids->insert(StrCat("int", bits));
    };
    for (const YamlNode& kernel : node->items) {
      if (!kernel.IsMap()) return Error(kernel, "a kernel is {activation: ..., param: ...}");
      add(Bits(kernel.Find("activation")), activations);
      add(Bits(kernel.Find("param")), weights);
    }
    return OkStatus();
  }

  const std::string& source_;
  Profile profile_;
};

}  // namespace

Result<Profile> ParseAimetConfig(const std::string& json, const std::string& source,
                                 const Profile& generic) {
  ASSIGN_OR_RETURN(const YamlNode root, recipe::ParseYaml(json, source));
  return Reader(source, generic).Read(root);
}

}  // namespace roundel::target
