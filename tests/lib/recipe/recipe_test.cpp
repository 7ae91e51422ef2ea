#include "lib/recipe/recipe.h"

#include "lib/base/text.h"
#include "tests/support/catch.h"

using namespace roundel;
using namespace roundel::recipe;

namespace {

RecipeSpec Spec() {
  RecipeSpec spec;
  spec.sections = {
      {"",
       "Where to read and write",
       {{.name = "target", .default_value = std::string("ort-cpu"), .help = "runtime"},
        {.name = "seed", .default_value = int64_t{0}, .help = "of random choices", .min = 0}}},
      {"weights",
       "Grid of weights",
       {{.name = "bits",
         .default_value = int64_t{8},
         .help = "width",
         .min = 2,
         .max = 16,
         .unit = "bits"},
        {.name = "granularity",
         .default_value = std::string("channel"),
         .help = "who shares a scale",
         .choices = {"tensor", "channel"}}}},
      {"data",
       "Calibration data",
       {{.name = "path", .default_value = std::string(), .help = "folder"},
        {.name = "mean", .default_value = std::vector<double>{}, .help = "per channel"}}},
  };
  spec.passes = {
      {"bn_fold", "Folds batch normalization", {}},
      {"calibrate",
       "Finds ranges",
       {{.name = "method", .default_value = std::string("min_max"), .help = "observer"},
        {.name = "percentile",
         .default_value = 99.99,
         .help = "mass kept",
         .min = 50,
         .max = 100,
         .unit = "per cent"},
        {.name = "only", .default_value = std::vector<std::string>{}, .help = "values"}}},
  };
  return spec;
}

Recipe Parsed(const std::string& yaml) {
  Result<Recipe> recipe = ParseRecipe(yaml, "recipe.yaml", Spec());
  INFO((recipe.ok() ? "" : recipe.status().message()));
  REQUIRE(recipe.ok());
  return std::move(recipe).value();
}

std::string Refused(const std::string& yaml) {
  const Result<Recipe> recipe = ParseRecipe(yaml, "recipe.yaml", Spec());
  REQUIRE_FALSE(recipe.ok());
  CHECK(recipe.status().kind() == ErrorKind::kUsage);
  CHECK(recipe.status().message().find('\n') == std::string::npos);
  return recipe.status().message();
}

void CheckSame(const Recipe& a, const Recipe& b) {
  REQUIRE(a.sections.size() == b.sections.size());
  for (const auto& [name, params] : a.sections) CHECK(params.values() == b.Section(name).values());
  REQUIRE(a.steps.size() == b.steps.size());
  for (size_t i = 0; i < a.steps.size(); ++i) {
    CHECK(a.steps[i].pass == b.steps[i].pass);
    CHECK(a.steps[i].params.values() == b.steps[i].params.values());
  }
}

constexpr char kFull[] =
    "target: other\n"
    "seed: 7\n"
    "weights: {bits: 4, granularity: tensor}\n"
    "data:\n"
    "  path: 'my images: \"new\"'\n"
    "  mean: [0.485, 0.456, 0.1]\n"
    "passes:\n"
    "  - bn_fold\n"
    "  - calibrate: {method: percentile, percentile: 99.5, only: [\"a,b\", re:c]}\n"
    "  - calibrate:\n";

}  // namespace

TEST_CASE("a recipe gives sections and steps with defaults filled in") {
  const Recipe recipe = Parsed(kFull);
  CHECK(recipe.source == "recipe.yaml");
  CHECK(recipe.Section("").String("target") == "other");
  CHECK(recipe.Section("").Int("seed") == 7);
  CHECK(recipe.Section("weights").Int("bits") == 4);
  CHECK(recipe.Section("data").String("path") == "my images: \"new\"");
  CHECK(recipe.Section("data").Floats("mean") == std::vector<double>{0.485, 0.456, 0.1});
  REQUIRE(recipe.steps.size() == 3);
  CHECK(recipe.steps[0].pass == "bn_fold");
  CHECK(recipe.steps[1].line == 9);
  CHECK(recipe.steps[1].params.Float("percentile") == 99.5);
  CHECK(recipe.steps[1].params.Strings("only") == std::vector<std::string>{"a,b", "re:c"});
  CHECK(recipe.steps[2].params.Float("percentile") == 99.99);

  const Recipe least = Parsed("passes: [bn_fold]\n");
  CHECK(least.Section("weights").Int("bits") == 8);
  CHECK(Parsed("data:\npasses: []\n").steps.empty());
  CHECK(Parsed("data: {mean: 0.5}\npasses: []\n").Section("data").Floats("mean") ==
        std::vector<double>{0.5});
}

