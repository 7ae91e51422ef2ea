#pragma once
// The families of plain kernels. Each function returns the op table rows of one file; op_table.cpp
// joins them.

#include <vector>

#include "lib/ops/op.h"

namespace roundel::engine {

#define ROUNDEL_FAMILY(name) std::vector<OpEntry> name##Rows();
#include "lib/ops/kernels/families.def"
#undef ROUNDEL_FAMILY

}  // namespace roundel::engine
