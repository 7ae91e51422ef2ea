#pragma once
// One factory per method of methods.def. Only the table in lib/quant/observers.cpp and the method
// auto, which chooses among the others, use them.

#include <memory>

#include "lib/quant/observers.h"

namespace roundel::quant {

#define ROUNDEL_METHOD(name, make, weights_only) \
  std::unique_ptr<Observer> make(const MethodOptions& options);
#include "lib/quant/observers/methods.def"
#undef ROUNDEL_METHOD

}  // namespace roundel::quant
