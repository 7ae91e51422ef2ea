#pragma once
// A limit that a result has to keep, and whether it does.

#include <optional>
#include <string>
#include <vector>

namespace roundel::report {

// undecided: the confidence interval holds the limit, so that the samples cannot tell.
enum class Verdict { kPassed, kFailed, kUndecided };
const char* VerdictName(Verdict verdict);

struct Gate {
  std::string name;    // of the limit, and of the output if each has its own: "min_sqnr logits"
  std::string metric;  // with its unit: "sqnr_db", "top1_drop_points"
  double value = 0;    // measured
  double limit = 0;
  bool at_least = false;            // the limit is the least value, else the largest
  std::optional<double> low, high;  // confidence interval of the value
  Verdict verdict = Verdict::kPassed;
  bool accepted = true;  // what the verdict means for the exit code: --undecided
  std::string note;      // how the interval was computed, or why there is none
  std::string message;   // "output 'y' has an SQNR of 3.01 dB, less than 10.00 dB"

  bool good(double x) const { return at_least ? x >= limit : x <= limit; }
};

// The verdict, and what an undecided one counts as.
std::string VerdictText(const Gate& gate);
// Header and one row per gate, for TextTable.
std::vector<std::vector<std::string>> GateTable(const std::vector<Gate>& gates);

}  // namespace roundel::report
