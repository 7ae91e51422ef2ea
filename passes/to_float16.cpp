// to_float16: stores the model in float16 (or bfloat16), half the size, except where that would
// change its results.
//
//   from   x (float32) -> MatMul(w) -> Softmax -> y       to   the same nodes on float16
//
// The pass only sets the type of every value (Session::types). Later passes still work on float32;
// the exporter converts constants and inserts Casts between types (lib/targets/narrow.h). So the
// pass may precede or follow passes that assign grids, and their scales become float16 as well.
//
// A node stays in float32, and the reason is recorded, if
//
//   - the recipe keeps it: `keep` has its name, its op type, or a pattern for either;
//   - the operator has no 16-bit floats (NonMaxSuppression, Range, other domains);
//   - one of its constants exceeds 65504, or a single constant vanishes (below 2^-25: epsilons);
//     then also the Sqrt, Pow, Div and similar nodes that an epsilon protects, and readers of a
//     product with a large constant;
//   - it is between a position (a number cast from int64 or int32) and its sine or cosine: 16 bits
//     represent integers only up to 2048;
//   - on the calibration data, if there is any, one of its outputs exceeds 65504 / `headroom`, or
//     all values of an output are below 2^-14, where they lose digits; then also readers of that
//     output.
//
// Numbers beyond 1e6 in masks and bounds represent infinity. They become 32752 in masks, so that
// two of them can be added, and 65504 in bounds; their overflow does not keep a node in float32.
//
// An output of the model that such a node writes stays float32, too. Does nothing to values that
// have 16 bits already. Cost: with data, one forward pass over it.

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/value_types.h"
#include "lib/graph/widen.h"
#include "lib/targets/float_slots.h"
#include "lib/targets/half_range.h"
#include "lib/targets/rules.h"
#include "passes/pass.h"

namespace roundel::passes {
namespace {

using graph::Graph;
using graph::Node;

// Operators that an epsilon protects from 0.
const std::unordered_set<std::string> kGuarded = {"Div", "Log", "Pow", "Reciprocal", "Sqrt"};

struct Extent {
  float low = 0, high = 0;  // of the finite values
};
using Extents = std::unordered_map<std::string, Extent>;

Result<Extents> MeasureExtents(Session& session, const std::vector<std::string>& values) {
  ASSIGN_OR_RETURN(const auto executor,
                   engine::Executor::Create(session.model, {.tapped_values = values}));
  Extents extents;
  std::vector<engine::Tap> taps;
  for (const std::string& value : values) {
    Extent* extent = &extents[value];
    taps.push_back({.value = value, .any_order = true, .callback = [extent](const auto& view) {
                      for (const float x : view.data) {
                        if (!std::isfinite(x)) continue;
                        extent->low = std::min(extent->low, x);
                        extent->high = std::max(extent->high, x);
                      }
                      return OkStatus();
                    }});
  }
  RETURN_IF_ERROR(session.data->Rewind());
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<Batch> batch, session.data->Next());
    if (!batch) return extents;
    RETURN_IF_ERROR(executor->Run(batch->inputs, taps).status());
  }
}

class Chooser {
 public:
  Chooser(Session& session, const recipe::Params& params)
      : session_(session),
        params_(params),
        type_(ParseDType(params.String("type"))),
        types_(graph::InferValueTypes(session.model)),
        opset_(session.model.Opset()) {}

