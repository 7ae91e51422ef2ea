#include "lib/targets/lint_placement.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "lib/base/text.h"
#include "lib/graph/layer.h"
#include "lib/targets/fused_adds.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/kept_float.h"
#include "lib/targets/lint_text.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;
using quant::Encoding;
using quant::Role;

class PlacementLinter {
 public:
  PlacementLinter(const graph::Model& model, const Profile& profile, const Placement* placed,
                  std::vector<Violation>* violations)
      : profile_(profile),
        placed_(placed),
        kept_(placed ? placed->kept_float : KeptFloat(model)),
        violations_(*violations) {}

  Status Run(const FloatModel& floats) {
    Placement usual;
    if (!placed_) {
      ASSIGN_OR_RETURN(usual, PlaceLike(floats));
    }
    const Placement& placement = placed_ ? *placed_ : usual;
    const Graph& g = *floats.model.graph;
    if (profile_.fused_adds)
      for (const auto& node : g.nodes())
        if (node->Is("Add")) CheckFusedAdd(g, floats.encodings, *node);
    std::set<std::string> wanted;
    std::map<int, std::string> first_of_group;
    for (const QuantPoint& point : placement.points) {
      wanted.insert(point.value);
      const auto e = floats.encodings.find(point.value);
      if (e == floats.encodings.end()) {
        CheckMissing(g, floats.encodings, point);
        continue;
      }
      if (point.role == Role::kActivation) CheckRange(floats.encodings, point, first_of_group);
    }
    for (const auto& [value, e] : floats.encodings)
      if (e.role == Role::kActivation && !wanted.contains(value)) CheckExtra(g, value);
    return OkStatus();
  }

 private:
  void Add(std::string where, std::string what, std::string why, std::string advice) {
    violations_.push_back(
        {"placement", std::move(where), std::move(what), std::move(why), std::move(advice)});
  }

  // The target's placement for this model. Whether parts of a Concat can share a range depends on
  // data; here they do if they share one in the model. Values that the model keeps float, by its
  // metadata or in fact, get no point.
  Result<Placement> PlaceLike(const FloatModel& floats) const {
    RangeDecisions decisions;
    AddKeptFloat(*floats.model.graph, &decisions);
    for (;;) {
      ASSIGN_OR_RETURN(Placement placement,
                       Place(floats.model, profile_, DefaultChoice(profile_), decisions));
      const bool joins = AddJoins(placement, floats.encodings, &decisions);
      if (!AddFloatLayers(placement, floats, &decisions) && !joins) return placement;
    }
  }

  // A node that moves or clamps values has a range if its input has one, for any reader.
  void AddKeptFloat(const Graph& g, RangeDecisions* decisions) const {
    for (const std::string& value : kept_) {
      const Node* source = g.Producer(value);
      const auto policy = profile_.ops.find(source ? source->op_type : "");
      const bool moves = policy != profile_.ops.end() && policy->second == OpPolicy::kPassThrough;
      if (!moves && !(source && FindClamp(g, *source))) decisions->unknown_ranges.insert(value);
    }
  }

  // Whether the layer's activations are float intentionally: its weight is float too, or its bias
  // is float although integer sums need a quantized bias.
  bool IsLeftFloat(const FloatModel& floats, const Node* layer) const {
    const Graph& g = *floats.model.graph;
    if (!layer || !graph::IsLayerOp(*layer) || !g.Constant(layer->input(1))) return false;
    const std::string bias = layer->input(2);
    return !floats.encodings.contains(layer->input(1)) ||
           (profile_.quantize_bias && g.Constant(bias) && !floats.encodings.contains(bias));
  }

  // Adds values without a quantizer at the input or output of such layers. Returns whether any were
  // added.
  bool AddFloatLayers(const Placement& placement, const FloatModel& floats,
                      RangeDecisions* decisions) const {
    const Graph& g = *floats.model.graph;
    const size_t before = decisions->unknown_ranges.size();
    for (const QuantPoint& point : placement.points) {
      if (point.role != Role::kActivation || floats.encodings.contains(point.value)) continue;
      const Node* source = g.Producer(point.value);
      while (source && FindClamp(g, *source)) source = g.Producer(source->input(0));
      const auto& uses = g.Uses(point.value);
      if (IsLeftFloat(floats, source) ||
          std::any_of(uses.begin(), uses.end(),
                      [&](const graph::Use& use) { return IsLeftFloat(floats, use.node); }))
        decisions->unknown_ranges.insert(point.value);
    }
    return decisions->unknown_ranges.size() > before;
  }

  // Adds the joins of the model. Returns whether any were added.
  static bool AddJoins(const Placement& placement, const quant::EncodingTable& table,
                       RangeDecisions* joins) {
    const size_t before = joins->floats.size() + joins->apart.size();
    for (const ValueJoin& join : placement.joins) {
      const auto output = table.find(join.output);
      if (output == table.end()) joins->floats.emplace(join.output, "it has no quantizer");
      for (const ValueJoin::Part& part : join.parts) {
        const auto own = table.find(part.value);
        if (output != table.end() && own != table.end() &&
            own->second.params != output->second.params)
          joins->apart.emplace(join.output, part.value);
      }
    }
    return joins->floats.size() + joins->apart.size() > before;
  }

