#include "lib/grad/rules.h"

#include <algorithm>
#include <cstring>

namespace roundel::grad {
namespace {

using Family = std::vector<RuleRow> (*)();

constexpr Family kFamilies[] = {
#define ROUNDEL_GRADIENTS(name) name##Rules,
#include "lib/grad/rules.def"
#undef ROUNDEL_GRADIENTS
};

std::vector<RuleRow> CollectRules() {
  std::vector<RuleRow> rows;
  for (const Family family : kFamilies) {
    const std::vector<RuleRow> more = family();
    rows.insert(rows.end(), more.begin(), more.end());
  }
  std::sort(rows.begin(), rows.end(), [](const RuleRow& a, const RuleRow& b) {
    const int type = std::strcmp(a.op_type, b.op_type);
    return type != 0 ? type < 0 : std::strcmp(a.domain, b.domain) < 0;
  });
  return rows;
}

}  // namespace

const std::vector<RuleRow>& RuleTable() {
  static const std::vector<RuleRow> table = CollectRules();
  return table;
}

const RuleRow* FindRule(const graph::Node& node) {
  const std::vector<RuleRow>& table = RuleTable();
  auto row = std::lower_bound(table.begin(), table.end(), node.op_type,
                              [](const RuleRow& a, const std::string& b) { return a.op_type < b; });
  for (; row != table.end() && node.op_type == row->op_type; ++row)
    if (node.domain == row->domain) return &*row;
  return nullptr;
}

}  // namespace roundel::grad
