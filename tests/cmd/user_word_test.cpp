// Precedence on the command line: flags override the recipe, -q suppresses output, and missing or
// duplicate files are reported before any work.

#include <nlohmann/json.hpp>

#include "tests/cmd/cli.h"

using namespace roundel;
using namespace roundel::support;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

constexpr char kModel[] = R"(opset 17
graph g (float32[N,8,64] x) => (float32[N,8,32] y) {
  float32[64,32] w = random(1)
  y = MatMul(x, w)
})";

struct Bench {
  TempFolder folder;
  std::string model = WriteModel(folder, "model.onnx", kModel);
  std::string data = WriteArray(folder, "x.npy", Tensor::Zeros(DType::kFloat, {4, 8, 64}));
  std::string out = folder / "out.onnx";

  std::string Recipe(const std::string& name, const std::string& text) const {
    return folder.Write(name, text + "passes:\n  - calibrate\n");
  }
  CliResult Quantize(const std::vector<std::string>& more) const {
    std::vector<std::string> args = {"quantize", model, "--calib", data, "-o", out};
    args.insert(args.end(), more.begin(), more.end());
    return Cli(args);
  }
  // The weight's grid as a plan shows it.
  std::string WeightGrid(const std::vector<std::string>& more) const {
    std::vector<std::string> args = {"quantize", model,     "--dry-run", "--json",
                                     "--target", "generic", "--set",     "activations=float"};
    args.insert(args.end(), more.begin(), more.end());
    const CliResult result = Cli(args);
    if (result.code != 0) return result.err;
    const Json plan = Json::parse(result.out);
    for (const Json& tensor : plan["tensors"])
      if (tensor["role"] == "weight") return tensor["grid"];
    return "";
  }
};

}  // namespace

TEST_CASE("a grid of the command line wins over all that the recipe says of one") {
  const Bench bench;
  const std::string keys =
      bench.Recipe("keys.yaml", "weights: {bits: 4, symmetric: false, signed: false}\n");
  const std::string named = bench.Recipe("named.yaml", "weights: {grid: int4 symmetric}\n");
  for (const std::string& recipe : {keys, named})
    for (const std::string grid : {"uint4", "int4 symmetric", "int4 symmetric signed", "uint8",
                                   "int8 symmetric", "int8 symmetric narrow", "uint3", "int2"})
      CHECK(bench.WeightGrid({"--recipe", recipe, "--set", "weights.grid=" + grid}) == grid);
  // A flag for one key keeps the recipe's other keys.
  CHECK(bench.WeightGrid({"--recipe", keys, "--set", "weights.bits=3"}) == "uint3");
  CHECK(bench.WeightGrid({"--recipe", keys, "--set", "weights.signed=true"}) == "int4");
  CHECK(bench.WeightGrid({"--recipe", named, "--set", "weights.bits=3"}) == "int3 symmetric");
  CHECK(bench.WeightGrid({"--recipe", named, "--set", "weights.symmetric=false"}) == "int4");
  // Both on the command line: the keys refine the name.
  CHECK(bench.WeightGrid({"--recipe", keys, "--set", "weights.grid=int8", "--set",
                          "weights.symmetric=true"}) == "int8 symmetric");
}

TEST_CASE(
    "grids with blocks of their own overrule the recipe's blocks, unless both are asked for") {
  const Bench bench;
  const std::string recipe =
      bench.Recipe("blocks.yaml",
                   "activations: float\nweights: {bits: 4, granularity: block, block_size: 16}\n");
  CHECK(bench.WeightGrid({"--recipe", recipe, "--set", "weights.grid=mxfp4"}) == "mxfp4");
  CHECK(bench
            .WeightGrid({"--recipe", recipe, "--set", "weights.grid=mxfp4", "--set",
                         "weights.block_size=16"})
            .find("has blocks of 32") != std::string::npos);
}

