// Float graph + encodings -> QDQ:
//
//    from   x -> Conv(w, b) -> Relu -> y
//    to     x -> Q -> DQ -> Conv(DQ(w_quantized), DQ(b_quantized)) -> Q -> DQ -> y
//
// Names are those of ONNX Runtime's quantizer. 16-bit floats have no codes: a pair of Casts
// replaces Q and DQ. Scales that are codes (NVFP4) have a separate DequantizeLinear. The float
// graph is rebuilt node by node. Its inputs and outputs keep name, shape and type.

#include <algorithm>
#include <cstdint>

#include "lib/targets/export_check.h"
#include "lib/targets/export_nodes.h"
#include "lib/targets/exporting.h"
#include "lib/targets/formats.h"
#include "lib/targets/op_facts.h"
#include "lib/targets/qdq.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Model;
using graph::Node;
using quant::Encoding;
using quant::Role;

// Whether the grid clamps to [low, high] without the clamp.
bool ClampsAlike(const Encoding& e, const Clamp& clamp) {
  if (!e.grid.is_uniform()) return false;
  return std::all_of(e.params.begin(), e.params.end(), [&](const quant::QParams& p) {
    const int32_t qmin = e.grid.qmin(), qmax = e.grid.qmax();
    return quant::Quantize(clamp.low, p, qmin, qmax) == qmin &&
           quant::Quantize(clamp.high, p, qmin, qmax) == qmax;
  });
}

// Removes clamps before a quantizer that clamps in the same way: the producer writes their output.
void FindAbsorbed(Exporting& s) {
  for (const auto& [value, e] : s.table) {
    for (const Node* node = s.g.Producer(value); node;) {
      const auto clamp = FindClamp(s.g, *node);
      const std::string& input = node->input(MinDataInput(s.g, *node).value_or(0));
      const Node* before = s.g.Producer(input);
      // A quantizer of the input on the same grid clamps it already.
      const auto own = s.table.find(input);
      const bool free =
          own == s.table.end() || (own->second.grid == e.grid && own->second.params == e.params);
      const bool alone = before && s.g.OnlyConsumer(input) == node && free && !s.g.IsInput(input);
      if (!clamp || !alone || !ClampsAlike(e, *clamp)) break;
      s.dropped.insert(node);
      s.absorbed_into[input] = value;
      node = before;
    }
  }
}

void NameValues(Exporting& s) {
  for (const auto& [value, e] : s.table) {
    if (!s.IsUsed(value)) continue;
    if (s.g.Constant(value)) {
      if (e.role == Role::kBias && !s.g.IsOutput(value)) continue;  // DQ writes the old name
      s.reads[value] = s.names.Fresh(value + kDequantizeOutputSuffix);
    } else if (s.g.IsOutput(value) && !s.g.IsInput(value)) {
      s.writes[value] = s.names.Fresh(value + kQuantizeInputSuffix);
    } else {
      s.reads[value] = s.names.Fresh(value + kDequantizeOutputSuffix);
    }
  }
}

// Each weight is dequantized before its first reader.
void OrderConstants(Exporting& s) {
  std::unordered_map<const Node*, size_t> order;
  for (const auto& node : s.g.nodes()) order.emplace(node.get(), order.size());
  for (const auto& [value, e] : s.table) {
    const std::vector<graph::Use>& uses = s.g.Uses(value);
    if (!s.g.Constant(value) || uses.empty()) continue;
    const auto first = std::min_element(
        uses.begin(), uses.end(),
        [&](const auto& a, const auto& b) { return order.at(a.node) < order.at(b.node); });
    s.constants_before[first->node].push_back(value);
  }
}

void CopyNode(Exporting& s, const Node& node) {
  for (const std::string& value : s.constants_before[&node]) AddConstant(s, value);
  if (s.dropped.contains(&node)) return;
  if (node.Is("Constant") && s.IsReplacedConstant(node.output(0))) return;
  Node copy = node;
  RenameReads(s.reads, &copy);
  for (std::string& output : copy.outputs)
    if (!output.empty()) output = s.WriteName(output);
  s.out->AddNode(std::move(copy));
  for (const std::string& output : node.outputs) AddPair(s, s.Target(output));
}

std::shared_ptr<Graph> AddQuantizers(const Graph& g, const quant::EncodingTable& table,
                                     const QdqOptions& options, const TypeChoice& types) {
  Exporting s{.g = g,
              .table = table,
              .options = options,
              .domain = types.contrib ? kContribDomain : "",
              .least_bits = types.least_bits};
  if (options.absorb_relu) FindAbsorbed(s);
  NameValues(s);
  OrderConstants(s);
  for (const auto& initializer : g.initializers())
    if (!s.IsReplacedConstant(initializer.name)) s.out->AddInitializer(initializer);
  for (const auto& input : g.inputs) AddPair(s, input.name);
  for (const auto& node : g.nodes()) CopyNode(s, *node);
  CopyValueInfo(g, s.out.get());
  RemoveUnusedConstants(s.out.get());
  return s.out;
}

}  // namespace

Result<Model> ExportQdq(const Model& model, const quant::EncodingTable& encodings,
                        const QdqOptions& options) {
  RETURN_IF_ERROR(CheckExportable(model, encodings));
  Model out = graph::Clone(model);
  ASSIGN_OR_RETURN(const TypeChoice types, RaiseForTable(encodings, options, &out));
  out.graph = AddQuantizers(*out.graph, encodings, options, types);
  // IR 4 is the first whose initializers need not be inputs, 10 the first with 4-bit types.
  constexpr int64_t kIrInitializers = 4, kIrFourBits = 10;
  out.ir_version = std::max(out.ir_version, kIrInitializers);
  if (types.contrib) {
    out.SetOpset(kContribDomain, std::max<int64_t>(1, out.Opset(kContribDomain)));
    for (const auto& [name, e] : encodings)
      if (BitWidth(e.grid.storage_type()) <= 4)
        out.ir_version = std::max(out.ir_version, kIrFourBits);
  }
  out.SetMetadata("roundel.format", qdq_format().title);
  return out;
}

Format qdq_format() {
  return {.title = "QDQ",
          .has = [](const Node& node) { return IsQuantizeNode(node) || IsDequantizeNode(node); }};
}

}  // namespace roundel::target
