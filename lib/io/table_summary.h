#pragma once
// A summary of the encodings of a table.

#include "lib/quant/encodings.h"

namespace roundel::io {

struct TableSummary {
  // The most frequent width of the role's encodings; the smaller of equals, 0 if there are none.
  int activation_bits = 0, weight_bits = 0;
  bool symmetric = true;     // all weights
  bool per_channel = false;  // some weight, or in blocks
};

TableSummary Summarize(const quant::EncodingTable& table);

}  // namespace roundel::io
