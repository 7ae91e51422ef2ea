#include "lib/report/gate.h"

#include "lib/base/text.h"

namespace roundel::report {

const char* VerdictName(Verdict verdict) {
  return verdict == Verdict::kPassed   ? "passed"
         : verdict == Verdict::kFailed ? "failed"
                                       : "undecided";
}

std::string VerdictText(const Gate& gate) {
  if (gate.verdict != Verdict::kUndecided) return VerdictName(gate.verdict);
  return gate.accepted ? "undecided, counts as passed" : "undecided, counts as failed";
}

std::vector<std::vector<std::string>> GateTable(const std::vector<Gate>& gates) {
  std::vector<std::vector<std::string>> rows = {
      {"gate", "value", "limit", "95 % interval", "verdict"}};
  for (const Gate& gate : gates) {
    rows.push_back({Printable(gate.name), StrFormat("%.4g", gate.value),
                    StrFormat(gate.at_least ? ">= %.4g" : "<= %.4g", gate.limit),
                    gate.low && gate.high ? StrFormat("%.4g to %.4g", *gate.low, *gate.high) : "-",
                    VerdictText(gate)});
  }
  return rows;
}

}  // namespace roundel::report
