#pragma once
// One maker per method; the table of lib/quant/observers.cpp is the only user.

#include <memory>

#include "lib/quant/observers.h"

namespace roundel::quant {

std::unique_ptr<Observer> MakeMinMax(const ObserverOptions& options);
std::unique_ptr<Observer> MakePercentile(const ObserverOptions& options);

}  // namespace roundel::quant
