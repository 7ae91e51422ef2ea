#include "lib/targets/lint.h"

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/grid_check.h"
#include "lib/targets/grid_name.h"
#include "lib/targets/lint_codes.h"
#include "lib/targets/lint_packed.h"
#include "lib/targets/lint_placement.h"
#include "lib/targets/op_facts.h"
#include "lib/targets/qdq.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;
using quant::Encoding;
using quant::Granularity;
using quant::Role;

std::string ListText(const std::set<std::string>& names) {
  return Join(std::vector<std::string>(names.begin(), names.end()));
}

// The narrowest grid that holds the codes: 7-bit weights are stored as 8-bit ones. -64 and 64 count
// as 7 bits, as the tools that reduce ranges write them.
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

class Linter {
 public:
  Linter(const graph::Model& model, const Profile& profile, const Placement* placed)
      : model_(model), profile_(profile), placed_(placed) {}

  Result<LintResult> Run() {
    CheckOpset();
    for (const auto& node : model_.graph->nodes()) CheckNode(*node);
    result_.refused = result_.violations.size();
    std::vector<std::string> kept;
    ASSIGN_OR_RETURN(const FloatModel floats, ImportQdq(model_, &kept, ImportValues::kSmall));
    for (const std::string& line : kept) {
      if (IsBesideCodes(line)) continue;
      const size_t colon = std::min(line.size(), line.find(": "));
      Add(line.substr(0, colon), line.substr(std::min(line.size(), colon + 2)),
          "the runtime cannot merge it into an integer kernel",
          "use constant scales and one quantizer per tensor");
    }
    const Graph& g = *floats.model.graph;
    for (const auto& [value, e] : floats.encodings) {
      ++(e.role == Role::kActivation ? result_.activations
         : e.role == Role::kWeight   ? result_.weights
                                     : result_.biases);
      if (e.role == Role::kActivation) CheckActivation(g, value, e);
      if (e.role == Role::kWeight) CheckWeight(g, floats.encodings, value, e);
      if (e.role == Role::kBias) CheckBias(g, floats.encodings, value, e);
    }
    if (result_.activations > 0 && !profile_.modes.empty() && !profile_.modes.contains("static"))
      Add("model", StrCat(result_.activations, " activations have grids"),
          StrCat(profile_.name, " takes activations as ", ListText(profile_.modes)),
          "quantize weights only (activations: float)");
    else
      RETURN_IF_ERROR(LintPlacement(model_, floats, profile_, placed_, &result_.violations));
    return std::move(result_);
  }

 private:
  void Add(std::string where, std::string what, std::string why, std::string advice) {
    result_.violations.push_back(
        {std::move(where), std::move(what), std::move(why), std::move(advice)});
  }

  // In a model of operators on codes, quantizers stand beside these.
  bool IsBesideCodes(const std::string& kept) const {
    const auto& nodes = model_.graph->nodes();
    return (kept.find(kKeptForReader) != std::string::npos ||
            kept.find(kKeptForSource) != std::string::npos) &&
           std::any_of(nodes.begin(), nodes.end(),
                       [](const auto& node) { return ComputesOnCodes(*node); });
  }

  static bool ComputesOnCodes(const Node& node) {
    return node.op_type.starts_with("QLinear") || node.Is("QGemm", kContribDomain);
  }

  void CheckOpset() {
    const int64_t opset = model_.Opset();
    const std::string what = StrCat("opset ", opset);
    constexpr int64_t kQuantizeLinear = 10;
    if (opset < kQuantizeLinear)
      Add("model", what, "QuantizeLinear came with opset 10", "export with a newer opset");
    if (profile_.max_opset > 0 && opset > profile_.max_opset)
      Add("model", what, StrCat(profile_.name, " reads opsets up to ", profile_.max_opset),
          "export with an older opset");
  }

  // ---- operators

  void CheckNode(const Node& node) {
    if (node.domain == graph::kBodyDomain) return;
    if (!KnowsOperator(profile_, node)) {
      const bool pair = IsQuantizeNode(node) || IsDequantizeNode(node);
      Add(node.DisplayName(),
          StrCat("operator ", Printable(node.op_type), " of ", Printable(node.domain)),
          StrCat(profile_.name, " does not know it"),
          pair ? "write QuantizeLinear/DequantizeLinear of ONNX's own domain"
               : "export the model without it, or teach it to the runtime as a custom operator");
    }
    CheckFormat(node);
    LintPacked(*model_.graph, node, profile_, &result_.violations);
    LintCodes(model_, node, &result_.violations);
  }

  void CheckFormat(const Node& node) {
    const bool codes = ComputesOnCodes(node);
    const bool packed = node.Is("MatMulNBits", kContribDomain);
    const std::string format = codes ? "qoperator" : packed ? "matmulnbits" : "qdq";
    if (profile_.formats.empty() || profile_.formats.contains(format)) return;
    if (format == "qdq" && !IsQuantizeNode(node) && !IsDequantizeNode(node)) return;
    Add(node.DisplayName(), StrCat(node.op_type, ", format ", format),
        StrCat(profile_.name, " reads ", ListText(profile_.formats)),
        StrCat("export with format ", *profile_.formats.begin()));
  }

  // ---- grids

  void CheckActivation(const Graph& g, const std::string& value, const Encoding& e) {
    const Node* producer = g.Producer(value);
    const auto own = profile_.op_activation_grids.find(producer ? producer->op_type : "");
    const auto& allowed =
        own == profile_.op_activation_grids.end() ? profile_.activation_grids : own->second;
    if (!GridAllowed(e.grid, allowed))
      Add(Named(value), StrCat("activation on ", e.grid.Name()),
          StrCat(profile_.name, " takes ", ListText(allowed)), "choose one of these grids");
    const double width = static_cast<double>(e.params[0].scale) * (e.grid.qmax() - e.grid.qmin());
    if (width < 0.999 * profile_.min_real_range)
      Add(Named(value), StrCat("activation with a range of width ", width),
          StrCat(profile_.name, " wants ranges of ", profile_.min_real_range, " at least"),
          "widen the range");
    if (e.granularity != Granularity::kTensor)
      Add(Named(value), "activation with a scale per channel",
          "integer kernels take one scale per activation", "use one scale for the tensor");
  }

