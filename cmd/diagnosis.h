#pragma once
// Diagnosis of a large error: the nodes that cause it and should stay float, found by simulation
// without new calibration.

#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "passes/pass.h"

namespace roundel::cmd {

// A node at which the error grows.
struct Suspect {
  std::string name, op_type;     // the name as `exclude` accepts it
  double before = 0, after = 0;  // SQNR in dB of its worst input and of its output
};

struct Diagnosis {
  std::vector<Suspect> suspects;       // largest loss first
  std::vector<std::string> exclude;    // smallest set that helps; empty: none does
  double sqnr = 0;                     // dB of the worst output with these in float
  std::optional<double> weights_only;  // the same with all activations in float, if none help
};

// Finds the nodes that cause the low SQNR of `outputs` (names of graph outputs). Runs the float
// model and its simulation on the first samples: once with a tap on every value, then once for each
// tried set of nodes. A set helps if the worst output then reaches `min_sqnr` dB.
Result<Diagnosis> Diagnose(const Session& session, const std::vector<std::string>& outputs,
                           double min_sqnr);

}  // namespace roundel::cmd
