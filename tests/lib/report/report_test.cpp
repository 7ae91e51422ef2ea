#include "lib/report/report.h"

#include <limits>

#include "tests/support/catch.h"

using namespace roundel;
using namespace roundel::report;

TEST_CASE("tables align numbers right and text left") {
  CHECK(TextTable({{"node", "SQNR", "op"},
                   {"Conv_1", "31.25", "Conv"},
                   {"a", "-4.5", "Add"},
                   {"identical", "inf", "MaxPool"}}) ==
        "node        SQNR  op\n"
        "Conv_1     31.25  Conv\n"
        "a           -4.5  Add\n"
        "identical    inf  MaxPool\n");
  CHECK(TextTable({{"size", "x"}, {"14.2 MB", "é"}, {"980 B", "long"}}) ==
        "   size  x\n"
        "14.2 MB  é\n"
        "  980 B  long\n");
  CHECK(TextTable({{"shape"}, {"3x32x32"}}) == "shape\n3x32x32\n");
  CHECK(TextTable({}) == "");
}

TEST_CASE("the report is one JSON object with a fixed order of keys") {
  Report report;
  report.Fact("model_hash", std::string("0123"));
  report.Fact("seed", int64_t{7});
  PassReport pass;
  pass.name = "bn_fold";
  pass.outcome = "changed";
  pass.seconds = 1.5;
  pass.peak_rss_bytes = 1000;
  pass.Add("bn_1", "folded");
  pass.Add("bn_2", "declined", "two consumers");
  pass.Metric("largest", std::numeric_limits<double>::infinity());
  pass.Metric("folded", int64_t{1});
  report.passes.push_back(pass);
  report.float_nodes.push_back({"softmax_1", "Softmax", "excluded"});
  report.warnings.push_back("a \"quoted\" thing");
  report.timing.emplace_back("seconds", 2.5);
  CHECK(ReportJson(report) == R"({
  "schema": "roundel.report/1",
  "facts": {
    "model_hash": "0123",
    "seed": 7
  },
  "gates": [],
  "passes": [
    {
      "name": "bn_fold",
      "outcome": "changed",
      "metrics": {
        "largest": null,
        "folded": 1
      },
      "records": [
        {
          "subject": "bn_1",
          "action": "folded"
        },
        {
          "subject": "bn_2",
          "action": "declined",
          "reason": "two consumers"
        }
      ]
    }
  ],
  "float_nodes": [
    {
      "node": "softmax_1",
      "op_type": "Softmax",
      "reason": "excluded"
    }
  ],
  "warnings": [
    "a \"quoted\" thing"
  ],
  "timing": {
    "seconds": 2.5,
    "passes": [
      {
        "name": "bn_fold",
        "seconds": 1.5,
        "peak_rss_bytes": 1000
      }
    ]
  }
}
)");
}

TEST_CASE("bytes that are not UTF-8 become replacement characters in JSON") {
  Report report;
  report.warnings.push_back("\xff");
  CHECK(ReportJson(report).find("\xef\xbf\xbd") != std::string::npos);
}

TEST_CASE("peak memory grows with what was touched") { CHECK(PeakRssBytes() > (1 << 20)); }
