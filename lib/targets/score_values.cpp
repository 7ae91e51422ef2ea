#include "lib/targets/score_values.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_set>

#include "lib/quant/masking.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;
using graph::Use;
using Path = ScoreValues::Path;

// Functions whose result is zero, or irrelevant, for inputs far enough below the others.
const std::unordered_set<std::string> kExponentials = {"Softmax", "LogSoftmax",      "Hardmax",
                                                       "Exp",     "ReduceLogSumExp", "ArgMax"};
const std::unordered_set<std::string> kMaxima = {"ReduceMax"};
// Operators that move their first input, or all of them.
const std::unordered_set<std::string> kMoves = {
    "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Expand", "Identity", "Flatten", "Slice",
    "Split",   "Tile",      "Gather",  "Pad",       "Cast",   "Dropout",  "Trilu",   "Clip"};
const std::unordered_set<std::string> kMovesOfAll = {"Concat", "Min", "Max"};
// A value that reaches more exponentials than this is not followed.
constexpr size_t kMaxSinks = 1024;
// Scores are smaller than this.
constexpr float kMinMask = 1000;

std::optional<double> ScalarConstant(const Graph& graph, const std::string& value) {
  const Tensor* constant = graph.Constant(value);
  if (!constant || constant->size() != 1 || !IsFloating(constant->dtype())) return std::nullopt;
  return constant->ToFloat().data<float>()[0];
}

// The relation of input `index` to the outputs of the node; nullopt if it is more than an operand
// of scores.
std::optional<Path> StepThrough(const Graph& graph, const Node& node, int index) {
  if (!node.domain.empty() || index < 0) return std::nullopt;
  const std::string& op = node.op_type;
  if (kMoves.contains(op)) return index == 0 ? std::optional<Path>(Path{}) : std::nullopt;
  if (kMovesOfAll.contains(op)) return Path{};
  if (op == "Where") return index > 0 ? std::optional<Path>(Path{}) : std::nullopt;
  if (op == "ScatterND" || op == "ScatterElements")
    return index != 1 ? std::optional<Path>(Path{}) : std::nullopt;
  if (op == "Neg") return Path{.factor = -1};
  if (op == "Add" || op == "Sum") return Path{.added = true};
  if (op == "Sub") return Path{.factor = index == 0 ? 1.0 : -1.0, .added = true};
  if (op != "Mul" && !(op == "Div" && index == 0)) return std::nullopt;
  const auto other = ScalarConstant(graph, node.input(index == 0 ? 1 : 0));
  if (!other) return Path{.added = true};
  if (*other == 0 || !std::isfinite(*other)) return std::nullopt;
  return Path{.factor = op == "Div" ? 1 / *other : *other};
}

}  // namespace

ScoreValues::ScoreValues(const Graph& graph) : graph_(graph) {
  const auto& nodes = graph.nodes();
  for (size_t i = nodes.size(); i-- > 0;)
    for (const std::string& output : nodes[i]->outputs) Visit(output);
  for (const auto& input : graph.inputs) Visit(input.name);
  for (const auto& initializer : graph.initializers()) Visit(initializer.name);
}

// Readers come later in the graph, so that their outputs are known at this point.
void ScoreValues::Visit(const std::string& value) {
  if (value.empty() || graph_.IsOutput(value)) return;
  Sinks sinks;
  for (const Use& use : graph_.Uses(value)) {
    const bool exponential =
        use.index == 0 && use.node->domain.empty() &&
        (kExponentials.contains(use.node->op_type) || kMaxima.contains(use.node->op_type));
    if (exponential) {
      sinks[value];
      continue;
    }
    const auto step = StepThrough(graph_, *use.node, use.index);
    if (!step) return;
    for (const std::string& output : use.node->outputs) {
      const auto further = sinks_.find(output);
      if (output.empty()) continue;
      if (further == sinks_.end()) return;
      for (const auto& [sink, path] : further->second) {
        // Of several paths, the one with the smallest factor counts.
        const double factor = step->factor * path.factor;
        const auto [place, made] = sinks.try_emplace(sink, Path{factor});
        if (std::fabs(factor) < std::fabs(place->second.factor)) place->second.factor = factor;
        place->second.added |= step->added || path.added;
      }
    }
    if (sinks.size() > kMaxSinks) return;
  }
  if (!sinks.empty()) sinks_.emplace(value, std::move(sinks));
}

bool ScoreValues::HasRangeOfScores(const std::string& value) const {
  if (Contains(value)) return true;
  const Node* producer = graph_.Producer(value);
  return producer && producer->domain.empty() && kMaxima.contains(producer->op_type) &&
         Contains(producer->input(0));
}

bool ScoreValues::FromMaskConstant(const Node& node, size_t input) const {
  const std::string& value = node.input(input);
  if (const Tensor* constant = graph_.Constant(value)) return IsMaskConstant(*constant);
  const Node* producer = graph_.Producer(value);
  if (!producer || !producer->Is("ConstantOfShape")) return false;
  const Tensor* fill = producer->TensorAttribute("value");
  return fill && IsMaskConstant(*fill);
}

std::set<std::string> ScoreValues::MaskedBy(const std::set<std::string>& sources) const {
  std::set<std::string> masked;
  for (const std::string& source : sources)
    if (Contains(source)) masked.insert(source);
  for (const auto& node : graph_.nodes()) {
    bool enters = false;
    for (size_t i = 0; i < node->inputs.size() && !enters; ++i)
      enters = StepThrough(graph_, *node, static_cast<int>(i)) &&
               (masked.contains(node->input(i)) || FromMaskConstant(*node, i));
    for (const std::string& output : node->outputs)
      if (enters && Contains(output)) masked.insert(output);
  }
  return masked;
}

bool IsMaskConstant(const Tensor& constant) {
  if (constant.size() == 0) return false;
  if (IsInteger(constant.dtype())) {
    const std::vector<int64_t> values = constant.ToInt64s();
    return std::any_of(values.begin(), values.end(),
                       [](int64_t x) { return x >= 1000 || x <= -1000; });
  }
  if (!IsFloating(constant.dtype())) return false;
  const Tensor floats = constant.ToFloat();
  const auto values = floats.span<float>();
  if (std::any_of(values.begin(), values.end(), [](float x) { return std::fabs(x) >= kMinMask; }))
    return true;
  const bool finite =
      std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
  return finite && quant::LeastUnmasked(quant::Distribution::Of(values)).has_value();
}

}  // namespace roundel::target