TEST_CASE("printing a recipe and reading it back gives the same recipe") {
  for (const char* yaml : {kFull, "passes: [bn_fold]\n", "passes: []\n"}) {
    const Recipe recipe = Parsed(yaml);
    for (const bool comments : {false, true}) {
      const std::string printed = PrintRecipe(Spec(), recipe, comments);
      INFO(printed);
      const Recipe again = Parsed(printed);
      CheckSame(recipe, again);
      CHECK(PrintRecipe(Spec(), again, comments) == printed);
    }
  }
  CHECK(PrintRecipe(Spec(), Parsed("passes: [bn_fold]\n"), true)
            .find("  # width; between 2 and 16 (bits)\n  bits: 8\n") != std::string::npos);
}

TEST_CASE("unknown names are errors with line and the nearest name") {
  CHECK(Refused("passes:\n  - bn_fold\n  - calibrate:\n      percentil: 99\n") ==
        "recipe.yaml:4: unknown key 'percentil' in calibrate; did you mean 'percentile'?");
  CHECK(Refused("passes: []\nweigths: {bits: 8}\n") ==
        "recipe.yaml:2: unknown key 'weigths'; did you mean 'weights'?");
  CHECK(Refused("passes: []\nweights:\n  bit: 8\n") ==
        "recipe.yaml:3: unknown key 'bit' in weights; did you mean 'bits'?");
  CHECK(Refused("passes:\n- bnfold\n") ==
        "recipe.yaml:2: unknown pass 'bnfold'; did you mean 'bn_fold'?");
  CHECK(Refused("passes:\n- zzzzzzzzz\n") ==
        "recipe.yaml:2: unknown pass 'zzzzzzzzz'; known: bn_fold, calibrate");
  CHECK(Refused("bits: 8\npasses: []\n") ==
        "recipe.yaml:1: unknown key 'bits'; it belongs in section 'weights'");
  CHECK(Refused("calibrate: {}\npasses: []\n") ==
        "recipe.yaml:1: unknown key 'calibrate'; it is a pass: list it under 'passes:'");
  CHECK(Refused("sedd: 8\npasses: []\n") ==
        "recipe.yaml:1: unknown key 'sedd'; did you mean 'seed'?");
  CHECK(Refused("\"\": 8\npasses: []\n").find("recipe.yaml:1: unknown key ''") == 0);
  CHECK(Refused("passes: [{bn_fold: {x: 1}}]\n") ==
        "recipe.yaml:1: unknown key 'x' in bn_fold; it has no keys");
}

TEST_CASE("wrong types and ranges are errors with line and what would fit") {
  CHECK(Refused("- bn_fold\n") == "recipe.yaml:1: a recipe is a map (key: value), not a list");
  CHECK(Refused("just text\n") ==
        "recipe.yaml:1: a recipe is a map (key: value), not a single value");
  CHECK(Refused("seed: 1\n") == "recipe.yaml: the recipe has no 'passes:' list");
  CHECK(Refused("passes: bn_fold\n") ==
        "recipe.yaml:1: 'passes' must be a list (- name), not a single value");
  CHECK(Refused("passes:\n") == "recipe.yaml:1: 'passes' must be a list (- name), not nothing");
  CHECK(Refused("passes:\n- {bn_fold: , calibrate: }\n") ==
        "recipe.yaml:2: a pass is '- name' or '- name: {key: value}'; indent its keys below it");
  CHECK(Refused("passes:\n- [bn_fold]\n").find("recipe.yaml:2: a pass is '- name'") == 0);
  CHECK(Refused("passes:\n- calibrate: 3\n") ==
        "recipe.yaml:2: 'calibrate' must be a map (key: value), not a single value");
  CHECK(Refused("weights: [8]\npasses: []\n") ==
        "recipe.yaml:1: 'weights' must be a map (key: value), not a list");
  CHECK(Refused("seed: [1]\npasses: []\n") ==
        "recipe.yaml:1: in the recipe: 'seed' must be a whole number, not a list");
  CHECK(Refused("seed:\npasses: []\n") ==
        "recipe.yaml:1: in the recipe: 'seed' must be a whole number, not nothing");
  CHECK(Refused("data: {mean: {a: 1}}\npasses: []\n") ==
        "recipe.yaml:1: in data: 'mean' must be a list of numbers, not a map (key: value)");
  CHECK(Refused("data: {mean: [1, [2]]}\npasses: []\n") ==
        "recipe.yaml:1: in data: 'mean' must be a list of numbers, not a list");
  CHECK(Refused("weights:\n  bits: eight\npasses: []\n") ==
        "recipe.yaml:2: in weights: 'bits' must be a whole number, not 'eight'");
  CHECK(Refused("weights:\n  bits: 64\npasses: []\n") ==
        "recipe.yaml:2: in weights: 'bits' must be between 2 and 16, not '64'");
  CHECK(Refused("passes:\n- calibrate: {percentile: .nan}\n") ==
        "recipe.yaml:2: in calibrate: 'percentile' must be a number, not '.nan'");
  CHECK(Refused("seed: -1\npasses: []\n") ==
        "recipe.yaml:1: in the recipe: 'seed' must be at least 0, not '-1'");
}