TEST_CASE("a rule cannot give other blocks to a grid that has its own") {
  const Bench bench;
  for (const auto& [blocks, fits] :
       std::vector<std::pair<std::string, bool>>{{"granularity: block, block_size: 16", false},
                                                 {"granularity: channel", false},
                                                 {"granularity: block, block_size: 32", true}}) {
    INFO(blocks);
    const std::string recipe =
        bench.Recipe("rule.yaml", "rules:\n  - {op: MatMul, weights: mxfp4, " + blocks + "}\n");
    const std::string grid = bench.WeightGrid({"--recipe", recipe});
    CHECK((grid == "mxfp4") == fits);
    CHECK((grid.find("rule.yaml:2: weights: mxfp4 has blocks of 32 elements") !=
           std::string::npos) == !fits);
  }
}

TEST_CASE("what one source says of a grid must agree") {
  const Bench bench;
  for (const auto& [keys, reason] : std::vector<std::pair<std::string, std::string>>{
           {"grid: int8, bits: 4", "grid 'int8' and bits: 4 contradict each other"},
           {"grid: uint8, signed: true", "grid 'uint8' and signed: true contradict each other"},
           {"grid: int8, signed: false", "grid 'int8' and signed: false contradict each other"},
           {"grid: int4 symmetric signed, symmetric: false",
            "grid 'int4 symmetric signed' and symmetric: false contradict each other"},
           {"grid: uint8, narrow_range: true", "narrow_range needs a signed symmetric grid"},
           {"grid: float8e4m3fn, bits: 8", "'bits' has no meaning with grid float8e4m3fn"},
           {"grid: int99", "is not a grid such as"}}) {
    INFO(keys);
    const std::string recipe = bench.Recipe("r.yaml", "weights: {" + keys + "}\n");
    const CliResult result = bench.Quantize({"--recipe", recipe});
    CHECK(result.code == 2);
    CHECK(result.err.find(recipe + ": ") != std::string::npos);
    CHECK(result.err.find(reason) != std::string::npos);
  }
  const CliResult result =
      bench.Quantize({"--set", "activations.grid=uint8", "--set", "activations.bits=16"});
  CHECK(result.code == 2);
  CHECK(result.err.find("the command line: activations: grid 'uint8' and bits: 16") !=
        std::string::npos);
  // Two flags may set the same key to the same value.
  const std::string twice =
      bench.Recipe("twice.yaml", "weights: {grid: int8 symmetric, bits: 8}\n");
  CHECK(bench.WeightGrid({"--recipe", twice}) == "int8 symmetric");
}

TEST_CASE("flags for the keys that are asked for most") {
  const Bench bench;
  CHECK(bench.WeightGrid({"--bits", "4"}) == bench.WeightGrid({"--set", "weights.bits=4"}));
  CHECK(bench.WeightGrid({"--weights-bits", "3"}).find("int3") != std::string::npos);
  const std::string recipe = Cli({"quantize", bench.model, "--activations-bits", "16", "--method",
                                  "entropy", "--print-recipe"})
                                 .out;
  CHECK(recipe.find("bits: 16") != std::string::npos);
  CHECK(recipe.find("method: entropy") != std::string::npos);
  CHECK(bench.Quantize({"--bits", "99"}).code == 2);
  CHECK(bench.Quantize({"--method", "entropi"}).err.find("entropy") != std::string::npos);
}

TEST_CASE("method entropy is what kl is") {
  Bench bench;
  bench.data = WriteArray(bench.folder, "x.npy", [] {
    std::vector<float> values(4 * 8 * 64);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i % 97) * (i % 89 == 0 ? 1.0f : 0.01f);
    return Tensor::FromVector<float>({4, 8, 64}, values);
  }());
  std::vector<std::string> tables;
  for (const char* method : {"kl", "entropy", "min_max"}) {
    REQUIRE(bench.Quantize({"--method", method}).code == 0);
    Json table = Json::parse(Contents(bench.folder / "out.encodings.json"));
    table.erase("roundel");  // names the recipe, where the two are different words
    tables.push_back(table.dump());
  }
  CHECK(tables[0] == tables[1]);
  CHECK(tables[0] != tables[2]);
}

