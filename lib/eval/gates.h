#pragma once
// Limits on the quality of a quantized model, and their verdicts.

#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/eval/evaluation.h"
#include "lib/eval/intervals.h"
#include "lib/report/gate.h"

namespace roundel::eval {

// What the exit code says if the interval holds the limit: what the measured value says, or always
// the same.
enum class Undecided { kMeasured, kPass, kFail };

// No value: no gate. Except for min_top1 of a single model and max_size, they compare two models.
struct GateLimits {
  std::optional<double> min_sqnr;             // dB, of every output of floats
  std::optional<double> max_drop;             // percentage points of top-1
  std::optional<double> min_top1;             // percent, of the last model
  std::optional<double> min_agreement;        // percent, of every output that has one
  std::optional<double> max_perplexity_rise;  // percent
  std::optional<double> max_kl;               // nats
  std::optional<double> max_time_ratio;       // of the last model's time to the first's
  std::optional<int64_t> max_size;            // bytes of the last model
  Undecided undecided = Undecided::kMeasured;
  uint64_t seed = 0;  // of the bootstrap

  bool compares() const {
    return min_sqnr || max_drop || min_agreement || max_perplexity_rise || max_kl || max_time_ratio;
  }
  bool measures() const { return compares() || min_top1; }  // needs data
  bool any() const { return measures() || max_size; }
};

// Verdict, acceptance and message of a gate whose other fields are set. `what`: the value in words,
// such as "top-1 drops by 1.20 points"; `limit`: "1.00".
void Judge(Undecided undecided, const std::string& what, const std::string& limit,
           report::Gate* gate);

// A gate for each limit that needs data. Errors: kUsage if the evaluation lacks what a limit is
// about, such as labels.
Result<std::vector<report::Gate>> JudgeGates(const GateLimits& limits,
                                             const Evaluation& evaluation);
// The gate of max_size.
report::Gate JudgeSize(const GateLimits& limits, int64_t bytes);

// Errors: kGate, with the first gate that is not accepted and the number of others.
Status GateStatus(const std::vector<report::Gate>& gates);

// Intervals of what an evaluation measured; nullopt with too few samples.
std::optional<Interval> SqnrInterval(const OutputResult& output, uint64_t seed);
std::optional<Interval> DropInterval(const PairedHits& pairs);  // percentage points
std::optional<Interval> PerplexityRiseInterval(const TokenSums& sums, uint64_t seed);  // percent
std::optional<Interval> KlInterval(const TokenSums& sums, uint64_t seed);

}  // namespace roundel::eval
