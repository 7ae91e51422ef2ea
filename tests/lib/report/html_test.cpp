#include "lib/report/html.h"

#include <nlohmann/json.hpp>

#include <regex>

#include "lib/base/sha256.h"
#include "lib/report/html_parts.h"
#include "lib/report/report.h"
#include "tests/support/catch.h"

using namespace roundel;
using namespace roundel::report;

namespace {

// Text that would run or break out wherever it stands.
constexpr char kHostile[] =
    "</script></style></title><script>alert(1)</script><img src=x onerror=alert(2)>\" ' & "
    "\x1b[31m \xe2\x80\xae javascript:alert(3)";

Report Sample(const std::string& name) {
  Report report;
  for (const char* fact : {"tool", "model", "model_hash", "recipe", "target", "data", "data_hash"})
    report.Fact(fact, name);
  report.Fact("check_samples", int64_t{8});
  report.Fact("check_sqnr_db " + name, 31.25);
  report.Fact("check_agreement_percent " + name, 87.5);
  report.Fact("weight_bytes_before", int64_t{14156216});
  report.Fact("weight_bytes_after", int64_t{3568023});
  PassReport pass;
  pass.name = name;
  pass.outcome = "changed";
  pass.Add(name, name, name);
  pass.Metric(name, name);
  report.passes.push_back(pass);
  report.float_nodes.push_back({name, name, name});
  report.warnings.push_back(name);
  return report;
}

std::string PageOf(const Report& report) {
  const auto page = HtmlPage(ReportJson(report), "x.report.json");
  REQUIRE(page.ok());
  return *page;
}

size_t Count(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

// All start tags; what stands between `<` and `>` in text would be one, too.
std::vector<std::string> Tags(const std::string& html) {
  std::vector<std::string> tags;
  const std::regex tag("<[a-zA-Z!/][^>]*>");
  for (std::sregex_iterator at(html.begin(), html.end(), tag), end; at != end; ++at)
    tags.push_back(at->str());
  return tags;
}

}  // namespace

TEST_CASE("names of any content change the text of a page, never its markup") {
  const std::string plain = PageOf(Sample("plain")), hostile = PageOf(Sample(kHostile));
  CHECK(Tags(plain) == Tags(hostile));
  CHECK(hostile.find("<img") == std::string::npos);
  CHECK(hostile.find('\x1b') == std::string::npos);
  CHECK(hostile.find("\xe2\x80\xae") == std::string::npos);  // turns the direction of text
  CHECK(Count(hostile, "<script>") == 1);
  CHECK(hostile.find("&lt;img src=x onerror=alert(2)&gt;") != std::string::npos);
}

TEST_CASE("a field of any type may hold text, which stays text") {
  using Json = nlohmann::ordered_json;
  // Every field that pages show. A batch's line follows.
  constexpr char kReport[] =
      R"({"schema":"roundel.report/1","facts":{"tool":"roundel","model":"a.onnx",
"model_bytes":900,"output_bytes":300,"check_samples":8,"check_sqnr_db y":31.5,"eval_samples":9},
"gates":[{"name":"min_sqnr","metric":"sqnr_db","value":31.5,"limit":30,"low":29,"high":33,"verdict":"undecided",
"accepted":true,"note":""}],"passes":[{"name":"calibrate","outcome":"changed","metrics":{"samples":8},
"records":[{"subject":"n","action":"declined","reason":"r"}],"layers":[{"node":"c","error_before":0.1,"error_after":0.01,
"bound":0.001,"columns":9,"inputs":3,"on_columns":false,"note":""}],"ranges":[{"values":["x"],"grid":"uint8",
"method":"min_max","low":-1,"high":1,"seen_low":-2,"seen_high":2,"clipped_low":0.1,"clipped_high":0,"sqnr_db":20,
"histogram":[0.5,0,0.5]}],"channel_ranges":[{"node":"c","channels":2,"before":[1,2,3,4,5],"after":[2,2,3,4,4]}]}],
"float_nodes":[{"node":"s","op_type":"Softmax","reason":"r"}],"layers":[{"node":"c","name":"c","op_type":"Conv",
"input":"x","output":"y","grid":"int8","granularity":"channel","bits":8,"scales":2,"weights":9,"bytes":17,
"weight_sqnr_db":40}],"network":{"samples":8,"values":[{"value":"y","op_type":"Conv","position":0,"sqnr_db":30}]},
"recipe":"passes: []","warnings":["w"],"timing":{"seconds":1,"peak_rss_bytes":9,"passes":[]}})";
  constexpr char kLine[] =
      R"({"schema":"roundel.status/1","id":"a","hash":"0","kind":"ok","exit_code":0,"message":"m",)"
      R"("seconds":1,"peak_memory_bytes":5,"sizes":{"model_bytes":9,"output_bytes":3},)"
      R"("metrics":{"check_sqnr_db":3},"gates":[{"verdict":"passed"}],"report":"a/a.report.json"})";
  int pages = 0;
  for (const char* text : {kReport, kLine}) {
    const Json whole = Json::parse(text), leaves = whole.flatten();
    for (const auto& [pointer, value] : leaves.items()) {
      Json changed = whole;
      changed[Json::json_pointer(pointer)] = kHostile;
      const auto page = HtmlPage(changed.dump(), "x.json");
      if (!page.ok()) continue;  // the schema
      ++pages;
      INFO(pointer);
      CHECK(page->find("<img") == std::string::npos);
      CHECK(Count(*page, "<script") == 1);
    }
  }
  CHECK(pages > 70);
}

