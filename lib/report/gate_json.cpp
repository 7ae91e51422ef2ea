#include "lib/report/gate_json.h"

#include <cmath>

#include "lib/base/text.h"
#include "lib/report/html_parts.h"

namespace roundel::report {

nlohmann::ordered_json GatesJson(const std::vector<Gate>& gates) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Gate& gate : gates) {
    nlohmann::ordered_json json = {
        {"name", gate.name}, {"metric", gate.metric}, {"value", gate.value}, {"limit", gate.limit}};
    if (gate.low) json["low"] = *gate.low;
    if (gate.high) json["high"] = *gate.high;
    json["verdict"] = VerdictName(gate.verdict);
    json["accepted"] = gate.accepted;
    json["note"] = gate.note;
    list.push_back(std::move(json));
  }
  return list;
}

std::vector<Gate> GatesFromJson(const nlohmann::ordered_json& list) {
  using html::At, html::Items, html::Number, html::Text;
  std::vector<Gate> gates;
  for (const auto& json : Items(list)) {
    Gate gate = {.name = Text(At(json, "name")),
                 .metric = Text(At(json, "metric")),
                 .value = Number(At(json, "value")).value_or(NAN),
                 .limit = Number(At(json, "limit")).value_or(NAN),
                 .low = Number(At(json, "low")),
                 .high = Number(At(json, "high")),
                 .accepted = At(json, "accepted") != false,
                 .note = Text(At(json, "note"))};
    const std::string verdict = Text(At(json, "verdict"));
    for (const Verdict known : {Verdict::kPassed, Verdict::kFailed, Verdict::kUndecided})
      if (verdict == VerdictName(known)) gate.verdict = known;
    gate.message = StrCat(gate.metric, " ", gate.value, ", limit ", gate.limit);
    gates.push_back(std::move(gate));
  }
  return gates;
}

}  // namespace roundel::report
