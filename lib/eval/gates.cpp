#include "lib/eval/gates.h"

#include <cmath>

#include "lib/base/text.h"

namespace roundel::eval {
namespace {

using report::Gate;
using report::Verdict;

std::optional<Interval> Bootstrap(const UnitSums& units, uint64_t seed, bool positive) {
  return RatioInterval(units.numerators(), units.denominators(),
                       {.seed = seed, .positive = positive});
}

std::optional<Interval> Times(double factor, std::optional<Interval> interval) {
  if (interval) *interval = {factor * interval->low, factor * interval->high};
  return interval;
}

std::string BootstrapNote(const UnitSums& units, const char* what) {
  if (units.numerators().size() < kFewestUnits)
    return StrCat("no interval: ", units.samples(), " ", what, " are fewer than ", kFewestUnits);
  return StrCat("studentized bootstrap over ", units.samples(), " ", what);
}

class Judgement {
 public:
  Judgement(const GateLimits& limits, const Evaluation& evaluation)
      : limits_(limits), evaluation_(evaluation) {}

  Result<std::vector<Gate>> Run() {
    AddSqnr();
    RETURN_IF_ERROR(AddDrop());
    RETURN_IF_ERROR(AddTopOne());
    RETURN_IF_ERROR(AddAgreement());
    RETURN_IF_ERROR(AddLanguage());
    RETURN_IF_ERROR(AddTime());
    return std::move(gates_);
  }

 private:
  void Add(Gate gate, const std::optional<Interval>& interval, const std::string& what,
           const char* format) {
    if (interval) {
      gate.low = interval->low;
      gate.high = interval->high;
    }
    Judge(limits_.undecided, what, StrFormat(format, gate.limit), &gate);
    gates_.push_back(std::move(gate));
  }

  void AddSqnr() {
    if (!limits_.min_sqnr) return;
    for (const OutputResult& output : evaluation_.outputs)
      Add({.name = "min_sqnr " + output.name,
           .metric = "sqnr_db",
           .value = output.error.Sqnr(),
           .limit = *limits_.min_sqnr,
           .at_least = true,
           .note = BootstrapNote(output.error_units, "samples")},
          SqnrInterval(output, limits_.seed),
          StrFormat("output '%s' has an SQNR of %.2f dB", output.name.c_str(), output.error.Sqnr()),
          "%.2f dB");
  }

  Status AddDrop() {
    if (!limits_.max_drop) return OkStatus();
    if (evaluation_.class_output.empty() || evaluation_.second.samples == 0)
      return UsageError("the top-1 gate (max_drop) needs labels and a quantized model");
    const PairedHits& pairs = evaluation_.pairs;
    const double drop = evaluation_.first.Top1Percent() - evaluation_.second.Top1Percent();
    Add({.name = "max_drop",
         .metric = "top1_drop_points",
         .value = drop,
         .limit = *limits_.max_drop,
         .note = StrFormat("score interval of %lld samples, of which %lld are right with the first "
                           "model only and %lld with the second only; McNemar p = %.2g",
                           static_cast<long long>(pairs.rows), static_cast<long long>(pairs.lost),
                           static_cast<long long>(pairs.won), McNemarP(pairs.lost, pairs.won))},
        DropInterval(pairs), StrFormat("top-1 drops by %.2f points", drop), "%.2f");
    return OkStatus();
  }

  Status AddTopOne() {
    if (!limits_.min_top1) return OkStatus();
    const bool two = !evaluation_.outputs.empty();
    const quant::TopCounts& counts = two ? evaluation_.second : evaluation_.first;
    if (evaluation_.class_output.empty() || counts.samples == 0)
      return UsageError("the top-1 gate (min_top1) needs labels");
    Add({.name = "min_top1",
         .metric = "top1_percent",
         .value = counts.Top1Percent(),
         .limit = *limits_.min_top1,
         .at_least = true,
         .note = StrCat("exact binomial interval of ", counts.samples, " samples")},
        Times(100, ProportionInterval(counts.top1, counts.samples)),
        StrFormat("top-1 is %.2f %%", counts.Top1Percent()), "%.2f %%");
    return OkStatus();
  }

  Status AddAgreement() {
    if (!limits_.min_agreement) return OkStatus();
    const size_t before = gates_.size();
    for (const OutputResult& output : evaluation_.outputs) {
      if (output.rows == 0) continue;
      // Elements of a sample's integers are not independent; samples are.
      Add({.name = "min_agreement " + output.name,
           .metric = "agreement_percent",
           .value = output.AgreePercent(),
           .limit = *limits_.min_agreement,
           .at_least = true,
           .note = output.is_float ? StrCat("exact binomial interval of ", output.rows, " rows")
                                   : BootstrapNote(output.equal_units, "samples")},
          Times(100, output.is_float
                         ? std::optional<Interval>(ProportionInterval(output.agreeing, output.rows))
                         : Bootstrap(output.equal_units, limits_.seed, false)),
          StrFormat("output '%s' agrees on %.2f %% of the rows", output.name.c_str(),
                    output.AgreePercent()),
          "%.2f %%");
    }
    if (gates_.size() > before) return OkStatus();
    return UsageError(
        "the agreement gate (min_agreement) needs an output of class scores [N, classes] or of "
        "integers");
  }