  Result<Outcome> Run() {
    if (!session_.target.float_types.contains(type_))
      return UsageError(
          StrCat("target '", session_.target.name, "' does not compute in ", DTypeName(type_)));
    for (const std::string& text : params_.Strings("keep")) {
      ASSIGN_OR_RETURN(target::Pattern pattern, target::Pattern::Compile(text));
      keep_.push_back(std::move(pattern));
    }
    if (session_.data != nullptr) RETURN_IF_ERROR(Measure());
    target::FloatTypes wanted;
    for (const auto& [value, type] : types_)
      if (type == DType::kFloat) wanted[value] = type_;
    // Values in 16 bits stay as they are; so do float64 values, to keep their precision.
    for (const auto& [value, type] : session_.types)
      if (type != DType::kFloat) wanted[value] = type;
    for (const graph::ValueInfo& input : session_.model.graph->inputs)
      if (const std::string reason = ReasonInData(input.name); !reason.empty()) {
        wanted[input.name] = DType::kFloat;
        session_.report->Add(input.name, "declined", reason);
      }
    Choose(*session_.model.graph, &wanted);
    if (params_.Bool("keep_io")) KeepInterface(&wanted);
    session_.report->Metric("nodes_in_16_bits", narrow_);
    session_.report->Metric("nodes_in_float32", kept_);
    if (wanted == session_.types) return Outcome::kUnchanged;
    session_.types = std::move(wanted);
    return Outcome::kChanged;
  }

 private:
  bool IsFloat(const std::string& value) const {
    const auto type = types_.find(value);
    return !value.empty() && type != types_.end() && type->second == DType::kFloat;
  }

  Status Measure() {
    std::vector<std::string> values;
    for (const graph::ValueInfo& input : session_.model.graph->inputs)
      if (IsFloat(input.name) && !session_.model.graph->FindInitializer(input.name))
        values.push_back(input.name);
    for (const auto& node : session_.model.graph->nodes())
      for (const std::string& output : node->outputs)
        if (IsFloat(output) && !node->Is("Constant")) values.push_back(output);
    ASSIGN_OR_RETURN(extents_, MeasureExtents(session_, values));
    return OkStatus();
  }

  // Nodes between a number and the sine of a value that is computed from it.
  std::unordered_set<const Node*> FindAngles(const Graph& g) const {
    std::unordered_set<const Node*> counts, angles;
    for (const auto& node : g.nodes()) {
      bool from = node->Is("Range") || (node->Is("Cast") && IsCount(node->input(0)));
      for (const std::string& input : node->inputs)
        from |= g.Producer(input) && counts.contains(g.Producer(input));
      if (from && IsFloat(node->output(0))) counts.insert(node.get());
    }
    for (auto node = g.nodes().rbegin(); node != g.nodes().rend(); ++node) {
      bool to = (*node)->Is("Sin") || (*node)->Is("Cos");
      for (const graph::Use& use : g.Uses((*node)->output(0))) to |= angles.contains(use.node);
      if (to && counts.contains(node->get())) angles.insert(node->get());
    }
    return angles;
  }

  bool IsCount(const std::string& value) const {
    const auto type = types_.find(value);
    return type != types_.end() && (type->second == DType::kInt64 || type->second == DType::kInt32);
  }

  void Choose(const Graph& g, target::FloatTypes* wanted) {
    std::unordered_set<const Node*> guarded;
    const std::unordered_set<const Node*> angles = FindAngles(g);
    for (const auto& node : g.nodes()) {
      graph::ForEachSubgraph(*node, [&](const Graph& body) { Choose(body, wanted); });
      const bool floats = std::any_of(node->outputs.begin(), node->outputs.end(),
                                      [this](const std::string& v) { return IsFloat(v); });
      if (!floats || node->Is("Constant")) continue;
      bool guards = guarded.contains(node.get());
      const std::string reason = guards                        ? "an epsilon keeps its input from 0"
                                 : angles.contains(node.get()) ? "angles computed from positions"
                                                               : ReasonToKeep(g, *node, &guards);
      if (reason.empty()) {
        ++narrow_;
        continue;
      }
      ++kept_;
      session_.report->Add(node->DisplayName(), "declined", reason);
      for (const std::string& output : node->outputs) {
        if (IsFloat(output)) (*wanted)[output] = DType::kFloat;
        for (const graph::Use& use : g.Uses(output))
          if (guards && kGuarded.contains(use.node->op_type)) guarded.insert(use.node);
      }
    }
  }

