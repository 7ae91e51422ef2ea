#include "lib/report/cases.h"

#include "lib/report/gate_json.h"

#include <cmath>

#include "tests/support/catch.h"

using namespace roundel;
using namespace roundel::report;
using State = Case::State;

namespace {

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::vector<Case> Failing(size_t count, State state) {
  std::vector<Case> cases;
  for (size_t i = 0; i < count; ++i)
    cases.push_back({.suite = "m",
                     .name = "c" + std::to_string(i),
                     .state = state,
                     .message = "bad",
                     .severity = static_cast<double>(i)});
  return cases;
}

}  // namespace

TEST_CASE("gates read from a document give the cases of the gates that wrote it") {
  const std::vector<Gate> gates = {
      {.name = "a",
       .metric = "sqnr_db",
       .value = 3,
       .limit = 10,
       .at_least = true,
       .verdict = Verdict::kFailed,
       .accepted = false},
      {.name = "b", .metric = "bytes", .value = 1, .limit = 2, .low = 0.5, .high = 1.5},
      {.name = "c",
       .metric = "kl_nats",
       .value = 1,
       .limit = 2,
       .low = 0,
       .high = 3,
       .verdict = Verdict::kUndecided,
       .accepted = false,
       .note = "n"},
      {.name = "d", .metric = "kl_nats", .value = 1, .limit = 2, .verdict = Verdict::kUndecided}};
  const std::vector<Case> cases = CasesOf(gates, "job", ""),
                          read = CasesOf(GatesFromJson(GatesJson(gates)), "job", "");
  REQUIRE(read.size() == cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    CHECK(read[i].name == cases[i].name);
    CHECK(read[i].state == cases[i].state);
    CHECK(read[i].severity == cases[i].severity);
    CHECK(read[i].detail == cases[i].detail);
  }
  CHECK(read[2].state == Case::State::kFailed);  // undecided, and not accepted
  CHECK(GatesFromJson(nlohmann::ordered_json("no list")).empty());
}

TEST_CASE("gates become cases: failed, skipped where the samples cannot tell, passed") {
  Gate failed{.name = "a", .value = 3, .limit = 1, .verdict = Verdict::kFailed, .accepted = false};
  failed.message = "too much";
  failed.note = "how";
  const Gate open{.name = "b", .verdict = Verdict::kUndecided, .accepted = true};
  const Gate closed{.name = "c", .verdict = Verdict::kUndecided, .accepted = false};
  const Gate nan{.name = "d", .value = NAN, .verdict = Verdict::kFailed, .accepted = false};
  const std::vector<Case> cases =
      CasesOf({failed, open, closed, nan, {.name = "e"}}, "model", "dir/model.onnx");
  REQUIRE(cases.size() == 5);
  CHECK(cases[0].state == State::kFailed);
  CHECK(cases[0].severity == 2);
  CHECK(cases[0].message == "too much");
  CHECK(cases[0].detail == "how");
  CHECK(cases[0].file == "dir/model.onnx");
  CHECK(cases[1].state == State::kSkipped);
  CHECK(cases[2].state == State::kFailed);
  CHECK(std::isinf(cases[3].severity));
  CHECK(cases[4].state == State::kPassed);
}

TEST_CASE("JUnit XML counts by suite, and escapes names") {
  const std::vector<Case> cases = {
      {.suite = "a", .name = "one", .seconds = 1.5},
      {.suite = "b<&\">",
       .name = "two\x1b",
       .state = State::kFailed,
       .message = "x\ny",
       .detail = "z"},
      {.suite = "a", .name = "three", .state = State::kSkipped, .message = "cannot tell"},
      {.suite = "a", .name = "four", .state = State::kError, .message = "no file"}};
  CHECK(JUnitXml(cases) == R"(<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="roundel" tests="4" failures="1" errors="1" time="1.500">
  <testsuite name="a" tests="3" failures="0" errors="1" skipped="1" time="1.500">
    <testcase name="one" classname="a" time="1.500"/>
    <testcase name="three" classname="a" time="0.000">
      <skipped>cannot tell</skipped>
    </testcase>
    <testcase name="four" classname="a" time="0.000">
      <error message="no file" type="error">no file</error>
    </testcase>
  </testsuite>
  <testsuite name="b&lt;&amp;&quot;&gt;" tests="1" failures="1" errors="0" skipped="0" time="0.000">
    <testcase name="two\x1b" classname="b&lt;&amp;&quot;&gt;" time="0.000">
      <failure message="x&#10;y" type="gate">x&#10;y&#10;z</failure>
    </testcase>
  </testsuite>
</testsuites>
)");
  CHECK(JUnitXml({}).find("tests=\"0\"") != std::string::npos);
}

TEST_CASE("GitHub's commands escape what would end or forge them") {
  const std::string text = GithubCommands({{.suite = "a,b:c",
                                            .name = "n%",
                                            .state = State::kFailed,
                                            .message = "50 % off\r\n::error::forged",
                                            .file = "d,e:f.onnx"}});
  CHECK(text ==
        "::error file=d%2Ce%3Af.onnx,title=a%2Cb%3Ac%3A n%25::50 %25 off%0D%0A::error::forged\n");
  CHECK(GithubCommands({{.suite = "a", .name = "b"}}).empty());
}

TEST_CASE("GitHub gets ten commands of a kind at most, worst first, and the number of others") {
  const std::vector<std::string> ten = Lines(GithubCommands(Failing(10, State::kFailed)));
  CHECK(ten.size() == 10);
  CHECK(ten.back().find("c0::bad") != std::string::npos);
  std::vector<Case> cases = Failing(25, State::kFailed);
  const std::vector<Case> open = Failing(11, State::kSkipped);
  cases.insert(cases.end(), open.begin(), open.end());
  cases.push_back({.suite = "m", .name = "broken", .state = State::kError, .message = "no"});
  const std::vector<std::string> lines = Lines(GithubCommands(cases));
  REQUIRE(lines.size() == 20);
  CHECK(lines[0].find("broken::no") != std::string::npos);  // an error outranks a failure
  CHECK(lines[1].find("c24::bad") != std::string::npos);
  CHECK(lines[9] == "::error title=roundel::17 more; the step's summary and the report list them");
  CHECK(lines[10].find("::warning ") == 0);
  CHECK(lines[19].find("::warning title=roundel::2 more;") == 0);
}

TEST_CASE("the summary is a table within its budget, and says what it leaves out") {
  const std::string all = GithubSummary("t", {{.suite = "a|b", .name = "<b>*x*"}}, 1000);
  CHECK(all.find("| passed | a\\|b | &lt;b>\\*x\\* |  |\n") != std::string::npos);
  const std::vector<Case> many = Failing(1000, State::kFailed);
  for (const size_t budget : {size_t{0}, size_t{50}, size_t{300}, size_t{5000}, size_t{20000}}) {
    const std::string text = GithubSummary("t", many, budget);
    CHECK(text.size() <= budget);
    if (budget < 300) continue;
    size_t rows = 0;
    for (const std::string& line : Lines(text)) rows += line.find("| **failed**") == 0;
    CHECK(text.find(std::to_string(1000 - rows) + " more rows are left out") != std::string::npos);
  }
  const std::string whole = GithubSummary("t", many, size_t{1} << 20);
  CHECK(whole.find("c999") < whole.find("c998"));
  CHECK(whole.find("left out") == std::string::npos);
}