  Status AddLanguage() {
    if (!limits_.max_perplexity_rise && !limits_.max_kl) return OkStatus();
    const TokenSums& sums = evaluation_.language;
    if (sums.tokens == 0)
      return UsageError(
          "the gates of perplexity and KL need --metric perplexity and a quantized model");
    if (limits_.max_perplexity_rise)
      Add({.name = "max_perplexity_rise",
           .metric = "perplexity_rise_percent",
           .value = sums.RisePercent(),
           .limit = *limits_.max_perplexity_rise,
           .note = BootstrapNote(sums.rise_units, "sequences")},
          PerplexityRiseInterval(sums, limits_.seed),
          StrFormat("perplexity rises by %.3f %%", sums.RisePercent()), "%.3f %%");
    if (limits_.max_kl)
      Add({.name = "max_kl",
           .metric = "kl_nats",
           .value = sums.MeanKl(),
           .limit = *limits_.max_kl,
           .note = BootstrapNote(sums.kl_units, "sequences")},
          KlInterval(sums, limits_.seed), StrFormat("the divergence is %.5f nats", sums.MeanKl()),
          "%.5f nats");
    return OkStatus();
  }

  Status AddTime() {
    if (!limits_.max_time_ratio) return OkStatus();
    const Seconds& seconds = evaluation_.seconds;
    if (!(seconds.first > 0))
      return UsageError("the gate of time (max_time_ratio) needs two models");
    Add({.name = "max_time_ratio",
         .metric = "time_ratio",
         .value = seconds.second / seconds.first,
         .limit = *limits_.max_time_ratio,
         .note = BootstrapNote(seconds.units, "batches")},
        Bootstrap(seconds.units, limits_.seed, true),
        StrFormat("the quantized model takes %.3f of the float model's time",
                  seconds.second / seconds.first),
        "%.3f");
    return OkStatus();
  }

  const GateLimits& limits_;
  const Evaluation& evaluation_;
  std::vector<Gate> gates_;
};

}  // namespace

void Judge(Undecided undecided, const std::string& what, const std::string& limit, Gate* gate) {
  const bool good = gate->good(gate->value);  // of a NaN: no
  gate->verdict = good ? Verdict::kPassed : Verdict::kFailed;
  const bool interval = gate->low && gate->high && !std::isnan(gate->value);
  if (interval && gate->good(*gate->low) != gate->good(*gate->high))
    gate->verdict = Verdict::kUndecided;
  gate->accepted = good;
  if (gate->verdict == Verdict::kUndecided && undecided != Undecided::kMeasured)
    gate->accepted = undecided == Undecided::kPass;
  const char* relation =
      gate->at_least ? (good ? "at least" : "less than") : (good ? "at most" : "more than");
  gate->message = StrCat(what, ", ", relation, " ", limit);
  if (gate->verdict == Verdict::kUndecided)
    gate->message += StrFormat(" (95 %% interval %.4g to %.4g: the samples cannot tell)",
                               *gate->low, *gate->high);
}

Result<std::vector<Gate>> JudgeGates(const GateLimits& limits, const Evaluation& evaluation) {
  return Judgement(limits, evaluation).Run();
}

Gate JudgeSize(const GateLimits& limits, int64_t bytes) {
  Gate gate{.name = "max_size",
            .metric = "bytes",
            .value = static_cast<double>(bytes),
            .limit = static_cast<double>(*limits.max_size)};
  Judge(limits.undecided, StrCat("the model has ", bytes, " bytes"), StrCat(*limits.max_size),
        &gate);
  return gate;
}

Status GateStatus(const std::vector<Gate>& gates) {
  std::string message;
  size_t failed = 0;
  for (const Gate& gate : gates) {
    if (gate.accepted) continue;
    if (failed++ == 0) message = "quality gate: " + gate.message;
  }
  if (failed == 0) return OkStatus();
  if (failed > 1) message += StrCat("; and ", failed - 1, " more of ", gates.size(), " gates");
  return {ErrorKind::kGate, message};
}

std::optional<Interval> SqnrInterval(const OutputResult& output, uint64_t seed) {
  const std::optional<Interval> ratio = Bootstrap(output.error_units, seed, true);
  if (!ratio) return std::nullopt;
  // The larger the error, the smaller the SQNR.
  return Interval{-10 * std::log10(ratio->high), -10 * std::log10(ratio->low)};
}

std::optional<Interval> DropInterval(const PairedHits& pairs) {
  if (pairs.rows == 0) return std::nullopt;
  return Times(100, PairedDropInterval(pairs.lost, pairs.won, pairs.rows));
}

std::optional<Interval> PerplexityRiseInterval(const TokenSums& sums, uint64_t seed) {
  const std::optional<Interval> nats = Bootstrap(sums.rise_units, seed, false);
  if (!nats) return std::nullopt;
  return Interval{100 * std::expm1(nats->low), 100 * std::expm1(nats->high)};
}

std::optional<Interval> KlInterval(const TokenSums& sums, uint64_t seed) {
  return Bootstrap(sums.kl_units, seed, true);
}

}  // namespace roundel::eval
