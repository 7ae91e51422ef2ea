#include "lib/io/table_summary.h"

#include <map>

namespace roundel::io {
namespace {

int CommonBits(const quant::EncodingTable& table, quant::Role role) {
  std::map<int, int> votes;
  for (const auto& [name, e] : table)
    if (e.role == role) ++votes[e.grid.bits];
  int best = 0;
  for (const auto& [bits, count] : votes)
    if (best == 0 || count > votes[best]) best = bits;
  return best;
}

}  // namespace

TableSummary Summarize(const quant::EncodingTable& table) {
  TableSummary summary{.activation_bits = CommonBits(table, quant::Role::kActivation),
                       .weight_bits = CommonBits(table, quant::Role::kWeight)};
  for (const auto& [name, e] : table) {
    if (e.role != quant::Role::kWeight) continue;
    summary.symmetric &= e.grid.symmetric;
    summary.per_channel |= e.granularity != quant::Granularity::kTensor;
  }
  return summary;
}

}  // namespace roundel::io
