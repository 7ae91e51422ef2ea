#include "lib/io/statistics_json.h"

#include <cmath>
#include <limits>

#include "lib/base/random.h"
#include "lib/base/text.h"
#include "tests/support/catch.h"

namespace roundel::io {
namespace {

using quant::CalibrationStatistics;
using quant::Histogram;
using quant::StatisticsNeeds;
using quant::ValueStatistics;

CalibrationStatistics Made(StatisticsNeeds needs) {
  Random random(3);
  std::vector<float> values(4000);
  for (float& v : values)
    v = random.Uniform() < 0.2
            ? 0
            : static_cast<float>(random.Normal() * std::exp2(200 * random.Uniform() - 100));
  CalibrationStatistics made{
      .model_hash = "0123456789abcdef", .preprocessing_hash = "p", .data_hash = "d", .samples = 8};
  ValueStatistics statistics(needs);
  REQUIRE(statistics.Observe(values, 8).ok());
  made.values.emplace("a \"quoted\"\n value", std::move(statistics));
  made.values.emplace("never seen", ValueStatistics(needs));
  made.input_means["a"] = {{1.0 / 3, -2e-17}, {1, 2, 5, 5}, 200};
  return made;
}

std::string ErrorOf(const std::string& json) {
  const auto parsed = ParseStatistics(json, "s.json");
  REQUIRE_FALSE(parsed.ok());
  CHECK(parsed.status().kind() == ErrorKind::kData);
  CHECK(parsed.status().message().find('\n') == std::string::npos);
  return parsed.status().message();
}

// The file with `from` replaced once.
std::string Edited(const std::string& from, const std::string& to) {
  std::string json = R"({
  "format": "roundel.statistics", "version": 1, "model_hash": "m", "preprocessing_hash": "",
  "data_hash": "", "samples": 2,
  "values": {"x": {"count": 6, "min": -1, "max": 2.5, "zeros": 1, "sum": 3, "sum_of_squares": 9,
    "histogram": [[32512, [2, 1]], [97, [2]]], "sample_min": [-1, 0], "sample_max": [1, 2.5]}},
  "input_means": {"x": {"count": 4, "shape": [1, 2], "mean": [0.5, 1]}}})";
  const size_t place = json.find(from);
  REQUIRE(place != std::string::npos);
  return json.replace(place, from.size(), to);
}

}  // namespace

TEST_CASE("statistics read back to the same bits") {
  const StatisticsNeeds needs =
      GENERATE(StatisticsNeeds{}, StatisticsNeeds{.histogram = true},
               StatisticsNeeds{.samples = true}, StatisticsNeeds{true, true, true});
  const CalibrationStatistics made = Made(needs);
  const std::string json = StatisticsJson(made);
  const auto read = ParseStatistics(json, "s.json");
  INFO((read.ok() ? "" : read.status().message()));
  REQUIRE(read.ok());
  CHECK(read->model_hash == made.model_hash);
  CHECK(read->preprocessing_hash == "p");
  CHECK(read->data_hash == "d");
  CHECK(read->samples == 8);
  REQUIRE(read->values.size() == 2);
  for (const auto& [name, value] : made.values) {
    const ValueStatistics& back = read->values.at(name);
    CHECK(back.needs() == needs);
    CHECK(back.count() == value.count());
    CHECK(back.seen().min == value.seen().min);
    CHECK(back.seen().max == value.seen().max);
    CHECK(back.samples() == value.samples());
    if (needs.moments) {
      CHECK(back.mean() == value.mean());
      CHECK(back.second_moment() == value.second_moment());
    }
    if (!needs.histogram) continue;
    CHECK(back.zeros() == value.zeros());
    uint32_t differing = 0;
    for (uint32_t i = 0; i < Histogram::kBuckets; ++i)
      differing += back.histogram().count(i) != value.histogram().count(i);
    CHECK(differing == 0);
  }
  CHECK(read->input_means.at("a").mean == made.input_means.at("a").mean);
  CHECK(read->input_means.at("a").shape == Shape{1, 2, 5, 5});
  CHECK(read->input_means.at("a").count == 200);
  CHECK(StatisticsJson(*read) == json);
}

TEST_CASE("statistics written by hand are read, what is wrong in them is named") {
  REQUIRE(ParseStatistics(Edited("\"m\"", "\"m\""), "s.json").ok());
  CHECK(ErrorOf("{") == "'s.json' is not JSON");
  CHECK(ErrorOf("[1]") == "'s.json' is not an object");
  CHECK(ErrorOf("{}") == "'s.json' has no 'format'");
  CHECK(ErrorOf(Edited("roundel.statistics", "other")) ==
        "'s.json' is not a file of calibration statistics");
  CHECK(ErrorOf(Edited("\"version\": 1", "\"version\": 2")) ==
        "'s.json' has version 2, this program reads version 1");
  CHECK(ErrorOf(Edited("\"samples\": 2", "\"samples\": -2")) ==
        "'s.json' 'samples' holds a value that is not a count");
  CHECK(ErrorOf(Edited("\"values\": {\"x\"", "\"valves\": {\"x\"")) == "'s.json' has no 'values'");
  const std::string x = "'s.json' value 'x': ";
  CHECK(ErrorOf(Edited("\"count\": 6", "\"count\": 7")) ==
        x + "'histogram' and 'zeros' hold 6 values, but 'count' is 7");
  CHECK(ErrorOf(Edited("-1, \"max\": 2.5", "3, \"max\": 2.5")) == x + "min is above max");
  CHECK(ErrorOf(Edited("\"max\": 2.5,", "\"max\": 1e60,")) == x + "'max' is too large");
  CHECK(ErrorOf(Edited("\"max\": 2.5,", "\"max\": null,")) ==
        x + "'max' holds a value that is not a number");
  CHECK(ErrorOf(Edited("[97, [2]]", "[97]")) ==
        x + "a run of 'histogram' is not [first bucket, [counts]]");
  CHECK(ErrorOf(Edited("[97, [2]]", "[131071, [1, 1]]")) ==
        x + "'histogram' goes beyond the last bucket, or holds too much");
  CHECK(ErrorOf(Edited("[97, [2]]", "[97, [9007199254740992]]")) ==
        x + "'histogram' goes beyond the last bucket, or holds too much");
  CHECK(ErrorOf(Edited("[97, [2]]", "[97, [1.5]]")) ==
        x + "'histogram' holds a value that is not a count");
  CHECK(ErrorOf(Edited("[-1, 0]", "[-1]")) == x + "sample_min and sample_max differ in length");
  CHECK(ErrorOf(Edited("[1, 2.5]", "[1, -2]")) == x + "a sample's min is above its max");
  CHECK(ErrorOf(Edited("[1, 2], \"mean\"", "[1], \"mean\"")) ==
        "'s.json' input mean 'x': 'shape' has less than two axes, or one that is too long");
  CHECK(ErrorOf(Edited("[0.5, 1]", "[0.5, \"1\"]")) ==
        "'s.json' input mean 'x': 'mean' holds a value that is not a number");
  std::string objects;
  for (int i = 0; i < 200'000; ++i) objects += "{\"a\":";
  CHECK(ErrorOf("{\"data\":" + objects + "1" + std::string(200'000, '}') +
                ", \"b\": 1, \"c\": 2}") == "'s.json' is nested deeper than 64 levels");
}

}  // namespace roundel::io