TEST_CASE(
    "with -q a command prints nothing where all goes well, and what is asked for all the same") {
  const Bench bench;
  const auto is_quiet = [](std::vector<std::string> args) {
    args.push_back("-q");
    const CliResult result = Cli(args);
    INFO(args[0] << " " << result.err);
    CHECK(result.code == 0);
    return result.out.empty();
  };
  CHECK(is_quiet({"quantize", bench.model, "--calib", bench.data, "-o", bench.out}));
  fs::copy(bench.folder / "out.recipe.yaml", bench.folder / "again.yaml");
  CHECK(is_quiet({"run", bench.folder / "again.yaml"}));
  CHECK(is_quiet({"dump", bench.model, "--data", bench.data, "-o", bench.folder / "dumped"}));
  CHECK(is_quiet({"export", bench.out, "--to", "float", "-o", bench.folder / "back.onnx"}));
  CHECK_FALSE(is_quiet({"inspect", bench.model}));
  CHECK_FALSE(is_quiet({"quantize", bench.model, "--print-recipe"}));
  CHECK_FALSE(is_quiet({"quantize", bench.model, "--dry-run"}));
  CHECK_FALSE(
      is_quiet({"quantize", bench.model, "--calib", bench.data, "-o", bench.out, "--json"}));
  CHECK_FALSE(Cli({"quantize", bench.model, "--calib", bench.data, "-o", bench.out}).out.empty());
}

TEST_CASE("files that are not there exit by what they would hold") {
  const Bench bench;
  const std::string none = bench.folder / "none";
  CHECK(Cli({"inspect", none + ".onnx"}).code == 3);
  CHECK(Cli({"quantize", none + ".onnx", "--calib", bench.data, "-o", bench.out}).code == 3);
  CHECK(Cli({"eval", bench.model, none + ".onnx", "--data", bench.data}).code == 3);
  CHECK(Cli({"lint", none + ".onnx"}).code == 3);
  CHECK(Cli({"quantize", bench.model, "--calib", none + ".npy", "-o", bench.out}).code == 4);
  CHECK(Cli({"eval", bench.model, "--data", none}).code == 4);
  CHECK(Cli({"dump", bench.model, "--feed", "x=" + none, "-o", bench.folder / "d"}).code == 4);
  CHECK(Cli({"quantize", bench.model, "--stats-in", none, "-o", bench.out}).code == 4);
  CHECK(Cli({"eval", bench.model, "--data", bench.data, "--labels", none + ".txt"}).code == 4);
  CHECK(Cli({"run", none + ".yaml"}).code == 2);
  CHECK(Cli({"export", bench.model, "--encodings", none, "-o", bench.out}).code == 2);
}

TEST_CASE("two outputs of one name are refused before any work") {
  const Bench bench;
  // Names of outputs are checked before the data is opened.
  const std::string none = bench.folder / "none.npy";
  const auto refused = [&](const std::string& statistics) {
    const CliResult result =
        Cli({"quantize", bench.model, "--calib", none, "-o", bench.out, "--stats-out", statistics});
    INFO(result.err);
    return result.code == 2 && result.err.find("choose another name for one") != std::string::npos;
  };
  CHECK(refused(bench.out));
  CHECK(refused(bench.folder / "out.encodings.json"));
  CHECK(refused(bench.folder / "./out.report.json"));
  fs::create_directory_symlink(bench.folder.path(), bench.folder / "link");
  CHECK(refused(bench.folder / "link/out.onnx"));
  bench.folder.Write("out.onnx", "old");
  fs::create_symlink("out.onnx", bench.folder / "soft");
  fs::create_hard_link(bench.out, bench.folder / "hard");
  CHECK(refused(bench.folder / "soft"));
  CHECK(refused(bench.folder / "hard"));
  CHECK(Contents(bench.out) == "old");
}

