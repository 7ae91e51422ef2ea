#pragma once
// What a recipe asks for on top of the target profile's defaults.

#include <optional>
#include <string>
#include <vector>

#include "lib/quant/encodings.h"

namespace roundel::target {

// How the inputs of a layer get their grid.
enum class ActivationMode {
  kStatic,   // from calibration; the model holds the scales
  kDynamic,  // at run time, from each tensor itself (8 bits); layers only
  kFloat,    // not at all: only weights are quantized
};
inline constexpr const char* kActivationModes[] = {"static", "dynamic", "float"};

// An exception for some nodes or tensors. A name is matched exactly, or by "re:regex" as a whole;
// all that are given must match. A rule with a tensor speaks of that tensor alone.
struct GridRule {
  std::string op, node, tensor;  // "" = any
  // Of constants. What is left out stays as the recipe's sections say.
  std::optional<quant::Grid> weights;
  bool float_weights = false;
  std::optional<quant::Granularity> granularity;
  int64_t block_size = 0;
  // Of what a matching node writes (kStatic with a grid), and how it takes its inputs (mode).
  std::optional<quant::Grid> activations;
  std::optional<ActivationMode> mode;
};

struct GridChoice {
  quant::Grid activations, weights;
  ActivationMode mode = ActivationMode::kStatic;
  quant::Granularity weight_granularity = quant::Granularity::kChannel;
  int64_t block_size = 0;
  // Node names, op types, or "re:regex" on either: stay float. They come before the rules.
  std::vector<std::string> exclude;
  std::vector<GridRule> rules;  // the first that matches wins
};

}  // namespace roundel::target
