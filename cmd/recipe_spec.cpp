#include "cmd/recipes.h"
#include "cmd/self_check.h"
#include "lib/base/text.h"
#include "lib/data/dataset.h"
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
       .help =
           "grid by name, such as int8, 'int4 symmetric', float8e4m3fn or, of weights, ternary, "
           "mxfp4, nvfp4; the keys below must agree with it"},
      {.name = "bits",
       .default_value = std::string(kAuto),
       .help = "width of the integers",
       .choices = BitChoices()},
      {.name = "signed",
       .default_value = std::string(kAuto),
       .help = "signed integers",
       .choices = FlagChoices()},
      {.name = "symmetric",
       .default_value = std::string(kAuto),
       .help = "zero point at the middle of the grid",
       .choices = FlagChoices()},
  };
}

ParamSpecs ActivationParams() {
  ParamSpecs specs = GridParams();
  specs.insert(specs.begin(),
               {.name = "mode",
                .default_value = std::string(kAuto),
                .help = "static: ranges from calibration; dynamic: at run time, around layers; "
                        "float: only weights are quantized",
                .choices = {kAuto, "static", "dynamic", "float"}});
  return specs;
}

ParamSpecs RuleParams() {
  return {
      {.name = "op", .default_value = std::string(), .help = "op type, or re:regex"},
      {.name = "node", .default_value = std::string(), .help = "node name, or re:regex"},
      {.name = "tensor",
       .default_value = std::string(),
       .help = "weight or activation, or re:regex; the rule then speaks of that tensor alone"},
      {.name = "weights",
       .default_value = std::string(kAuto),
       .help = "grid such as int8 or 'int4 symmetric', or float"},
      {.name = "granularity",
       .default_value = std::string(kAuto),
       .help = "what shares a scale of the weights",
       .choices = {kAuto, "tensor", "channel", "block"}},
      {.name = "block_size",
       .default_value = int64_t{0},
       .help = "elements per block, for granularity block",
       .min = 0,
       .max = 1 << 20,
       .unit = "elements"},
      {.name = "activations",
       .default_value = std::string(kAuto),
       .help = "grid of what the node writes, such as uint16; or static, dynamic, float"},
  };
}

ParamSpecs WeightParams() {
  ParamSpecs specs = GridParams();
  specs.push_back({.name = "narrow_range",
                   .default_value = std::string(kAuto),
                   .help = "leave out the lowest code of a signed symmetric grid",
                   .choices = FlagChoices()});
  specs.push_back({.name = "granularity",
                   .default_value = std::string(kAuto),
                   .help = "what shares a scale: the tensor, an output channel, or a block of it",
                   .choices = {kAuto, "tensor", "channel", "block"}});
  specs.push_back({.name = "block_size",
                   .default_value = int64_t{0},
                   .help = "elements per block, for granularity block",
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
       .help = "target profile, by name or YAML file ('roundel targets' lists them)"},
      {.name = "seed",
       .default_value = int64_t{0},
       .help = "of every random choice; the data sections may have their own",
       .min = 0},
      {.name = "exclude",
       .default_value = Strings{},
       .help = "nodes that stay float: node names, op types, or re:regex on either"},
      {.name = "keep_initializer_inputs",
       .default_value = false,
       .help =
           "initializers that are listed as graph inputs stay inputs, because callers feed them; "
           "they are not quantized then"},
      {.name = "requantize",
       .default_value = false,
       .help = "quantize a model that holds quantizers already, on top of them"},
      {.name = "verify_samples",
       .default_value = int64_t{2},
       .help = "samples that prove that float passes keep the function; 0 = no proof",
       .min = 0,
       .max = 1e6,
       .unit = "samples"},
  };
}

ParamSpecs ExportParams() {
  return {
      {.name = "format",
       .default_value = std::string(kAuto),
       .help = "qdq: QuantizeLinear/DequantizeLinear pairs; matmulnbits: MatMulNBits and "
               "GatherBlockQuantized for weights in blocks; qoperator: QLinearConv and its kin; "
               "pairs where these have no form; auto = as the target wants",
       .choices = {kAuto, "qdq", "matmulnbits", "qoperator"}},
      {.name = "encodings_version",
       .default_value = Strings{kAuto},
       .help = "versions of the encodings JSON to write; auto = 1.0.0, or the first that holds the "
               "scales, such as those of small floats, which are in 2.x only",
       .choices = {kAuto, "0.6.1", "1.0.0", "2.0.0", "2.1.0"}},
      {.name = "external_data",
       .default_value = false,
       .help = "weights in a file beside the model (automatic above 2 GB)"},
      {.name = "float_model",
       .default_value = false,
       .help = "also write OUT.float.onnx: the float model after the passes, which the encodings "
               "describe"},
      {.name = "absorb_relu",
       .default_value = std::string(kAuto),
       .help = "drop Relu and Clip nodes whose clamp the quantizer repeats",
       .choices = FlagChoices()},
      {.name = "contrib_qdq",
       .default_value = std::string(kAuto),
       .help = "com.microsoft quantizers where the opset cannot be raised",
       .choices = FlagChoices()},
  };
}

ParamSpecs GateParams() {
  return {
      {.name = "min_sqnr",
       .default_value = 0.0,
       .help = "exit with code 5 if an output's SQNR on the eval data is lower; 0 = no gate",
       .min = 0,
       .max = 200,
       .unit = "dB"},
      {.name = "max_drop",
       .default_value = 100.0,
       .help = "exit with code 5 if top-1 on the eval data drops by more; 100 = no gate",
       .min = 0,
       .max = 100,
       .unit = "percentage points"},
  };
}

}  // namespace

const recipe::RecipeSpec& FullRecipeSpec() {
  static const recipe::RecipeSpec spec = [] {
    recipe::RecipeSpec s;
    s.sections = {
        {"", "", TopLevelParams()},
        {"data", "Calibration data", data::DataSpecs()},
        {"eval", "Data to measure the result on; no path = no measurement", data::DataSpecs()},
        {"activations", "Grid of activations; auto = as the target wants", ActivationParams(),
         "mode"},
        {"weights", "Grid of weights; auto = as the target wants", WeightParams()},
        {"export", "What is written", ExportParams()},
        {"check", "The last step: float against quantized on some calibration samples",
         CheckParams()},
        {"gate", "Least quality, measured on the eval data", GateParams()},
    };
    s.rules = RuleParams();
    for (const passes::PassInfo& pass : passes::AllPasses())
      s.passes.push_back({pass.name, pass.summary, pass.params});
    return s;
  }();
  return spec;
}

}  // namespace roundel::cmd