  // Checks an Add that runs as part of the layer whose result it reads.
  void CheckFusedAdd(const Graph& g, const quant::EncodingTable& table, const Node& add) {
    const auto has = [&](size_t i) {
      return !g.Constant(add.input(i)) && table.contains(add.input(i));
    };
    for (const size_t i : {size_t{0}, size_t{1}}) {
      const Node* layer = g.Producer(add.input(i));
      if (!g.Constant(add.input(1 - i)) || !has(i) || !layer || !graph::IsLayerOp(*layer)) continue;
      Add(Named(add.input(i)), StrCat("a quantizer between ", layer->op_type, " and its bias"),
          "it keeps the two from running as one", "leave this output float");
    }
    if (FusedOperand(g, add) && has(0) && has(1))
      Add(add.DisplayName(), "quantizers on both branches of a residual sum",
          "the layer that ends one of them cannot take the sum into itself",
          StrCat("leave '", Printable(add.input(*FusedOperand(g, add))), "' float"));
  }

  // A missing quantizer matters if the node has other quantizers.
  void CheckMissing(const Graph& g, const quant::EncodingTable& table, const QuantPoint& point) {
    if (point.role != Role::kActivation || kept_.contains(point.value)) return;
    // An operator on codes reads a QuantizeLinear without a DequantizeLinear.
    const auto& readers = g.Uses(point.value);
    if (std::any_of(readers.begin(), readers.end(),
                    [](const graph::Use& use) { return IsQuantizeNode(*use.node); }))
      return;
    const auto has = [&table](const std::string& value) {
      const auto e = table.find(value);
      return e != table.end() && e->second.role == Role::kActivation;
    };
    const Node* producer = g.Producer(point.value);
    // If the results of layers are float, those of averages must be quantized.
    const bool average = profile_.fused_adds && producer &&
                         (producer->Is("AveragePool") || producer->Is("GlobalAveragePool"));
    const bool gives_floats = producer && profile_.float_results.contains(producer->op_type);
    const bool half = producer && !gives_floats && (producer->inputs.size() > 1 || average) &&
                      has(producer->input(0));
    if (half)
      return Add(producer->DisplayName(), "its output has no quantizer",
                 "without one the node runs in float, on dequantized inputs",
                 StrCat("quantize '", Printable(point.value), "'"));
    for (const graph::Use& use : readers) {
      const Node& node = *use.node;
      const bool two_sided = node.inputs.size() > 1 && has(node.output(0));
      if (!two_sided || use.index < 0) continue;
      return Add(node.DisplayName(),
                 StrCat("its input '", Printable(point.value), "' has no quantizer"),
                 "without one the node runs in float", "quantize all its inputs");
    }
  }

  void CheckRange(const quant::EncodingTable& table, const QuantPoint& point,
                  std::map<int, std::string>& first_of_group) {
    const Encoding& e = table.at(point.value);
    const auto [first, fresh] = first_of_group.try_emplace(point.group, point.value);
    const Encoding& other = table.at(first->second);
    if (!fresh && (e.params != other.params || e.grid.bits != other.grid.bits))
      Add(Named(point.value),
          StrCat("scale ", e.params[0].scale, ", '", Printable(first->second), "' has ",
                 other.params[0].scale),
          "both hold the same values and share one range here",
          "give them the same scale and zero point");
    if (!point.fixed_range) return;
    const quant::QParams fixed = quant::ParamsFromRange(point.range_min, point.range_max, e.grid);
    if (std::fabs(e.params[0].scale - fixed.scale) <= 0.01 * fixed.scale) return;
    Add(Named(point.value), StrCat("scale ", e.params[0].scale),
        StrCat("the op's range is [", point.range_min, ", ", point.range_max, "] by definition"),
        StrCat("use scale ", fixed.scale, " and zero point ", fixed.zero_point));
  }

  void CheckExtra(const Graph& g, const std::string& value) {
    const Node* producer = g.Producer(value);
    const Node* reader = g.OnlyConsumer(value);
    if (!producer) return;
    const bool clamp = reader && FindClamp(g, *reader) && graph::IsLayerOp(*producer);
    const bool inputs_only = profile_.float_outputs.contains(producer->op_type);
    if (clamp)
      Add(Named(value), StrCat("a quantizer between ", producer->op_type, " and ", reader->op_type),
          "it keeps the two from running as one, and rounds twice",
          "quantize after the activation only");
    else if (inputs_only)
      Add(Named(value), StrCat("a quantizer after ", producer->op_type),
          StrCat(profile_.name, " needs quantizers at the inputs of layers"),
          "leave this output float");
  }

  const Profile& profile_;
  const Placement* placed_;
  const std::set<std::string> kept_;
  std::vector<Violation>& violations_;
};

}  // namespace

Status LintPlacement(const graph::Model& model, const FloatModel& floats, const Profile& profile,
                     const Placement* placed, std::vector<Violation>* violations) {
  return PlacementLinter(model, profile, placed, violations).Run(floats);
}

}  // namespace roundel::target
