#pragma once
// Conversion of elements from the type of a file to the type of the model.

#include <cstdint>

#include "lib/base/status.h"
#include "lib/tensor/dtype.h"

namespace roundel::data {

// Whether elements of `from` can be fed as `to` at all: integers (and bool) to anything, floats to
// floats.
bool CanConvert(DType from, DType to);

// Integers must keep their value exactly; floats are rounded to nearest. Requires CanConvert.
// Errors: kData, with the first element, for a value that does not fit and for NaN.
Status ConvertElements(DType from_type, const void* from, int64_t count, DType to_type, void* to);

}  // namespace roundel::data