  static std::string Named(const std::string& value) {
    return StrCat("tensor '", Printable(value), "'");
  }

  // Whether a layer that reads the weight takes float inputs.
  static bool IsWeightOnly(const quant::EncodingTable& table, const Node& layer,
                           const graph::LayerSlots& slots) {
    return layer.Is("Gather") || !table.contains(layer.input(1 - slots.weight));
  }

  void CheckWeight(const Graph& g, const quant::EncodingTable& table, const std::string& value,
                   const Encoding& e) {
    const Tensor* constant = g.Constant(value);
    for (const graph::Use& use : g.Uses(value)) {
      const auto slots =
          constant ? graph::FindLayerSlots(g, *use.node, constant->rank()) : std::nullopt;
      if (!slots || use.index != static_cast<int>(slots->weight)) continue;
      const bool weight_only = IsWeightOnly(table, *use.node, *slots);
      if (use.node->Is("MatMul") && slots->weight == 0 && !weight_only) continue;  // an operand
      CheckWeightOf(*use.node, value, e, *slots, constant->rank(), weight_only);
      return;  // one report per weight
    }
  }

  void CheckWeightOf(const Node& layer, const std::string& value, const Encoding& e,
                     const graph::LayerSlots& slots, int64_t rank, bool weight_only) {
    const std::string where = StrCat(Named(value), " of ", layer.DisplayName());
    const auto own = profile_.op_weight_grids.find(layer.op_type);
    const auto& general = weight_only && !profile_.weight_only_grids.empty()
                              ? profile_.weight_only_grids
                              : profile_.weight_grids;
    const auto& allowed = own == profile_.op_weight_grids.end() ? general : own->second;
    const quant::Grid grid = UsedGrid(e);
    if (!GridAllowed(grid, allowed) && !GridAllowed(e.grid, allowed))
      Add(where, StrCat("weight on ", grid.Name()),
          StrCat(profile_.name, " takes ", ListText(allowed)), "choose one of these grids");
    if (e.granularity == Granularity::kChannel)
      if (std::string why = OneScaleReason(profile_, layer.op_type, rank, !weight_only);
          !why.empty())
        Add(where, "a scale per channel", std::move(why), "use granularity tensor for this op");
    if (e.granularity == Granularity::kChannel && e.axis != slots.channel_axis)
      Add(where, StrCat("scales along axis ", e.axis),
          StrCat("the output channels of ", layer.op_type, " lie on axis ", slots.channel_axis),
          StrCat("quantize along axis ", slots.channel_axis));
    if (e.granularity == Granularity::kBlock) CheckBlocks(where, layer, e, weight_only);
    if (weight_only && !profile_.modes.empty() && !profile_.modes.contains("float"))
      Add(where, "its layer has float inputs", StrCat(profile_.name, " runs layers in integers"),
          "quantize the layer's input and output as well");
  }

  void CheckBlocks(const std::string& where, const Node& layer, const Encoding& e,
                   bool weight_only) {
    const bool op = profile_.block_ops.empty() || profile_.block_ops.contains(layer.op_type);
    if (!op || !weight_only)
      Add(where, "scales in blocks",
          op ? "integer kernels sum over the whole axis, so that a block's scale cannot be applied"
             : StrCat(profile_.name, " has no blocks for ", layer.op_type),
          "use granularity channel");
    if (!profile_.block_sizes.empty() && !profile_.block_sizes.contains(e.block_size))
      Add(where, StrCat("blocks of ", e.block_size),
          StrCat(profile_.name, " has other block sizes"), "choose a block size of the target");
  }

  void CheckBias(const Graph& g, const quant::EncodingTable& table, const std::string& value,
                 const Encoding& e) {
    if (!profile_.quantize_bias)
      Add(Named(value), "bias on int32", StrCat(profile_.name, " wants biases in float"),
          "leave the bias float");
    for (const graph::Use& use : g.Uses(value)) {
      const Node& layer = *use.node;
      const auto x = table.find(layer.input(0)), w = table.find(layer.input(1));
      const auto slots = graph::FindLayerSlots(g, layer, 2);
      if (use.index != 2 || !slots || x == table.end() || w == table.end()) continue;
      for (size_t i = 0; i < e.params.size(); ++i) {
        const float weight = w->second.params[i % w->second.params.size()].scale;
        const double unit =
            static_cast<double>(x->second.params[0].scale) * weight * slots->bias_factor;
        if (std::fabs(e.params[i].scale - unit) <= 1e-3 * unit) continue;
        Add(StrCat(Named(value), " of ", layer.DisplayName()),
            StrCat("bias scale ", e.params[i].scale, ", input scale times weight scale ", unit),
            "the bias joins the integer sum, which has that unit",
            "use input scale * weight scale as the bias scale");
        break;
      }
    }
  }

  const graph::Model& model_;
  const Profile& profile_;
  const Placement* placed_;
  LintResult result_;
};

}  // namespace

Result<LintResult> Lint(const graph::Model& model, const Profile& profile,
                        const Placement* placed) {
  if (!graph::HasBodies(*model.graph)) return Linter(model, profile, placed).Run();
  graph::Model flat = graph::Clone(model);
  graph::FlattenBodies(&flat);
  return Linter(flat, profile, placed).Run();
}

}  // namespace roundel::target
