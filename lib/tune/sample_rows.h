#pragma once
// Which values of a block have a row for each sample.

#include <string>
#include <vector>

#include "lib/walk/streams.h"

namespace roundel::tune {

// Whether axis 0 of the value counts the samples, in every batch.
bool HasRows(const std::vector<walk::StoredValuePtr>& value, const std::vector<int64_t>& sizes);

// Whether the part computes each sample by itself. Inputs without rows (positions, masks) must be the
// same in all batches: a block then reads them whole for any number of samples. Errors: those of
// reading them.
Result<bool> SamplesApart(const graph::Model& model, const walk::Stretches::Part& part,
                          const walk::Streams& streams);

}  // namespace roundel::tune