TEST_CASE("the policy of a page allows its own script and style only") {
  const std::string page = PageOf(Sample("a"));
  std::smatch match;
  for (const std::string kind : {"script", "style"}) {
    const size_t begin = page.find("<" + kind + ">") + kind.size() + 2;
    const std::string body = page.substr(begin, page.find("</" + kind + ">") - begin);
    const auto digest = Sha256(body);
    const std::string hash = Base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
    CHECK(page.find(kind + "-src 'sha256-" + hash + "'") != std::string::npos);
  }
  CHECK(page.find("default-src 'none'") < page.find("<style>"));
  CHECK_FALSE(std::regex_search(page, std::regex("\\son[a-z]+=|style=|https?://")));
}

TEST_CASE("the same report gives the same page, and other facts give another") {
  CHECK(PageOf(Sample("a")) == PageOf(Sample("a")));
  CHECK(PageOf(Sample("a")) != PageOf(Sample("b")));
}

TEST_CASE("a page shows sizes, errors and reasons of the report") {
  const std::string page = PageOf(Sample("conv_1"));
  for (const char* shown : {"3.6 MB", "from 14.2 MB, 4.0 times smaller", "31.2", "87.5 %",
                            "What stayed float, and why", "How to get the same again"})
    CHECK(page.find(shown) != std::string::npos);
}

TEST_CASE("gates are drawn with value, limit and interval") {
  auto json = nlohmann::ordered_json::parse(ReportJson(Sample("a")));
  json["gates"] = nlohmann::ordered_json::parse(R"([
    {"name": "top1", "metric": "top1_drop", "value": 0.4, "limit": 0.5, "low": -0.2, "high": 1.0,
     "verdict": "undecided", "note": "too few samples"},
    {"name": "sqnr", "metric": "sqnr_db", "value": 31, "limit": 20, "verdict": "passed"}])");
  const auto page = HtmlPage(json.dump(), "x.report.json");
  REQUIRE(page.ok());
  CHECK(page->find("-0.200 to 1.00") != std::string::npos);
  CHECK(page->find("<span class=\"mid\">undecided</span>") != std::string::npos);
  CHECK(page->find("1 passed, 1 cannot be told") != std::string::npos);
  CHECK(Count(*page, "<svg") == 2);
}

TEST_CASE("JSON of any other shape is an error or a page, never a crash") {
  for (const char* text : {"", "{", "[]", "null", "{\"facts\": 1}", "\xff", "{}"}) {
    const auto page = HtmlPage(text, "x.json");
    REQUIRE_FALSE(page.ok());
    CHECK(page.status().kind() == ErrorKind::kUsage);
  }
  for (const char* text :
       {R"({"facts": {}})", R"({"facts": {"model": [1]}, "passes": 3, "float_nodes": {"a": 1}})",
        R"({"facts": {"seed": 1e300}, "passes": [null, [], {"records": [1, {"subject": {}}]}]})",
        R"({"facts": {"check_sqnr_db y": "x", "weight_bytes_before": -1}, "timing": [],
            "warnings": {"a": 2}, "gates": [{"value": {}}, 7, {"value": 1e308, "limit": -1e308}]})"})
    CHECK(HtmlPage(text, "x.json").ok());
  CHECK(HtmlPage(
            "{\"facts\": {}, \"a\": " + std::string(100000, '[') + std::string(100000, ']') + "}",
            "x.json")
            .ok());
}

TEST_CASE("numbers keep their digits") {
  using namespace roundel::report::html;
  CHECK(Significant(0) == "0");
  CHECK(Significant(12.345) == "12.3");
  CHECK(Significant(0.00123456) == "0.00123");
  CHECK(Significant(123456) == "123456");
  CHECK(Significant(-1234567) == "-1.23e+06");
  CHECK(Significant(0.0000123) == "1.23e-05");
  CHECK(Percent(0.00042) == "0.042 %");
  CHECK(Seconds(0.478) == "0.48 s");
  CHECK(Seconds(200) == "3 min 20 s");
  CHECK(Seconds(7300) == "2 h 1 min");
}
