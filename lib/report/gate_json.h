#pragma once
// Gates as JSON; apart from gate.h because of the JSON library.

#include <nlohmann/json.hpp>

#include "lib/report/gate.h"

namespace roundel::report {

// An array of objects with the keys of schemas/report-1.json. Numbers that are not finite become
// null.
nlohmann::ordered_json GatesJson(const std::vector<Gate>& gates);
// The gates of such an array; what is absent or of another type is left at its default.
std::vector<Gate> GatesFromJson(const nlohmann::ordered_json& list);

}  // namespace roundel::report
