#pragma once
// Texts of violations.

#include <set>
#include <string>
#include <vector>

#include "lib/base/text.h"

namespace roundel::target {

inline std::string ListText(const std::set<std::string>& names) {
  return Join(std::vector<std::string>(names.begin(), names.end()));
}

inline std::string Named(const std::string& value) {
  return StrCat("tensor '", Printable(value), "'");
}

}  // namespace roundel::target
