#pragma once
// Why a quantized model is far from its float model, and which nodes should stay float: found by
// simulation, without calibrating again.

#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "passes/pass.h"

namespace roundel::cmd {

// A node at which the error grows.
struct Suspect {
  std::string name, op_type;     // as `exclude` takes the name
  double before = 0, after = 0;  // SQNR in dB of its worst input and of its output
};

struct Diagnosis {
  std::vector<Suspect> suspects;       // largest loss first
  std::vector<std::string> exclude;    // the fewest of them that help; empty: none do
  double sqnr = 0;                     // dB of the worst output with these in float
  std::optional<double> weights_only;  // the same with all activations in float, if none help
};

// Looks for the nodes to blame for the SQNR of `outputs` (names of graph outputs). Runs the float
// model and its simulation on the first samples: once with a tap on every value, then once for
// every set of nodes tried. A set helps if it lifts the worst output to `min_sqnr` dB.
Result<Diagnosis> Diagnose(const Session& session, const std::vector<std::string>& outputs,
                           double min_sqnr);

}  // namespace roundel::cmd
