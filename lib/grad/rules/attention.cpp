// Attention operators and rotary embedding.

#include "lib/base/text.h"
#include "lib/grad/rules.h"

namespace roundel::grad {
namespace {

constexpr const char* kContrib = "com.microsoft";

// Queries, keys, values, and the bias of MultiHeadAttention, from one kernel. Masks and caches are
// constants.
Status Attention(Emitter& emit) {
  std::vector<std::string> inputs = {emit.dy()};
  inputs.insert(inputs.end(), emit.node().inputs.begin(), emit.node().inputs.end());
  std::vector<bool> wanted;
  for (size_t i = 0; i < 4; ++i) wanted.push_back(emit.wants(i));
  emit.AddAll(emit.Own(StrCat(emit.node().op_type, "Grad"), inputs, wanted));
  return OkStatus();
}

// Inputs x, weights, bias, mask_index, past, attention_bias: the projection x W + bias is computed
// again, and its gradient is that of a linear layer.
Status ProjectedAttention(Emitter& emit) {
  const std::string &x = emit.input(0), &w = emit.input(1), &bias = emit.input(2);
  std::string projected = emit.Op("FusedMatMul", {x, w}, {}, kContrib);
  if (!bias.empty()) projected = emit.Op("Add", {projected, bias});
  const std::string d = emit.Own("ProjectedAttentionGrad", {emit.dy(), projected, emit.input(3),
                                                            emit.input(4), emit.input(5)});
  if (emit.wants(0))
    emit.Add(0, emit.Op("FusedMatMul", {d, w}, {{"transB", int64_t{1}}}, kContrib));
  if (emit.wants(1)) {
    const std::string rows = emit.Op("FlattenRows", {x}, {}, "roundel");
    const std::string d_rows = emit.Op("FlattenRows", {d}, {}, "roundel");
    emit.Add(1, emit.Op("FusedMatMul", {rows, d_rows}, {{"transA", int64_t{1}}}, kContrib));
  }
  if (emit.wants(2)) emit.Add(2, emit.SumTo(d, bias));
  return OkStatus();
}

// The rotation by the negative angle.
Status Rotary(Emitter& emit) {
  const graph::Node& node = emit.node();
  const size_t sin = node.domain.empty() ? 2 : 3;
  std::vector<std::string> inputs = node.inputs;
  inputs[0] = emit.dy();
  inputs[sin] = emit.Op("Neg", {inputs[sin]});
  Emitter::Attributes attributes;
  for (const graph::Attribute& attribute : node.attributes)
    attributes.emplace_back(attribute.name, attribute.value);
  emit.Add(0, emit.Op(node.op_type, inputs, attributes, node.domain));
  return OkStatus();
}

}  // namespace

std::vector<RuleRow> AttentionRules() {
  constexpr Inputs kWithBias = 15;
  return {
      {"Attention", "", kFirstThree, &Attention},
      {"Attention", kContrib, kFirstThree, &ProjectedAttention},
      {"GroupQueryAttention", kContrib, kFirstThree, &Attention},
      {"MultiHeadAttention", kContrib, kWithBias, &Attention},
      {"RotaryEmbedding", "", kFirst, &Rotary},
      {"RotaryEmbedding", kContrib, kFirst, &Rotary},
  };
}

}  // namespace roundel::grad
