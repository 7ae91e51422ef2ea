#include "lib/eval/gates.h"

#include <cmath>

#include "tests/support/catch.h"

using namespace roundel;
using namespace roundel::eval;
using report::Verdict;

namespace {

// Two models on n samples of which the second loses and wins some.
Evaluation Classified(int64_t n, int64_t right, int64_t lost, int64_t won) {
  Evaluation e;
  e.samples = n;
  e.class_output = std::string("y");
  e.first = {.samples = n, .top1 = right, .top5 = n};
  e.second = {.samples = n, .top1 = right - lost + won, .top5 = n};
  e.pairs = {.rows = n, .lost = lost, .won = won};
  e.outputs.push_back({.name = "y", .is_float = true, .rows = n, .agreeing = n - lost - won});
  return e;
}

report::Gate Only(const GateLimits& limits, const Evaluation& evaluation) {
  const auto gates = JudgeGates(limits, evaluation);
  REQUIRE(gates.ok());
  REQUIRE(gates->size() == 1);
  return gates->front();
}

}  // namespace

TEST_CASE("a drop is decided where its interval lies on one side of the limit") {
  const Evaluation e = Classified(1000, 900, 30, 10);  // 2 points, Tango: about 0.8 to 3.4
  const report::Gate wide = Only({.max_drop = 5.0}, e);
  CHECK(wide.verdict == Verdict::kPassed);
  CHECK(wide.value == Approx(2.0));
  CHECK(*wide.low > 0.5);
  CHECK(*wide.low < 1);
  CHECK(*wide.high > 3);
  CHECK(*wide.high < 4);
  const report::Gate narrow = Only({.max_drop = 0.5}, e);
  CHECK(narrow.verdict == Verdict::kFailed);
  CHECK_FALSE(narrow.accepted);
  CHECK(narrow.message == "top-1 drops by 2.00 points, more than 0.50");
  const report::Gate between = Only({.max_drop = 2.5}, e);
  CHECK(between.verdict == Verdict::kUndecided);
  CHECK(between.message.find("top-1 drops by 2.00 points, at most 2.50 (95 % interval ") == 0);
  CHECK(between.message.find("the samples cannot tell)") != std::string::npos);
}

TEST_CASE("an undecided gate counts as its measured value does, or as the user says") {
  const Evaluation e = Classified(1000, 900, 30, 10);
  const auto accepted = [&](double limit, Undecided undecided) {
    return Only({.max_drop = limit, .undecided = undecided}, e).accepted;
  };
  CHECK(accepted(2.5, Undecided::kMeasured));
  CHECK_FALSE(accepted(1.5, Undecided::kMeasured));
  CHECK(accepted(1.5, Undecided::kPass));
  CHECK_FALSE(accepted(2.5, Undecided::kFail));
  // Where the interval is clear, the choice changes nothing.
  CHECK_FALSE(accepted(0.1, Undecided::kPass));
  CHECK(accepted(9, Undecided::kFail));
}

TEST_CASE("top-1 and agreement have exact intervals") {
  const Evaluation e = Classified(100, 12, 4, 2);
  const report::Gate top1 = Only({.min_top1 = 20.0}, e);  // 10 of 100: 4.90 % to 17.62 %
  CHECK(top1.value == Approx(10.0));
  CHECK(*top1.low == Approx(4.90).epsilon(1e-3));
  CHECK(*top1.high == Approx(17.62).epsilon(1e-3));
  CHECK(top1.verdict == Verdict::kFailed);
  const report::Gate agree = Only({.min_agreement = 90.0}, e);  // 94 of 100: 87.40 % to 97.77 %
  CHECK(agree.name == "min_agreement y");
  CHECK(agree.value == Approx(94.0));
  CHECK(*agree.low == Approx(87.40).epsilon(1e-3));
  CHECK(*agree.high == Approx(97.77).epsilon(1e-3));
  CHECK(agree.verdict == Verdict::kUndecided);
  CHECK(agree.accepted);
  // One model alone has a top-1, too.
  Evaluation alone = e;
  alone.outputs.clear();
  CHECK(Only({.min_top1 = 5.0}, alone).value == Approx(12.0));
}

