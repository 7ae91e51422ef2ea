#pragma once
// What most of a table's encodings have in common.

#include "lib/quant/encodings.h"

namespace roundel::io {

struct TableSummary {
  // The width that most encodings of the role have; the smaller one of equals, 0 if there are none.
  int activation_bits = 0, weight_bits = 0;
  bool symmetric = true;     // all weights
  bool per_channel = false;  // some weight, or in blocks
};

TableSummary Summarize(const quant::EncodingTable& table);

}  // namespace roundel::io
