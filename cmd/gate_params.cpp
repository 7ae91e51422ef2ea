#include "cmd/gate_params.h"

#include "lib/base/text.h"

namespace roundel::cmd {

const recipe::ParamSpecs& GateParams() {
  static const recipe::ParamSpecs specs = {
      {.name = "min_sqnr",
       .default_value = 0.0,
       .help = "exit with code 5 if the SQNR of an output is below this; 0 = no gate",
       .min = 0,
       .max = 200,
       .unit = "dB"},
      {.name = "max_drop",
       .default_value = 100.0,
       .help = "exit with code 5 if top-1 accuracy drops by more than this; 100 = no gate",
       .min = 0,
       .max = 100,
       .unit = "percentage points"},
      {.name = "min_top1",
       .default_value = 0.0,
       .help = "exit with code 5 if top-1 accuracy is below this; 0 = no gate",
       .min = 0,
       .max = 100,
       .unit = "percent"},
      {.name = "min_agreement",
       .default_value = 0.0,
       .help = "exit with code 5 if the models agree on less than this share of an output's rows; "
               "0 = no gate",
       .min = 0,
       .max = 100,
       .unit = "percent"},
      {.name = "max_perplexity_rise",
       .default_value = 0.0,
       .help = "exit with code 5 if perplexity rises by more than this; 0 = no gate",
       .min = 0,
       .max = 1e6,
       .unit = "percent"},
      {.name = "max_kl",
       .default_value = 0.0,
       .help = "exit with code 5 if the mean divergence of the predicted tokens is above this; "
               "0 = no gate",
       .min = 0,
       .max = 1e6,
       .unit = "nats"},
      {.name = "max_time_ratio",
       .default_value = 0.0,
       .help = "exit with code 5 if the quantized model takes more than this share of the float "
               "model's time, here; 0 = no gate",
       .min = 0,
       .max = 1e6},
      {.name = "max_size",
       .default_value = std::string(),
       .help = "exit with code 5 if the quantized model is larger than this, such as 2.4MB"},
      {.name = "undecided",
       .default_value = std::string("measured"),
       .help =
           "exit code if the confidence interval holds the limit: by the measured value, always "
           "0 or always 5",
       .choices = {"measured", "pass", "fail"}},
  };
  return specs;
}

Result<eval::GateLimits> LimitsOf(const recipe::Params& params, int64_t seed) {
  eval::GateLimits limits;
  const auto set = [&params](const char* name, std::optional<double>* limit) {
    if (!params.IsDefault(name)) *limit = params.Float(name);
  };
  set("min_sqnr", &limits.min_sqnr);
  set("max_drop", &limits.max_drop);
  set("min_top1", &limits.min_top1);
  set("min_agreement", &limits.min_agreement);
  set("max_perplexity_rise", &limits.max_perplexity_rise);
  set("max_kl", &limits.max_kl);
  set("max_time_ratio", &limits.max_time_ratio);
  if (!params.IsDefault("max_size")) {
    limits.max_size = ParseBytes(params.String("max_size"));
    if (!limits.max_size)
      return UsageError(StrCat("max_size: '", params.String("max_size"),
                               "' is no size; write one such as 2.4MB or 800KiB"));
  }
  const std::string& undecided = params.String("undecided");
  limits.undecided = undecided == "pass"   ? eval::Undecided::kPass
                     : undecided == "fail" ? eval::Undecided::kFail
                                           : eval::Undecided::kMeasured;
  limits.seed = static_cast<uint64_t>(seed);
  return limits;
}

}  // namespace roundel::cmd
