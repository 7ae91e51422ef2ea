#include "cmd/gate_params.h"
#include "cmd/recipes.h"
#include "cmd/self_check.h"
#include "lib/base/text.h"
#include "lib/data/dataset.h"
#include "lib/targets/formats.h"
#include "passes/pass.h"

namespace roundel::cmd {
namespace {

using recipe::ParamSpecs;
using Strings = std::vector<std::string>;

Strings FlagChoices() { return {kAuto, "true", "false"}; }

Strings BitChoices() {
  Strings choices = {kAuto};
  for (int bits = 2; bits <= 16; ++bits) choices.push_back(StrCat(bits));
  return choices;
}

ParamSpecs GridParams() {
  return {
      {.name = "grid",
       .default_value = std::string(kAuto),
       .help = "grid by name: int8, 'int4 symmetric', float8e4m3fn or, for weights only, ternary, "
               "mxfp4, nvfp4; bits, signed and symmetric must agree with it"},
      {.name = "bits",
       .default_value = std::string(kAuto),
       .help = "bits per code of an integer grid",
       .choices = BitChoices()},
      {.name = "signed",
       .default_value = std::string(kAuto),
       .help = "whether codes are signed integers",
       .choices = FlagChoices()},
      {.name = "symmetric",
       .default_value = std::string(kAuto),
       .help = "whether the zero point is at the middle of the grid",
       .choices = FlagChoices()},
  };
}

ParamSpecs ActivationParams() {
  ParamSpecs specs = GridParams();
  specs.insert(specs.begin(),
               {.name = "mode",
                .default_value = std::string(kAuto),
                .help = "static: ranges come from calibration; dynamic: ranges are computed at run "
                        "time, at the inputs of layers; float: activations are not quantized",
                .choices = {kAuto, "static", "dynamic", "float"}});
  return specs;
}

ParamSpecs RuleParams() {
  return {
      {.name = "op",
       .default_value = std::string(),
       .help = "op type of the nodes that the rule applies to, or re:regex"},
      {.name = "node",
       .default_value = std::string(),
       .help = "name of the node that the rule applies to, or re:regex"},
      {.name = "layer",
       .default_value = std::string("any"),
       .help = "limits the rule to layers at the ends of the network: first (no layer before it), "
               "last (none behind it), ends (both)",
       .choices = {"any", "first", "last", "ends"}},
      {.name = "tensor",
       .default_value = std::string(),
       .help = "tensor of the node that the rule is limited to: weight, activation, or re:regex on "
               "its name; empty = all"},
      {.name = "weights",
       .default_value = std::string(kAuto),
       .help = "grid of the node's weights, such as int8 or 'int4 symmetric', or float"},
      {.name = "granularity",
       .default_value = std::string(kAuto),
       .help = "weights of the node that share a scale: all of the tensor, those of an output "
               "channel, or those of a block",
       .choices = {kAuto, "tensor", "channel", "block"}},
      {.name = "block_size",
       .default_value = int64_t{0},
       .help = "elements per block, with granularity block; 0 = not set",
       .min = 0,
       .max = 1 << 20,
       .unit = "elements"},
      {.name = "activations",
       .default_value = std::string(kAuto),
       .help = "grid of the node's outputs, such as uint16; or static, dynamic, float"},
  };
}

ParamSpecs WeightParams() {
  ParamSpecs specs = GridParams();
  specs.push_back(
      {.name = "narrow_range",
       .default_value = std::string(kAuto),
       .help = "exclude the lowest code of a signed symmetric grid, so that int8 is -127 to 127",
       .choices = FlagChoices()});
  specs.push_back({.name = "granularity",
                   .default_value = std::string(kAuto),
                   .help = "weights that share a scale: all of the tensor, those of an output "
                           "channel, or those of a block",
                   .choices = {kAuto, "tensor", "channel", "block"}});
  specs.push_back({.name = "block_size",
                   .default_value = int64_t{0},
                   .help = "elements per block, with granularity block; 0 = not set",
                   .min = 0,
                   .max = 1 << 20,
                   .unit = "elements"});
  return specs;
}

ParamSpecs TopLevelParams() {
  return {
      {.name = "model", .default_value = std::string(), .help = "float ONNX model to quantize"},
      {.name = "output", .default_value = std::string(), .help = "quantized model to write"},
      {.name = "target",
       .default_value = std::string("ort-cpu"),
       .help = "target profile: a name ('roundel targets' lists them) or a YAML file"},
      {.name = "seed",
       .default_value = int64_t{0},
       .help = "seed of every random choice in the run; data and eval may set their own",
       .min = 0},
      {.name = "exclude",
       .default_value = Strings{},
       .help = "nodes to keep in float: node names, op types, or re:regex on either"},
      {.name = "keep_initializer_inputs",
       .default_value = false,
       .help = "keep initializers that are also graph inputs as inputs, because callers feed them; "
               "they are not quantized"},
      {.name = "requantize",
       .default_value = false,
       .help =
           "accept a model that holds quantizers already; they are kept, and new ones are added"},
      {.name = "verify_samples",
       .default_value = int64_t{2},
       .help = "calibration samples on which float passes are checked to keep the function of the "
               "model; 0 = no check",
       .min = 0,
       .max = 1e6,
       .unit = "samples"},
  };
}

std::vector<std::string> FormatChoices() {
  std::vector<std::string> choices = target::FormatNames();
  choices.insert(choices.begin(), kAuto);
  return choices;
}

ParamSpecs ExportParams() {
  return {
      {.name = "format",
       .default_value = std::string(kAuto),
       .help = "format of the quantized model: qdq = QuantizeLinear/DequantizeLinear pairs; "
               "matmulnbits = MatMulNBits and GatherBlockQuantized for weights in blocks; "
               "qoperator = QLinearConv and similar operators; the last two use pairs for nodes "
               "that have no such form; auto = the target's format",
       .choices = FormatChoices()},
      {.name = "encodings_version",
       .default_value = Strings{kAuto},
       .help = "versions of the encodings JSON to write; auto = 1.0.0, or the lowest version that "
               "can hold the scales; scales of small floats need 2.x",
       .choices = {kAuto, "0.6.1", "1.0.0", "2.0.0", "2.1.0"}},
      {.name = "external_data",
       .default_value = false,
       .help = "write weights to a separate file next to the model (automatic above 2 GB)"},
      {.name = "float_model",
       .default_value = false,
       .help = "also write OUT.float.onnx: the float model after the passes, which the encodings "
               "describe"},
      {.name = "absorb_relu",
       .default_value = std::string(kAuto),
       .help = "drop Relu and Clip nodes if the quantizer after them clamps to the same range",
       .choices = FlagChoices()},
      {.name = "contrib_qdq",
       .default_value = std::string(kAuto),
       .help = "use the quantizers of com.microsoft if the opset cannot be raised",
       .choices = FlagChoices()},
  };
}

}  // namespace

const recipe::RecipeSpec& FullRecipeSpec() {
  static const recipe::RecipeSpec spec = [] {
    recipe::RecipeSpec s;
    s.sections = {
        {"", "", TopLevelParams()},
        {"data", "Calibration data", data::DataSpecs()},
        {"eval", "Evaluation set, on which the result is measured; no path = no measurement",
         data::DataSpecs()},
        {"activations", "Grid of activations; auto = the target's choice", ActivationParams(),
         "mode"},
        {"weights", "Grid of weights; auto = the target's choice", WeightParams()},
        {"export", "Files and formats to write", ExportParams()},
        {"check",
         "Last step: the quantized model is compared with the float model on some calibration "
         "samples",
         CheckParams()},
        {"gate", "Limits on the result; all but that on the size are measured on the eval data",
         GateParams()},
    };
    s.rules = RuleParams();
    for (const passes::PassInfo& pass : passes::AllPasses())
      s.passes.push_back({pass.name, pass.summary, pass.params});
    return s;
  }();
  return spec;
}

}  // namespace roundel::cmd
