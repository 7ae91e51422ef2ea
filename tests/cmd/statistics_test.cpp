// --stats-out and --stats-in: calibrate once, make several models without the data.

#include <nlohmann/json.hpp>

#include "tests/cmd/cli.h"

using namespace roundel;
using namespace roundel::support;

namespace {

struct Bench {
  TempFolder folder;
  std::string model = WriteModel(folder, "model.onnx", kGemmModel);
  std::string data = WriteArray(folder, "points.npy", Points());
  std::string stats = folder / "points.stats.json";

  CliResult Quantize(const std::string& out, const std::vector<std::string>& more) const {
    std::vector<std::string> args = {"quantize", model, "-o", folder / out};
    args.insert(args.end(), more.begin(), more.end());
    return Cli(args);
  }
};

}  // namespace

TEST_CASE("a run from statistics gives the same bytes as the run from the data") {
  const Bench bench;
  REQUIRE(bench.Quantize("kept.onnx", {"--calib", bench.data, "--stats-out", bench.stats}).code ==
          0);
  for (const char* method : {"min_max", "percentile", "mse", "kl", "mean_min_max", "auto"}) {
    const std::string set = std::string("calibrate.method=") + method;
    REQUIRE(bench.Quantize("a.onnx", {"--calib", bench.data, "--set", set}).code == 0);
    const CliResult again = bench.Quantize("b.onnx", {"--stats-in", bench.stats, "--set", set});
    INFO(again.err);
    REQUIRE(again.code == 0);
    CHECK(Contents(bench.folder / "a.onnx") == Contents(bench.folder / "b.onnx"));
    CHECK(Contents(bench.folder / "a.encodings.json") ==
          Contents(bench.folder / "b.encodings.json"));
  }
  // The written recipe names the file, from where the recipe lies, and runs without the data.
  const std::string recipe = Contents(bench.folder / "b.recipe.yaml");
  CHECK(recipe.find("stats_in: [points.stats.json]") != std::string::npos);
  std::filesystem::remove(bench.data);
  CHECK(Cli({"run", bench.folder / "b.recipe.yaml"}).code == 0);
}

TEST_CASE("files of parts are merged, the flags need a pass that reads them") {
  const Bench bench;
  const std::string one = bench.folder / "one.json", two = bench.folder / "two.json";
  REQUIRE(
      bench.Quantize("x.onnx", {"--calib", bench.data, "--count", "4", "--stats-out", one}).code ==
      0);
  REQUIRE(bench.Quantize("x.onnx", {"--calib", bench.data, "--stats-out", two}).code == 0);
  const CliResult both = bench.Quantize("y.onnx", {"--stats-in", one, "--stats-in", two});
  INFO(both.err);
  CHECK(both.code == 0);
  const auto report = nlohmann::json::parse(Contents(bench.folder / "y.report.json"));
  CHECK(report.dump().find("\"samples\":12") != std::string::npos);

  const std::string fold = bench.folder.Write("fold.yaml", "passes: [bn_fold]\n");
  CHECK(bench.Quantize("z.onnx", {"--recipe", fold, "--stats-in", one}).err ==
        "error: --stats-in and --stats-out need a recipe with the pass calibrate\n");
  CHECK(bench.Quantize("z.onnx", {"--stats-in", bench.folder / "none.json"}).code != 0);
  CHECK(bench.Quantize("z.onnx", {"--calib", bench.data, "--stats-out", bench.model})
            .err.find("is the same file as input") != std::string::npos);
  // The preprocessing must be equal, the choice of samples may differ.
  const auto with = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> args = {"--calib", bench.data, "--stats-in", one};
    args.insert(args.end(), flags.begin(), flags.end());
    return bench.Quantize("z.onnx", args);
  };
  CHECK(with({"--count", "3", "--seed", "5"}).code == 0);
  const CliResult layout = with({"--resize", "none"});
  CHECK(layout.code == 4);
  CHECK(layout.err.find("made with another preprocessing") != std::string::npos);
  CHECK(with({"--resize", "none", "--set", "calibrate.stats_mismatch=accept"}).code == 0);
  const std::string other = WriteModel(bench.folder, "other.onnx", kConvModel);
  const CliResult wrong =
      Cli({"quantize", other, "-o", bench.folder / "o.onnx", "--stats-in", one});
  CHECK(wrong.code == 4);
  CHECK(wrong.err.find("these statistics are of another model") != std::string::npos);
}

TEST_CASE("stats merge writes what one run over all data writes") {
  const Bench bench;
  Tensor points = Points();
  const float* x = points.data<float>();
  const std::string first =
      WriteArray(bench.folder, "first.npy", Tensor::FromVector<float>({5, 2}, {x, x + 10}));
  const std::string second =
      WriteArray(bench.folder, "second.npy", Tensor::FromVector<float>({3, 2}, {x + 10, x + 16}));
  const auto stats = [&](const std::string& data, const std::string& name) {
    const std::string path = bench.folder / name;
    REQUIRE(bench.Quantize("x.onnx", {"--calib", data, "--stats-out", path}).code == 0);
    return path;
  };
  const std::string a = stats(first, "a.json"), b = stats(second, "b.json");
  const std::string whole = stats(bench.data, "whole.json"), out = bench.folder / "merged.json";
  const CliResult merged = Cli({"stats", "merge", a, b, "-o", out});
  INFO(merged.err);
  REQUIRE(merged.code == 0);
  CHECK(merged.out.find("8 samples of 2 files") != std::string::npos);
  nlohmann::json one = nlohmann::json::parse(Contents(whole)),
                 two = nlohmann::json::parse(Contents(out));
  one.erase("data_hash");  // of the names of files
  two.erase("data_hash");
  for (auto& [name, mean] : one["input_means"].items()) mean.erase("shape");  // of a batch
  for (auto& [name, mean] : two["input_means"].items()) mean.erase("shape");
  CHECK(one == two);
}

TEST_CASE("stats merge refuses what does not belong together, and to replace its input") {
  const Bench bench;
  const std::string other =
      WriteModel(bench.folder, "other.onnx", std::string(kGemmModel).replace(6, 2, "14"));
  const std::string a = bench.folder / "a.json", b = bench.folder / "b.json";
  REQUIRE(bench.Quantize("x.onnx", {"--calib", bench.data, "--stats-out", a}).code == 0);
  REQUIRE(Cli({"quantize", other, "--calib", bench.data, "-o", bench.folder / "y.onnx",
               "--stats-out", b})
              .code == 0);
  const std::string out = bench.folder / "out.json";
  const CliResult mixed = Cli({"stats", "merge", a, b, "-o", out});
  CHECK(mixed.code == 4);
  CHECK(mixed.err.find("are of different models") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(out));
  CHECK(Cli({"stats", "merge", a, b, "-o", out, "--accept-mismatch"}).code == 0);
  CHECK(Cli({"stats", "merge", a, "-o", a}).code == 2);
  CHECK(Cli({"stats", "split", a, "-o", out}).code == 2);
  CHECK(Cli({"stats", "merge", bench.folder / "none.json", "-o", out}).code == 4);
}
