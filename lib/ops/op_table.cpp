// The op table: the rows of all kernel families in one sorted list.

#include <algorithm>
#include <cstring>

#include "lib/ops/kernels/kernels.h"
#include "lib/ops/op.h"

namespace roundel::engine {
namespace {

using Family = std::vector<OpEntry> (*)();

constexpr Family kFamilies[] = {
#define ROUNDEL_FAMILY(name) name##Rows,
#include "lib/ops/kernels/families.def"
#undef ROUNDEL_FAMILY
};

std::vector<OpEntry> CollectRows() {
  std::vector<OpEntry> rows;
  for (const Family family : kFamilies) {
    const std::vector<OpEntry> more = family();
    rows.insert(rows.end(), more.begin(), more.end());
  }
  std::sort(rows.begin(), rows.end(), [](const OpEntry& a, const OpEntry& b) {
    const int domain = std::strcmp(a.domain, b.domain), type = std::strcmp(a.op_type, b.op_type);
    return domain != 0 ? domain < 0 : type != 0 ? type < 0 : a.since < b.since;
  });
  return rows;
}

}  // namespace

const std::vector<OpEntry>& OpTable() {
  static const std::vector<OpEntry> table = CollectRows();
  return table;
}

const OpEntry* FindOp(const std::string& domain, const std::string& op_type, int64_t opset) {
  const std::vector<OpEntry>& table = OpTable();
  const auto before = [&](const OpEntry& row, int) {
    const int order = domain.compare(row.domain);
    return order != 0 ? order > 0 : op_type.compare(row.op_type) > 0;
  };
  for (auto row = std::lower_bound(table.begin(), table.end(), 0, before);
       row != table.end() && domain == row->domain && op_type == row->op_type; ++row)
    if (row->since <= opset && opset <= row->until) return &*row;
  return nullptr;
}

}  // namespace roundel::engine
