#include "lib/recipe/params.h"

#include <limits>

#include "tests/support/catch.h"

using namespace roundel;
using namespace roundel::recipe;

namespace {

ParamSpecs Specs() {
  return {
      {.name = "strict", .default_value = false, .help = "stop at bad files"},
      {.name = "count", .default_value = int64_t{256}, .help = "samples", .min = 1, .max = 1000},
      {.name = "percentile", .default_value = 99.99, .help = "mass kept", .min = 50, .max = 100},
      {.name = "method",
       .default_value = std::string("min_max"),
       .help = "observer",
       .choices = {"min_max", "percentile"}},
      {.name = "mean", .default_value = std::vector<double>{}, .help = "mean", .min = -10},
      {.name = "exclude", .default_value = std::vector<std::string>{}, .help = "left alone"},
      {.name = "versions",
       .default_value = std::vector<std::string>{"1.0.0"},
       .help = "file versions",
       .choices = {"0.6.1", "1.0.0"}},
  };
}

std::string FailsWith(const std::string& name, const std::string& text) {
  const ParamSpecs specs = Specs();
  Params params(specs);
  const Status status = params.SetFromText(specs, name, text);
  CHECK(status.kind() == ErrorKind::kUsage);
  CHECK(params.values() == Params(specs).values());  // a refused value changes nothing
  return status.message();
}

}  // namespace

TEST_CASE("params start with their defaults") {
  const Params params(Specs());
  CHECK_FALSE(params.Bool("strict"));
  CHECK(params.Int("count") == 256);
  CHECK(params.Float("percentile") == 99.99);
  CHECK(params.String("method") == "min_max");
  CHECK(params.Floats("mean").empty());
  CHECK(params.Strings("versions") == std::vector<std::string>{"1.0.0"});
  for (const ParamSpec& spec : Specs()) CHECK(params.IsDefault(spec.name));
}

TEST_CASE("params are set from text by their type") {
  const ParamSpecs specs = Specs();
  Params params(specs);
  REQUIRE(params.SetFromText(specs, "strict", "true").ok());
  REQUIRE(params.SetFromText(specs, "count", "+7").ok());
  REQUIRE(params.SetFromText(specs, "percentile", "9.95e1").ok());
  REQUIRE(params.SetFromText(specs, "method", "percentile").ok());
  REQUIRE(params.SetFromText(specs, "mean", "0.485, .456,1").ok());
  REQUIRE(params.SetFromText(specs, "exclude", "[\"re:a{1,2}\", Conv_1]").ok());
  CHECK(params.Bool("strict"));
  CHECK(params.Int("count") == 7);
  CHECK(params.Float("percentile") == 99.5);
  CHECK(params.Floats("mean") == std::vector<double>{0.485, 0.456, 1});
  CHECK(params.Strings("exclude") == std::vector<std::string>{"re:a{1,2}", "Conv_1"});
  CHECK_FALSE(params.IsDefault("count"));
  REQUIRE(params.SetFromText(specs, "exclude", "").ok());
  CHECK(params.Strings("exclude").empty());
  CHECK(params.IsDefault("exclude"));
}

TEST_CASE("params refuse what does not fit, and say what would") {
  CHECK(FailsWith("strict", "yes") == "'strict' must be true or false, not 'yes'");
  CHECK(FailsWith("count", "2.5") == "'count' must be a whole number, not '2.5'");
  CHECK(FailsWith("count", "") == "'count' must be a whole number, not ''");
  CHECK(FailsWith("count", "99999999999999999999") ==
        "'count' must be a whole number, not '99999999999999999999'");
  CHECK(FailsWith("count", "0") == "'count' must be between 1 and 1000, not '0'");
  CHECK(FailsWith("percentile", "101") == "'percentile' must be between 50 and 100, not '101'");
  CHECK(FailsWith("percentile", "nan") == "'percentile' must be a number, not 'nan'");
  CHECK(FailsWith("percentile", "inf") == "'percentile' must be a number, not 'inf'");
  CHECK(FailsWith("percentile", "1e999") == "'percentile' must be a number, not '1e999'");
  CHECK(FailsWith("percentile", "9 9") == "'percentile' must be a number, not '9 9'");
  CHECK(FailsWith("mean", "0,-11") == "'mean' must be at least -10, not '-11'");
  CHECK(FailsWith("mean", "0,,1") == "'mean' must be a number, not ''");
  CHECK(FailsWith("method", "percentil") ==
        "'method' must be one of min_max, percentile, not 'percentil'; did you mean 'percentile'?");
  CHECK(FailsWith("versions", "1.0.0,3") == "'versions' must be one of 0.6.1, 1.0.0, not '3'");
  CHECK(FailsWith("exclude", "[[a]]") == "'exclude' must be a list of single values, not '[[a]]'");
  CHECK(FailsWith("cuont", "3") == "unknown key 'cuont'; did you mean 'count'?");
  CHECK(FailsWith("zzzzzzzz", "3") == "unknown key 'zzzzzzzz'");
}

TEST_CASE("params take typed values, whole numbers serve as numbers") {
  const ParamSpecs specs = Specs();
  Params params(specs);
  REQUIRE(params.SetValue(specs, "percentile", int64_t{75}).ok());
  CHECK(params.Float("percentile") == 75.0);
  CHECK(params.SetValue(specs, "count", 2.0).message() == "'count' must be a whole number");
  CHECK(params.SetValue(specs, "percentile", std::numeric_limits<double>::quiet_NaN()).kind() ==
        ErrorKind::kUsage);
}

TEST_CASE("values print as YAML that reads back to the same value") {
  CHECK(ParamValueText(true) == "true");
  CHECK(ParamValueText(int64_t{-3}) == "-3");
  CHECK(ParamValueText(0.1) == "0.1");
  CHECK(ParamValueText(1e-300) == "1e-300");
  CHECK(ParamValueText(std::string("images/calib")) == "images/calib");
  CHECK(ParamValueText(std::string("")) == "\"\"");
  CHECK(ParamValueText(std::string("null")) == "\"null\"");
  CHECK(ParamValueText(std::string("a: \"b\"\n")) == "\"a: \\\"b\\\"\\x0a\"");
  CHECK(ParamValueText(std::vector<double>{}) == "[]");
  CHECK(ParamValueText(std::vector<std::string>{"a", "b,c"}) == "[a, \"b,c\"]");
}
