// Operators without a rule that deserve a better reason than that: they bound a block.

#include "lib/base/text.h"
#include "lib/grad/rules.h"

namespace roundel::grad {
namespace {

std::string Recurrent(const graph::Model&, const graph::Node& node) {
  return StrCat(node.op_type, " is recurrent: gradients do not pass through its steps");
}

std::string WithBodies(const graph::Model&, const graph::Node& node) {
  return StrCat(node.op_type, " runs sub-graphs: gradients do not pass through them");
}

std::string OnCodes(const graph::Model&, const graph::Node& node) {
  return StrCat(node.op_type, " computes on codes, which have no gradient");
}

}  // namespace

std::vector<RuleRow> FrozenRules() {
  std::vector<RuleRow> rows;
  for (const char* op : {"GRU", "LSTM", "RNN"}) rows.push_back({op, "", kAll, nullptr, &Recurrent});
  for (const char* op : {"If", "Loop", "Scan", "SequenceMap"})
    rows.push_back({op, "", kAll, nullptr, &WithBodies});
  for (const char* op : {"ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear",
                         "MatMulInteger", "QLinearConv", "QLinearMatMul", "QuantizeLinear"})
    rows.push_back({op, "", kAll, nullptr, &OnCodes});
  return rows;
}

}  // namespace roundel::grad