TEST_CASE("SQNR has an interval with eight samples or more, upside down") {
  Evaluation e;
  OutputResult output{.name = "y"};
  double error = 0, reference = 0;
  for (int i = 0; i < 20; ++i) {
    const float r = 1.0f + 0.1f * static_cast<float>(i % 3),
                o = r + 0.01f * static_cast<float>(1 + i % 5);
    output.error.Add({&r, 1}, {&o, 1});
    const double d = static_cast<double>(r) - static_cast<double>(o);
    output.error_units.Add(d * d, static_cast<double>(r) * r);
    error += d * d;
    reference += static_cast<double>(r) * r;
  }
  e.outputs.push_back(output);
  const report::Gate gate = Only({.min_sqnr = 10.0}, e);
  CHECK(gate.value == Approx(10 * std::log10(reference / error)));
  CHECK(*gate.low < gate.value);
  CHECK(*gate.high > gate.value);
  CHECK(gate.verdict == Verdict::kPassed);
  CHECK(Only({.min_sqnr = gate.value + 0.01}, e).verdict == Verdict::kUndecided);
  CHECK(Only({.min_sqnr = *gate.high + 0.01}, e).verdict == Verdict::kFailed);
  // Few samples: by the value alone.
  Evaluation few;
  few.outputs.push_back({.name = "y"});
  few.outputs[0].error = output.error;
  few.outputs[0].error_units.Add(error, reference);
  const report::Gate plain = Only({.min_sqnr = gate.value + 0.01}, few);
  CHECK(plain.verdict == Verdict::kFailed);
  CHECK_FALSE(plain.low.has_value());
  CHECK(plain.note == "no interval: 1 samples are fewer than 8");
  // No finite output.
  Evaluation none;
  none.outputs.push_back({.name = "y"});
  CHECK(Only({.min_sqnr = 1.0}, none).verdict == Verdict::kFailed);
}

TEST_CASE("perplexity and KL are judged by their sums over sequences") {
  Evaluation e;
  for (int i = 0; i < 12; ++i) {
    const double tokens = 10 + i, rise = 0.01 * (i % 4), kl = 0.002 * (1 + i % 3);
    e.language.tokens += 10 + i;
    e.language.cross_entropy += 2 * tokens;
    e.language.second_cross_entropy += (2 + rise) * tokens;
    e.language.kl += kl * tokens;
    e.language.rise_units.Add(rise * tokens, tokens);
    e.language.kl_units.Add(kl * tokens, tokens);
  }
  const double rise = (e.language.second_cross_entropy - e.language.cross_entropy) /
                      static_cast<double>(e.language.tokens);
  const report::Gate gate = Only({.max_perplexity_rise = 5.0}, e);
  CHECK(gate.value == Approx(100 * (std::exp(rise) - 1)));
  CHECK(*gate.low < gate.value);
  CHECK(*gate.high > gate.value);
  CHECK(gate.verdict == Verdict::kPassed);
  CHECK(Only({.max_perplexity_rise = 0.1}, e).verdict == Verdict::kFailed);
  CHECK(Only({.max_kl = 0.0041}, e).verdict == Verdict::kUndecided);
  CHECK(Only({.max_kl = 0.001}, e).verdict == Verdict::kFailed);
}

TEST_CASE("a gate without what it is about is a usage error") {
  const Evaluation nothing;
  for (const GateLimits& limits :
       {GateLimits{.max_drop = 1.0}, GateLimits{.min_top1 = 1.0}, GateLimits{.min_agreement = 1.0},
        GateLimits{.max_kl = 1.0}, GateLimits{.max_perplexity_rise = 1.0},
        GateLimits{.max_time_ratio = 1.0}}) {
    const auto gates = JudgeGates(limits, nothing);
    REQUIRE_FALSE(gates.ok());
    CHECK(gates.status().kind() == ErrorKind::kUsage);
  }
}

TEST_CASE("the status names the first gate that failed, and how many others did") {
  const Evaluation e = Classified(1000, 900, 30, 10);
  GateLimits limits{.max_drop = 0.1, .min_top1 = 99.0, .min_agreement = 10.0};
  auto gates = *JudgeGates(limits, e);
  limits.max_size = 1000;
  gates.push_back(JudgeSize(limits, 1001));
  const Status status = GateStatus(gates);
  CHECK(status.kind() == ErrorKind::kGate);
  CHECK(status.message() ==
        "quality gate: top-1 drops by 2.00 points, more than 0.10; and 2 more of 4 gates");
  CHECK(gates.back().message == "the model has 1001 bytes, more than 1000");
  CHECK(GateStatus({gates[2]}).ok());
  CHECK(GateStatus({}).ok());
}

TEST_CASE("units beyond a limit are added up with their neighbours, and nothing is lost") {
  UnitSums units;
  double n = 0, d = 0;
  for (int i = 0; i < 50000; ++i) {
    units.Add(i, 2.0 * i + 1);
    n += i;
    d += 2.0 * i + 1;
  }
  CHECK(units.samples() == 50000);
  CHECK(units.numerators().size() <= UnitSums::kMostUnits);
  CHECK(units.numerators().size() > UnitSums::kMostUnits / 2);
  double sum_n = 0, sum_d = 0;
  for (const double x : units.numerators()) sum_n += x;
  for (const double x : units.denominators()) sum_d += x;
  CHECK(sum_n == n);
  CHECK(sum_d == d);
  // Neighbours: the first unit holds the first samples.
  const double per_unit = std::round(50000.0 / static_cast<double>(units.numerators().size()));
  CHECK(units.numerators()[0] < per_unit * per_unit * 2);
}
