// Operators that reshape, move, select or repeat elements, and those whose results do not vary with
// floats.

#include <algorithm>

#include "lib/base/text.h"
#include "lib/grad/rules.h"

namespace roundel::grad {
namespace {

Status Identity(Emitter& emit) {
  emit.Add(0, emit.dy());
  return OkStatus();
}

Status Reshape(Emitter& emit) {
  emit.Add(0, emit.Op("ReshapeLike", {emit.dy(), emit.input(0)}, {}, "roundel"));
  return OkStatus();
}

// dy permuted back.
Status Transpose(Emitter& emit) {
  const std::vector<int64_t> perm = emit.node().Ints("perm");
  std::vector<int64_t> back(perm.size());
  for (size_t i = 0; i < perm.size(); ++i)
    back[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  Emitter::Attributes attributes;
  if (!perm.empty()) attributes.emplace_back("perm", back);
  emit.Add(0, emit.Op("Transpose", {emit.dy()}, attributes));
  return OkStatus();
}

Status Concat(Emitter& emit) {
  std::vector<std::string> inputs = {emit.dy()};
  inputs.insert(inputs.end(), emit.node().inputs.begin(), emit.node().inputs.end());
  emit.AddAll(emit.Own("ConcatGrad", inputs, emit.wanted()));
  return OkStatus();
}

// The parts that the loss does not depend on are zeros.
Status Split(Emitter& emit) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < emit.node().outputs.size(); ++i)
    parts.push_back(emit.dy(i).empty() ? emit.FillLike(emit.output(i), 0) : emit.dy(i));
  emit.Add(0, emit.Op("Concat", parts, {{"axis", emit.node().Int("axis", 0)}}));
  return OkStatus();
}

// dy back to where the elements came from (lib/ops/kernels/gradient_moves.cpp).
Status Move(Emitter& emit) {
  std::vector<std::string> inputs = {emit.dy()};
  inputs.insert(inputs.end(), emit.node().inputs.begin(), emit.node().inputs.end());
  emit.Add(0, emit.Own(StrCat(emit.node().op_type, "Grad"), inputs));
  return OkStatus();
}

// Data and updates.
Status Scatter(Emitter& emit) {
  const std::vector<std::string> gradients = emit.Own(
      StrCat(emit.node().op_type, "Grad"), {emit.dy(), emit.input(0), emit.input(1), emit.input(2)},
      {emit.wants(0), emit.wants(2)});
  if (emit.wants(0)) emit.Add(0, gradients[0]);
  if (emit.wants(2)) emit.Add(2, gradients[1]);
  return OkStatus();
}

std::string WhyNotScatter(const graph::Model&, const graph::Node& node) {
  return node.String("reduction", "none") == "none"
             ? ""
             : StrCat(node.op_type, " with a reduction has no gradient rule");
}

std::string WhyNotDropout(const graph::Model& model, const graph::Node& node) {
  return model.Opset() >= 12 && !node.input(2).empty() ? "Dropout may be in training mode" : "";
}

DType CastType(const graph::Node& node) { return static_cast<DType>(node.Int("to", 1)); }

// Integers and conditions, as those of Shape and Equal.
bool CastEnds(const graph::Node& node) { return !IsFloating(CastType(node)); }

std::string WhyNotCast(const graph::Model&, const graph::Node& node) {
  const DType to = CastType(node);
  return to == DType::kFloat || CastEnds(node)
             ? ""
             : StrCat("Cast to ", DTypeName(to), " has no gradient rule");
}

std::string WhyNotIndex(const graph::Model&, const graph::Node& node) {
  return StrCat("the result of ", node.op_type, " is an index, which has no gradient");
}

}  // namespace

std::vector<RuleRow> ShapeRules() {
  std::vector<RuleRow> rows = {
      {"ArgMax", "", kNone, nullptr, &WhyNotIndex},
      {"ArgMin", "", kNone, nullptr, &WhyNotIndex},
      {"Cast", "", kFirst, &Identity, &WhyNotCast, 1, &CastEnds},
      {"Concat", "", kAll, &Concat},
      {"Dropout", "", kFirst, &Identity, &WhyNotDropout},
      {"Expand", "", kFirst,
       [](Emitter& emit) {
         emit.Add(0, emit.SumTo(emit.dy(), emit.input(0)));
         return OkStatus();
       }},
      {"Identity", "", kFirst, &Identity},
      {"NonZero", "", kNone, nullptr, &WhyNotIndex},
      {"ScatterElements", "", Inputs{5}, &Scatter, &WhyNotScatter},
      {"ScatterND", "", Inputs{5}, &Scatter, &WhyNotScatter},
      {"Split", "", kFirst, &Split, nullptr, kAll},
      {"Transpose", "", kFirst, &Transpose},
  };
  for (const char* op : {"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
    rows.push_back({op, "", kFirst, &Reshape});
  for (const char* op : {"DepthToSpace", "Gather", "GatherElements", "GatherND", "Pad", "Resize",
                         "Slice", "SpaceToDepth", "Tile", "Trilu", "Upsample"})
    rows.push_back({op, "", kFirst, &Move});
  // Sizes and conditions: gradients need not pass.
  for (const char* op : {"And",
                         "Constant",
                         "ConstantOfShape",
                         "Equal",
                         "EyeLike",
                         "Greater",
                         "GreaterOrEqual",
                         "IsInf",
                         "IsNaN",
                         "Less",
                         "LessOrEqual",
                         "Not",
                         "OneHot",
                         "Or",
                         "RandomNormal",
                         "RandomNormalLike",
                         "RandomUniform",
                         "RandomUniformLike",
                         "Range",
                         "Shape",
                         "Sign",
                         "Size",
                         "Xor"})
    rows.push_back({op, "", kNone});
  for (const char* op : {"FillLike", "RandomMask"}) rows.push_back({op, "roundel", kNone});
  return rows;
}

}  // namespace roundel::grad