TEST_CASE("what is read is not replaced by what is written") {
  const Bench bench;
  CHECK(Cli({"quantize", bench.model, "--calib", bench.data, "-o", bench.out, "--store", bench.out})
            .err ==
        "error: --store '" + bench.out + "' is the name of an output; choose another\n");
  CHECK_FALSE(fs::exists(bench.out));

  const std::string folder = bench.folder / "dumped";
  REQUIRE(Cli({"dump", bench.model, "--data", bench.data, "--inputs", "-o", folder}).code == 0);
  const std::string fed = folder + "/input.x.npy", before = Contents(fed);
  const CliResult same = Cli({"dump", bench.model, "--data", fed, "--inputs", "-o", folder});
  CHECK(same.code == 2);
  CHECK(same.err.find("is the same file as input") != std::string::npos);
  CHECK(Contents(fed) == before);

  const graph::Model model = io::ReadOnnx(bench.model).value();
  const std::string outside = bench.folder / "outside.onnx";
  REQUIRE(io::WriteOnnx(model, outside, {.external_data = true}).ok());
  const std::string weights = Contents(outside + ".data");
  const CliResult over = Cli({"quantize", outside, "--calib", bench.data, "-o", outside + ".data"});
  CHECK(over.code == 2);
  CHECK(over.err.find("is the same file as input") != std::string::npos);
  CHECK(Contents(outside + ".data") == weights);
}

TEST_CASE("outputs whose names differ in punctuation alone are dumped into files of their own") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", R"(opset 13
graph g (float32[N,2] x) => (float32[N,2] "a.b", float32[N,2] "a/b") {
  "a.b" = Neg(x)
  "a/b" = Abs(x)
})");
  const std::string x = WriteArray(folder, "x.npy", Tensor::FromVector<float>({1, 2}, {1, -2}));
  const std::string in_rows = folder / "rows", whole = folder / "whole";
  REQUIRE(Cli({"dump", model, "--data", x, "-o", in_rows}).code == 0);
  REQUIRE(Cli({"dump", model, "--feed", "x=" + x, "-o", whole}).code == 0);
  for (const std::string& out : {in_rows, whole}) {
    CHECK(*io::ReadNpy(out + "/output.a_b.npy") == Tensor::FromVector<float>({1, 2}, {-1, 2}));
    CHECK(*io::ReadNpy(out + "/output.a_b_2.npy") == Tensor::FromVector<float>({1, 2}, {1, 2}));
  }
}

TEST_CASE("names from models steer no terminal, and JSON stays UTF-8") {
  const TempFolder folder;
  const std::string evil = "a\xe2\x80\xaez\xc2\x9b\xff\nforged";
  const std::string shown = "a\\u202ez\\u009b\\xff\\x0aforged";
  graph::Model made = graph::Parse(R"(opset 13
graph g (float32[N,2] x) => (float32[N,2] y) {
  y = Neg(x)
})")
                          .value();
  made.graph->nodes()[0]->outputs[0] = made.graph->outputs[0].name = evil;
  made.graph->nodes()[0]->name = evil;
  const std::string model = folder / "model.onnx";
  REQUIRE(io::WriteOnnx(made, model).ok());
  const std::string x = WriteArray(folder, "x.npy", Tensor::Zeros(DType::kFloat, {2, 2}));
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"inspect", model},
           {"eval", model, model, "--data", x},
           {"compare", model, model, "--data", x},
           {"bench", model, "--batch", "1", "--runs", "1", "--profile"},
           {"quantize", model, "--dry-run"},
           {"quantize", model, "--calib", x, "-o", folder / "out.onnx", "--set", "eval.path=" + x},
           {"dump", model, "--data", x, "-o", folder / "dumped"},
           {"lint", model}}) {
    const CliResult result = Cli(args);
    INFO(args[0] << " " << result.err << result.out);
    CHECK(result.out.find('\xff') == std::string::npos);
    CHECK(result.out.find("\xe2\x80\xae") == std::string::npos);
    CHECK(result.out.find('\xc2') == std::string::npos);
    CHECK(result.out.find("\nforged") == std::string::npos);
    std::vector<std::string> json = args;
    json.push_back("--json");
    const CliResult object = Cli(json);
    CHECK(Json::accept(object.code == 0 ? object.out : "{}"));
  }
  CHECK(Cli({"inspect", model}).out.find(shown) != std::string::npos);
}
