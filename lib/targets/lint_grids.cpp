#include "lib/targets/lint_grids.h"

#include <cmath>
#include <set>
#include <string>

#include "lib/base/text.h"
#include "lib/graph/layer_slots.h"
#include "lib/targets/grid_check.h"
#include "lib/targets/grid_name.h"
#include "lib/targets/lint_text.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;
using quant::Encoding;
using quant::Granularity;
using quant::Role;

struct GridLint {
  const Graph& g;
  const quant::EncodingTable& table;
  const Profile& profile;
  std::vector<Violation>& violations;

  void Add(std::string where, std::string what, std::string why, std::string advice) {
    violations.push_back(
        {"grid", std::move(where), std::move(what), std::move(why), std::move(advice)});
  }
};

// The narrowest grid that contains the codes: 7-bit weights are stored as 8-bit ones. Tools that
// reduce ranges also write the codes -64 and 64 for 7 bits.
quant::Grid UsedGrid(const Encoding& e) {
  if (!e.codes || e.grid.bits != 8 || !e.grid.is_signed || !e.grid.symmetric ||
      !e.grid.is_uniform())
    return e.grid;
  for (const int64_t code : e.codes->ToInt64s())
    if (code < -64 || code > 64) return e.grid;
  quant::Grid grid = e.grid;
  grid.bits = 7;
  return grid;
}

void CheckActivation(GridLint& s, const std::string& value, const Encoding& e) {
  const Node* producer = s.g.Producer(value);
  const auto own = s.profile.op_activation_grids.find(producer ? producer->op_type : "");
  const auto& allowed =
      own == s.profile.op_activation_grids.end() ? s.profile.activation_grids : own->second;
  if (!GridAllowed(e.grid, allowed))
    s.Add(Named(value), StrCat("activation on ", e.grid.Name()),
          StrCat(s.profile.name, " takes ", ListText(allowed)), "choose one of these grids");
  const double width = static_cast<double>(e.params[0].scale) * (e.grid.qmax() - e.grid.qmin());
  if (width < 0.999 * s.profile.min_real_range)
    s.Add(Named(value), StrCat("activation with a range of width ", width),
          StrCat(s.profile.name, " needs ranges of at least ", s.profile.min_real_range),
          "widen the range");
  if (e.granularity != Granularity::kTensor)
    s.Add(Named(value), "activation with a scale per channel",
          "integer kernels take one scale per activation", "use one scale for the tensor");
}

// Whether a layer that reads the weight has float inputs.
bool IsWeightOnly(const quant::EncodingTable& table, const Node& layer,
                  const graph::LayerSlots& slots) {
  return layer.Is("Gather") || !table.contains(layer.input(1 - slots.weight));
}

void CheckBlocks(GridLint& s, const std::string& where, const Node& layer, const Encoding& e,
                 bool weight_only) {
  const bool op = s.profile.block_ops.empty() || s.profile.block_ops.contains(layer.op_type);
  if (!op || !weight_only)
    s.Add(where, "scales in blocks",
          op ? "integer kernels sum over the whole axis, so that a block's scale cannot be applied"
             : StrCat(s.profile.name, " has no blocks for ", layer.op_type),
          "use granularity channel");
  if (!s.profile.block_sizes.empty() && !s.profile.block_sizes.contains(e.block_size))
    s.Add(where, StrCat("blocks of ", e.block_size),
          StrCat(s.profile.name, " has other block sizes"), "choose a block size of the target");
}

void CheckWeightOf(GridLint& s, const Node& layer, const std::string& value, const Encoding& e,
                   const graph::LayerSlots& slots, int64_t rank, bool weight_only) {
  const std::string where = StrCat(Named(value), " of ", layer.DisplayName());
  const auto own = s.profile.op_weight_grids.find(layer.op_type);
  const auto& general = weight_only && !s.profile.weight_only_grids.empty()
                            ? s.profile.weight_only_grids
                            : s.profile.weight_grids;
  const auto& allowed = own == s.profile.op_weight_grids.end() ? general : own->second;
  const quant::Grid grid = UsedGrid(e);
  if (!GridAllowed(grid, allowed) && !GridAllowed(e.grid, allowed))
    s.Add(where, StrCat("weight on ", grid.Name()),
          StrCat(s.profile.name, " takes ", ListText(allowed)), "choose one of these grids");
  if (e.granularity == Granularity::kChannel)
    if (std::string why = OneScaleReason(s.profile, layer.op_type, rank, !weight_only);
        !why.empty())
      s.Add(where, "a scale per channel", std::move(why), "use granularity tensor for this op");
  if (e.granularity == Granularity::kChannel && e.axis != slots.channel_axis)
    s.Add(where, StrCat("scales along axis ", e.axis),
          StrCat("the output channels of ", layer.op_type, " are on axis ", slots.channel_axis),
          StrCat("quantize along axis ", slots.channel_axis));
  if (e.granularity == Granularity::kBlock) CheckBlocks(s, where, layer, e, weight_only);
  if (weight_only && !s.profile.modes.empty() && !s.profile.modes.contains("float"))
    s.Add(where, "its layer has float inputs", StrCat(s.profile.name, " runs layers in integers"),
          "quantize the layer's input and output as well");
}

void CheckWeight(GridLint& s, const std::string& value, const Encoding& e) {
  const Tensor* constant = s.g.Constant(value);
  for (const graph::Use& use : s.g.Uses(value)) {
    const auto slots =
        constant ? graph::FindLayerSlots(s.g, *use.node, constant->rank()) : std::nullopt;
    if (!slots || use.index != static_cast<int>(slots->weight)) continue;
    const bool weight_only = IsWeightOnly(s.table, *use.node, *slots);
    if (use.node->Is("MatMul") && slots->weight == 0 && !weight_only) continue;  // an operand
    CheckWeightOf(s, *use.node, value, e, *slots, constant->rank(), weight_only);
    return;  // one report per weight
  }
}

void CheckBias(GridLint& s, const std::string& value, const Encoding& e) {
  if (!s.profile.quantize_bias)
    s.Add(Named(value), "bias on int32", StrCat(s.profile.name, " needs biases in float"),
          "leave the bias float");
  for (const graph::Use& use : s.g.Uses(value)) {
    const Node& layer = *use.node;
    const auto x = s.table.find(layer.input(0)), w = s.table.find(layer.input(1));
    const auto slots = graph::FindLayerSlots(s.g, layer, 2);
    if (use.index != 2 || !slots || x == s.table.end() || w == s.table.end()) continue;
    for (size_t i = 0; i < e.params.size(); ++i) {
      const float weight = w->second.params[i % w->second.params.size()].scale;
      const double unit =
          static_cast<double>(x->second.params[0].scale) * weight * slots->bias_factor;
      if (std::fabs(e.params[i].scale - unit) <= 1e-3 * unit) continue;
      s.Add(StrCat(Named(value), " of ", layer.DisplayName()),
            StrCat("bias scale ", e.params[i].scale, ", input scale times weight scale ", unit),
            "the bias joins the integer sum, which has that unit",
            "use input scale * weight scale as the bias scale");
      break;
    }
  }
}

}  // namespace

void LintGrids(const FloatModel& floats, const Profile& profile,
               std::vector<Violation>* violations) {
  GridLint s{*floats.model.graph, floats.encodings, profile, *violations};
  for (const auto& [value, e] : floats.encodings) {
    if (e.role == Role::kActivation) CheckActivation(s, value, e);
    if (e.role == Role::kWeight) CheckWeight(s, value, e);
    if (e.role == Role::kBias) CheckBias(s, value, e);
  }
}

}  // namespace roundel::target
