// Layers whose input is quantized at run time:
//
//    x -> DynamicQuantizeLinear -> MatMulInteger(w) -> Cast -> * (s_x * s_w) -> + bias -> y
//
// and ConvInteger likewise. Scales of weights per output channel are applied after the integer sum.
// Gemm becomes MatMulInteger, over transposed codes if it has transB.

#include "lib/targets/dynamic_operators.h"
#include "lib/targets/dynamic_product.h"
#include "lib/targets/export.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Node;

// Whether the node is such a layer and has been written.
bool WriteLayer(DynamicWriting& s, const Node& node) {
  if (!s.layers.contains(MainOutput(node))) return false;
  if (node.Is("LSTM")) return WriteLstm(s, node);
  if (node.Is("Attention", kContribDomain)) return WriteAttention(s, node);
  return WriteProductLayer(s, node);
}

}  // namespace

void WriteDynamic(const std::vector<std::string>& layers, graph::Model* model,
                  quant::EncodingTable* table) {
  if (layers.empty()) return;
  DynamicWriting s{.layers = {layers.begin(), layers.end()}, .model = *model, .table = *table};
  for (const auto& initializer : s.g.initializers()) s.made->AddInitializer(initializer);
  for (const auto& node : s.g.nodes())
    if (!WriteLayer(s, *node)) s.made->AddNode(Node(*node));
  CopyValueInfo(s.g, s.made.get());
  RemoveUnusedConstants(s.made.get());
  // A weight that other nodes read as floats keeps its encoding.
  std::erase_if(*table, [&](const auto& entry) {
    return s.written.contains(entry.first) && !s.made->Constant(entry.first);
  });
  model->graph = s.made;
}

}  // namespace roundel::target
