#pragma once
// Time that only moves forward, and how it is written.

#include <string>

namespace roundel {

double SteadySeconds();                 // since some moment; only differences have a meaning
std::string ClockText(double seconds);  // "4:10", "1:02:03"

}  // namespace roundel
