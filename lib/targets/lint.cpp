#include "lib/targets/lint.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "lib/targets/formats.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/lint_codes.h"
#include "lib/targets/lint_grids.h"
#include "lib/targets/lint_packed.h"
#include "lib/targets/lint_placement.h"
#include "lib/targets/lint_text.h"
#include "lib/targets/op_facts.h"
#include "lib/targets/qdq.h"

namespace roundel::target {
namespace {

using graph::Node;
using quant::Role;

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
      if (IsNextToCodes(line)) continue;
      const size_t colon = std::min(line.size(), line.find(": "));
      Add("pair", line.substr(0, colon), line.substr(std::min(line.size(), colon + 2)),
          "the runtime cannot merge it into an integer kernel",
          "use constant scales and one quantizer per tensor");
    }
    for (const auto& [value, e] : floats.encodings)
      ++(e.role == Role::kActivation ? result_.activations
         : e.role == Role::kWeight   ? result_.weights
                                     : result_.biases);
    LintGrids(floats, profile_, &result_.violations);
    if (result_.activations > 0 && !profile_.modes.empty() && !profile_.modes.contains("static"))
      Add("mode", "model", StrCat(result_.activations, " activations have grids"),
          StrCat(profile_.name, " takes activations as ", ListText(profile_.modes)),
          "quantize weights only (activations: float)");
    else
      RETURN_IF_ERROR(LintPlacement(model_, floats, profile_, placed_, &result_.violations));
    return std::move(result_);
  }

 private:
  void Add(const char* rule, std::string where, std::string what, std::string why,
           std::string advice) {
    result_.violations.push_back(
        {rule, std::move(where), std::move(what), std::move(why), std::move(advice)});
  }

  // Whether the line is about a quantizer next to an operator on codes.
  bool IsNextToCodes(const std::string& kept) const {
    const auto& nodes = model_.graph->nodes();
    return (kept.find(kKeptForReader) != std::string::npos ||
            kept.find(kKeptForSource) != std::string::npos) &&
           std::any_of(nodes.begin(), nodes.end(), [](const auto& node) {
             const Format* format = FormatOf(*node);
             return format && format->on_codes;
           });
  }

  void CheckOpset() {
    const int64_t opset = model_.Opset();
    const std::string what = StrCat("opset ", opset);
    constexpr int64_t kQuantizeLinear = 10;
    if (opset < kQuantizeLinear)
      Add("opset", "model", what, "QuantizeLinear came with opset 10", "export with a newer opset");
    if (profile_.max_opset > 0 && opset > profile_.max_opset)
      Add("opset", "model", what, StrCat(profile_.name, " reads opsets up to ", profile_.max_opset),
          "export with an older opset");
  }

  // ---- operators

  void CheckNode(const Node& node) {
    if (node.domain == graph::kBodyDomain) return;
    if (!KnowsOperator(profile_, node)) {
      const bool pair = IsQuantizeNode(node) || IsDequantizeNode(node);
      Add("operator", node.DisplayName(),
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
    const Format* format = FormatOf(node);
    if (!format || profile_.formats.empty() || profile_.formats.contains(format->name)) return;
    Add("format", node.DisplayName(), StrCat(node.op_type, ", format ", format->name),
        StrCat(profile_.name, " reads ", ListText(profile_.formats)),
        StrCat("export with format ", *profile_.formats.begin()));
  }

  const graph::Model& model_;
  const Profile& profile_;
  const Placement* placed_;
  LintResult result_;
};

}  // namespace

const std::vector<LintRule>& LintRules() {
  static const std::vector<LintRule> rules = {
      {"opset", "The model's opset is one that the target reads"},
      {"operator", "The target knows every operator"},
      {"format", "Quantized layers have a form that the target reads"},
      {"packed", "Packed weights have bits, blocks and shapes that the target's kernels take"},
      {"codes", "Codes, scales and zero points have the types and shapes of their operators"},
      {"pair", "Quantizers form pairs that the target merges into integer kernels"},
      {"grid", "Grids are those that the target computes with"},
      {"mode", "Activations have grids only if the target takes such"},
      {"placement", "Quantizers stand where the target uses them"},
  };
  return rules;
}

Result<LintResult> Lint(const graph::Model& model, const Profile& profile,
                        const Placement* placed) {
  if (!graph::HasBodies(*model.graph)) return Linter(model, profile, placed).Run();
  graph::Model flat = graph::Clone(model);
  graph::FlattenBodies(&flat);
  return Linter(flat, profile, placed).Run();
}

}  // namespace roundel::target