TEST_CASE("overrides change sections and every step of a pass") {
  const RecipeSpec spec = Spec();
  Recipe recipe = Parsed(kFull);
  REQUIRE(ApplyOverride(spec, "weights.bits=6", &recipe).ok());
  REQUIRE(ApplyOverride(spec, "seed=9", &recipe).ok());
  REQUIRE(ApplyOverride(spec, "calibrate.percentile=98", &recipe).ok());
  REQUIRE(ApplyOverride(spec, "data.path=a=b", &recipe).ok());
  CHECK(recipe.Section("weights").Int("bits") == 6);
  CHECK(recipe.Section("").Int("seed") == 9);
  CHECK(recipe.Section("data").String("path") == "a=b");
  CHECK(recipe.steps[1].params.Float("percentile") == 98);
  CHECK(recipe.steps[2].params.Float("percentile") == 98);
}

TEST_CASE("wrong overrides are errors that name the assignment") {
  const RecipeSpec spec = Spec();
  Recipe recipe = Parsed("passes: [bn_fold]\n");
  const auto refused = [&](const std::string& assignment) {
    const Status status = ApplyOverride(spec, assignment, &recipe);
    CHECK(status.kind() == ErrorKind::kUsage);
    return status.message();
  };
  CHECK(refused("seed") == "--set seed: expected key=value, such as weights.bits=8");
  CHECK(refused("=1") == "--set =1: expected key=value, such as weights.bits=8");
  CHECK(refused("sead=1") == "--set sead=1: unknown key 'sead'; did you mean 'seed'?");
  CHECK(refused("bits=1") == "--set bits=1: unknown key 'bits'; did you mean 'weights.bits'?");
  CHECK(refused("weights.bit=1") == "--set weights.bit=1: unknown key 'bit'; did you mean 'bits'?");
  CHECK(refused("weight.bits=1") ==
        "--set weight.bits=1: unknown section or pass 'weight'; did you mean 'weights'?");
  CHECK(refused("calibrate.percentile=98") ==
        "--set calibrate.percentile=98: the recipe has no pass 'calibrate'");
  CHECK(refused("weights.bits=99") ==
        "--set weights.bits=99: 'bits' must be between 2 and 16, not '99'");
  CHECK(refused("weights.bits=") == "--set weights.bits=: 'bits' must be a whole number, not ''");
}

namespace {

RecipeSpec RuleSpec() {
  RecipeSpec spec = Spec();
  spec.sections[1].shorthand = "granularity";
  spec.rules = {{.name = "op", .default_value = std::string(), .help = "op type"},
                {.name = "bits", .default_value = int64_t{8}, .help = "width", .min = 2}};
  return spec;
}

}  // namespace

TEST_CASE("rules keep their order, print and read back") {
  const std::string yaml = "rules:\n  - {op: \"re:Conv.*\", bits: 4}\n  - {op: Gemm}\npasses: []\n";
  const auto recipe = ParseRecipe(yaml, "recipe.yaml", RuleSpec());
  REQUIRE(recipe.ok());
  REQUIRE(recipe->rules.size() == 2);
  CHECK(recipe->rules[0].params.String("op") == "re:Conv.*");
  CHECK(recipe->rules[0].params.Int("bits") == 4);
  CHECK(recipe->rules[1].params.Int("bits") == 8);
  CHECK(recipe->rules[1].line == 3);
  for (const bool comments : {false, true}) {
    const std::string printed = PrintRecipe(RuleSpec(), *recipe, comments);
    const auto again = ParseRecipe(printed, "again.yaml", RuleSpec());
    REQUIRE(again.ok());
    REQUIRE(again->rules.size() == 2);
    CHECK(again->rules[0].params.values() == recipe->rules[0].params.values());
    CHECK(again->rules[1].params.values() == recipe->rules[1].params.values());
  }
  const auto error = [](const std::string& text) {
    return ParseRecipe(text, "recipe.yaml", RuleSpec()).status().message();
  };
  CHECK(error("rules: [{ob: Conv}]\npasses: []").find("did you mean 'op'?") != std::string::npos);
  CHECK(error("rules: {op: Conv}\npasses: []").find("must be a list") != std::string::npos);
  CHECK(error("rules: [{bits: 1}]\npasses: []").starts_with("recipe.yaml:1: in a rule: 'bits'"));
}

TEST_CASE("a section's shorthand, in the file and by --set") {
  auto recipe = ParseRecipe("weights: tensor\npasses: []\n", "recipe.yaml", RuleSpec());
  REQUIRE(recipe.ok());
  CHECK(recipe->Section("weights").String("granularity") == "tensor");
  CHECK(ApplyOverride(RuleSpec(), "weights=channel", &*recipe).ok());
  CHECK(recipe->Section("weights").String("granularity") == "channel");
  CHECK_FALSE(ApplyOverride(RuleSpec(), "weights=loud", &*recipe).ok());
  CHECK_FALSE(ApplyOverride(RuleSpec(), "rules=[]", &*recipe).ok());
  CHECK_FALSE(ParseRecipe("data: x\npasses: []", "recipe.yaml", RuleSpec()).ok());
}