  // "" if there is none; `guards`: it adds an epsilon.
  std::string ReasonToKeep(const Graph& g, const Node& node, bool* guards) {
    for (const target::Pattern& pattern : keep_)
      if (pattern.Matches(node.name) || pattern.Matches(node.op_type)) return "the recipe keeps it";
    if (!target::MayBeHalf(node, opset_) && !HasBody(node) && !IsQuantizer(node))
      return StrCat("the operator has no ", DTypeName(type_));
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Tensor* constant = IsFloat(node.inputs[i]) ? g.Constant(node.inputs[i]) : nullptr;
      if (!constant || target::InputSlot(node, i, opset_) != target::FloatSlot::kNode) continue;
      const target::HalfFit fit = target::FitOf(node, *constant, type_);
      if (fit == target::HalfFit::kTooLarge && !extents_.contains(node.output(0)))
        large_.insert(node.output(0));
      if (fit == target::HalfFit::kTooLarge)
        return StrCat("constant '", node.inputs[i], "' is too large for ", DTypeName(type_));
      *guards = fit == target::HalfFit::kVanishes;
      if (*guards) return StrCat("constant '", node.inputs[i], "' would become 0");
    }
    for (const std::string& value : node.outputs)
      if (std::string reason = ReasonInData(value); !reason.empty()) return reason;
    for (const std::string& value : node.inputs) {
      if (std::string reason = ReasonInData(value); !reason.empty()) return "its input " + reason;
      const auto large = large_.find(value);
      if (large != large_.end()) return StrCat("its input '", value, "' may be too large");
    }
    return "";
  }

  static bool HasBody(const Node& node) {
    bool any = false;
    graph::ForEachSubgraph(node, [&any](const Graph&) { any = true; });
    return any;
  }
  // Their type follows that of the adjacent values; older opsets are raised for them.
  static bool IsQuantizer(const Node& node) {
    return node.op_type == "QuantizeLinear" || node.op_type == "DequantizeLinear";
  }

  std::string ReasonInData(const std::string& value) const {
    const auto extent = extents_.find(value);
    if (extent == extents_.end() || !graph::IsHalf(type_)) return "";
    const auto [low, high] = extent->second;
    const float largest = target::LargestOf(type_) / static_cast<float>(params_.Float("headroom"));
    const auto overflows = [&](float size) {
      return size > largest && size < target::kStandsForInfinity;
    };
    if (overflows(-low) || overflows(high))
      return StrCat("'", value, "' reaches ", -low > high ? low : high);
    const float size = std::max(-low, high);
    if (size > 0 && size < target::SmallestNormalOf(type_))
      return StrCat("'", value, "' is at most ", size);
    return "";
  }

  void KeepInterface(target::FloatTypes* wanted) const {
    const Graph& g = *session_.model.graph;
    for (const auto* infos : {&g.inputs, &g.outputs})
      for (const graph::ValueInfo& info : *infos)
        if (const std::string key = target::InterfaceKey(info.name);
            IsFloat(info.name) &&
            (session_.types.contains(key) || !session_.types.contains(info.name)))
          (*wanted)[key] = DType::kFloat;
  }

  Session& session_;
  const recipe::Params& params_;
  const DType type_;
  const std::unordered_map<std::string, DType> types_;
  const int64_t opset_;
  std::vector<target::Pattern> keep_;
  Extents extents_;
  std::unordered_set<std::string> large_;  // computed from constants beyond the type, without data
  int64_t narrow_ = 0, kept_ = 0;
};

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  return Chooser(session, params).Run();
}

}  // namespace

PassInfo to_float16_pass() {
  return {
      .name = "to_float16",
      .summary = "stores floats in 16 bits, except where they would overflow or vanish",
      .params =
          {
              {.name = "type",
               .default_value = std::string("float16"),
               .help = "16-bit type to write",
               .choices = {"float16", "bfloat16"}},
              {.name = "keep",
               .default_value = std::vector<std::string>{},
               .help = "nodes to keep in float32: node names, op types, or re:regex on either"},
              {.name = "keep_io",
               .default_value = false,
               .help = "keep the inputs and outputs of the model in float32"},
              {.name = "headroom",
               .default_value = 2.0,
               .help = "safety factor: a node stays in float32 if the largest value on the data "
                       "times this does not fit",
               .min = 1,
               .max = 1000},
          },
      .run = Run,
  };
}

}  // namespace roundel::passes
