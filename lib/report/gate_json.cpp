#include "lib/report/gate_json.h"

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

}  // namespace roundel::report
