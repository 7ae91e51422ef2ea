#pragma once
// The choices of a recipe, which override the defaults of the target profile.

#include <optional>
#include <string>
#include <vector>

#include "lib/quant/encodings.h"

namespace roundel::target {

// How the inputs of a layer are quantized.
enum class ActivationMode {
  kStatic,   // with scales from calibration
  kDynamic,  // at run time, from each tensor (8 bits); layers only
  kFloat,    // not quantized: only weights are
};
inline constexpr const char* kActivationModes[] = {"static", "dynamic", "float"};

// An exception for some nodes or tensors. A name matches exactly, or as a whole by "re:regex"; all
// given patterns must match. A rule with a tensor applies to that tensor only.
// `layer` limits a rule to nodes at the ends of the network (graph::FindEndLayers).
enum class LayerPosition { kAny, kFirst, kLast, kEnds };
inline constexpr const char* kLayerPositions[] = {"any", "first", "last", "ends"};

struct GridRule {
  std::string op, node, tensor;  // "" = any
  LayerPosition layer = LayerPosition::kAny;
  // For constants. Absent settings are those of the recipe's sections.
  std::optional<quant::Grid> weights;
  bool float_weights = false;
  std::optional<quant::Granularity> granularity;
  int64_t block_size = 0;
  // The grid of a matching node's outputs (kStatic with a grid), and the mode of its inputs.
  std::optional<quant::Grid> activations;
  std::optional<ActivationMode> mode;
};

struct GridChoice {
  quant::Grid activations, weights;
  ActivationMode mode = ActivationMode::kStatic;
  quant::Granularity weight_granularity = quant::Granularity::kChannel;
  int64_t block_size = 0;
  // Nodes to keep in float: names, op types, or "re:regex" on either. They precede the rules.
  std::vector<std::string> exclude;
  std::vector<GridRule> rules;  // the first match applies
};

}  // namespace roundel::target
