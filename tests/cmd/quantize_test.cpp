#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "lib/base/interrupt.h"
#include "lib/base/random.h"
#include "tests/cmd/cli.h"

using namespace roundel;
using namespace roundel::support;

namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

// A folder with a model and data for it.
struct Bench {
  TempFolder folder;
  std::string model = WriteModel(folder, "model.onnx", kGemmModel);
  std::string data = WriteArray(folder, "points.npy", Points());
  std::string out = folder / "out.onnx";

  std::vector<std::string> Args(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {"quantize", model, "--calib", data, "-o", out};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
};

Json WithoutTiming(const std::string& path) {
  Json json = Json::parse(Contents(path));
  CHECK(json.contains("timing"));
  json.erase("timing");
  return json;
}

// The command fails with `code`, and the folder is as it was before.
std::string Fails(const TempFolder& folder, const std::vector<std::string>& args, int code) {
  const std::vector<std::string> before = FilesIn(folder);
  const CliResult result = Cli(args);
  INFO(result.err);
  CHECK(result.code == code);
  CHECK(result.out.empty());
  CHECK(FilesIn(folder) == before);
  return result.err;
}

}  // namespace

TEST_CASE("quantize writes model, encodings, recipe and report") {
  const Bench bench;
  const CliResult result = Cli(bench.Args({"--method", "min_max"}));
  REQUIRE(result.code == 0);
  CHECK(result.out.find("quantized  2 activations, 1 weight, 1 bias\n") != std::string::npos);
  CHECK(FilesIn(bench.folder) == std::vector<std::string>{"model.onnx", "out.encodings.json",
                                                          "out.onnx", "out.recipe.yaml",
                                                          "out.report.json", "points.npy"});
  const auto quantized = io::ReadOnnx(bench.out);
  REQUIRE(quantized.ok());
  int quantizers = 0;
  for (const auto& node : quantized->graph->nodes()) quantizers += node->Is("QuantizeLinear");
  CHECK(quantizers == 2);
  // Grids worked by hand: x in [-2, 2] and y in [-2.5, 3.5] on 256 levels; w symmetric, largest 1.
  const Json encodings = Json::parse(Contents(bench.folder / "out.encodings.json"));
  CHECK(encodings["version"] == "1.0.0");
  for (const auto& entry : encodings["activation_encodings"]) {
    const double range = entry["name"] == "x" ? 4.0 : 6.0;
    CHECK(entry["scale"][0].get<double>() == Approx(range / 255).epsilon(1e-6));
  }
  for (const auto& entry : encodings["param_encodings"])
    if (entry["name"] == "w") CHECK(entry["scale"][0].get<double>() == Approx(1.0 / 127));
  const Json report = Json::parse(Contents(bench.folder / "out.report.json"));
  CHECK(report["facts"]["samples"] == 8);
  CHECK(report["facts"]["seed"] == 0);
  CHECK(report["facts"]["model"] == "model.onnx");
  CHECK(report["facts"]["tool"].get<std::string>().rfind("roundel ", 0) == 0);
  for (const char* hash : {"model_hash", "data_hash", "recipe_hash"})
    CHECK(report["facts"][hash].get<std::string>().size() == 16);
  CHECK(report["passes"].size() == 3);
}

TEST_CASE("quantize gives the same bytes again, with any number of threads") {
  const Bench bench;
  const TempFolder second;
  REQUIRE(Cli(bench.Args({"--threads", "1"})).code == 0);
  std::vector<std::string> args = bench.Args({"--threads", "3"});
  args[5] = second / "out.onnx";
  REQUIRE(Cli(args).code == 0);
  for (const char* name : {"out.onnx", "out.encodings.json"})
    CHECK(Contents(bench.folder / name) == Contents(second / name));
  CHECK(WithoutTiming(bench.folder / "out.report.json") ==
        WithoutTiming(second / "out.report.json"));
}

TEST_CASE("with --resume what was solved is kept and used again") {
  const Bench bench;
  const std::vector<std::string> more = {"--recipe", "w4_cnn", "--resume"};
  REQUIRE(Cli(bench.Args({"--recipe", "w4_cnn"})).code == 0);
  const std::string plain = Contents(bench.out);
  REQUIRE(Cli(bench.Args(more)).code == 0);
  CHECK(Contents(bench.out) == plain);
  const Json first = Json::parse(Contents(bench.folder / "out.report.json"));
  CHECK_FALSE(first["timing"]["passes"].back().contains("resumed"));
  REQUIRE(Cli(bench.Args(more)).code == 0);
  CHECK(Contents(bench.out) == plain);
  const Json second = Json::parse(Contents(bench.folder / "out.report.json"));
  CHECK(second["timing"]["passes"].back()["resumed"] == 1);
  CHECK(second["passes"] == first["passes"]);
  // Another folder, and a path that is not a folder.
  REQUIRE(Cli(bench.Args({"--recipe", "w4_cnn", "--store", bench.folder / "kept"})).code == 0);
  CHECK_FALSE(fs::is_empty(bench.folder / "kept"));
  CHECK(Cli(bench.Args({"--recipe", "w4_cnn", "--store", bench.model})).code == 1);
}

TEST_CASE("without data: the recipe that needs none, also by its name with hyphens") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kGemmModel);
  for (const char* recipe : {"data_free_int8", "data-free-int8"}) {
    const CliResult result = Cli({"quantize", model, "--recipe", recipe, "--set",
                                  "calibrate.input_range=-1,1", "-o", folder / "out.onnx"});
    INFO(result.err);
    REQUIRE(result.code == 0);
    CHECK(result.out.find("quantized  1 activation, 1 weight, 1 bias\n") != std::string::npos);
  }
  const CliResult silent =
      Cli({"quantize", model, "--recipe", "data_free_int8", "-o", folder / "out.onnx"});
  CHECK(silent.code == 0);
  CHECK(Contents(folder / "out.report.json").find("set input_range") != std::string::npos);
}

TEST_CASE("the effective recipe runs again and gives the same model") {
  const Bench bench;
  REQUIRE(Cli(bench.Args({"--set", "weights.bits=5", "--seed", "3"})).code == 0);
  const std::string model = Contents(bench.out),
                    recipe = Contents(bench.folder / "out.recipe.yaml");
  CHECK(recipe.find("\nseed: 3\n") != std::string::npos);
  fs::remove(bench.out);
  REQUIRE(Cli({"run", bench.folder / "out.recipe.yaml"}).code == 0);
  CHECK(Contents(bench.out) == model);
  CHECK(Contents(bench.folder / "out.recipe.yaml") == recipe);
  // Changed settings under the same name would replace the recipe that they came from.
  CHECK(Fails(bench.folder, {"run", bench.folder / "out.recipe.yaml", "--set", "weights.bits=6"}, 2)
            .find("is the same file as input") != std::string::npos);
}

TEST_CASE("a recipe file means paths from its own folder") {
  const Bench bench;
  fs::create_directory(bench.folder / "recipes");
  const std::string recipe = bench.folder.Write("recipes/mine.yaml",
                                                "model: ../model.onnx\n"
                                                "output: ../out.onnx\n"
                                                "data: {path: ../points.npy, count: 4}\n"
                                                "passes: [calibrate]\n");
  REQUIRE(Cli({"run", recipe}).code == 0);
  const Json report = Json::parse(Contents(bench.folder / "out.report.json"));
  CHECK(report["facts"]["samples"] == 4);
  const std::string effective = Contents(bench.folder / "out.recipe.yaml");
  CHECK(effective.find("\nmodel: model.onnx\n") != std::string::npos);
  CHECK(effective.find("\n  path: points.npy\n") != std::string::npos);
}

TEST_CASE("quantize folds batch normalization and reports what it did") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kConvModel);
  Random random(7);
  Tensor images = Tensor::Zeros(DType::kFloat, {10, 2, 6, 6});
  for (int64_t i = 0; i < images.size(); ++i)
    images.mutable_data<float>()[i] = static_cast<float>(random.Normal());
  const std::string data = WriteArray(folder, "images.npy", images);
  const CliResult result =
      Cli({"quantize", model, "--calib", data, "-o", folder / "out.onnx", "--json"});
  REQUIRE(result.code == 0);
  const Json json = Json::parse(result.out);
  CHECK(json["passes"][0]["name"] == "bn_fold");
  CHECK(json["passes"][0]["outcome"] == "changed");
  CHECK(json["facts"]["weight_bytes_after"] < json["facts"]["weight_bytes_before"]);
  REQUIRE(json["files"].size() == 4);
  for (const auto& file : json["files"])
    CHECK(file["bytes"] == fs::file_size(file["path"].get<std::string>()));
}

TEST_CASE("quantize can write further encodings versions, the float model and external data") {
  Bench bench;
  // Weights of some kilobytes: what is smaller stays inside the model.
  bench.model = WriteModel(bench.folder, "wide.onnx", R"(opset 13
    graph g (float32[N,2] x) => (float32[N,1024] y) {
      float32[2,1024] w = random(1)
      y = MatMul(x, w)
    })");
  REQUIRE(Cli(bench.Args({"--set", "export.encodings_version=0.6.1,2.0.0", "--set",
                          "export.float_model=true", "--set", "export.external_data=true"}))
              .code == 0);
  for (const char* name : {"out.encodings-0.6.1.json", "out.encodings-2.0.0.json", "out.float.onnx",
                           "out.onnx.data", "out.float.onnx.data"})
    CHECK(fs::exists(bench.folder / name));
  CHECK_FALSE(fs::exists(bench.folder / "out.encodings.json"));
  CHECK(io::ReadOnnx(bench.out).ok());
  CHECK(io::ReadOnnx(bench.folder / "out.float.onnx").ok());
}

TEST_CASE("a plan needs neither data nor an output and writes nothing") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kGemmModel);
  const CliResult text = Cli({"quantize", model, "--dry-run"});
  CHECK(text.code == 0);
  CHECK(text.out.find("2 activations, 1 weight, 1 bias") != std::string::npos);
  const CliResult result = Cli({"quantize", model, "--dry-run", "--json", "--set", "exclude=Gemm"});
  REQUIRE(result.code == 0);
  const Json json = Json::parse(result.out);
  CHECK(json["tensors"].empty());
  REQUIRE(json["float_nodes"].size() == 1);
  CHECK(json["float_nodes"][0]["op_type"] == "Gemm");
  CHECK(json["weight_bytes_before"] == 36);
  CHECK(json["weight_bytes_after_estimate"] == 36);
  CHECK(FilesIn(folder) == std::vector<std::string>{"model.onnx"});
  // 6 weights of one byte, 3 scales; 3 biases of 4 bytes, 3 scales.
  const Json full = Json::parse(Cli({"quantize", model, "--dry-run", "--json"}).out);
  CHECK(full["weight_bytes_after_estimate"] == 6 + 12 + 12 + 12);
  CHECK(full["passes_left_out"] == Json({"calibrate", "bias_correct"}));
}

TEST_CASE("print-recipe prints a recipe that reads back") {
  const Bench bench;
  const CliResult first = Cli(bench.Args({"--print-recipe", "--count", "5", "--recipe",
                                          "int8_per_tensor", "--set", "cle.iterations=3"}));
  INFO(first.err);
  const CliResult plain = Cli(bench.Args({"--print-recipe", "--count", "5"}));
  REQUIRE(plain.code == 0);
  CHECK(plain.out.find("\n  count: 5\n") != std::string::npos);
  const std::string path = bench.folder.Write("r.yaml", plain.out);
  const CliResult again = Cli({"run", path, "--print-recipe"});
  REQUIRE(again.code == 0);
  CHECK(again.out == plain.out);
  CHECK(Json::parse(Cli({"run", path, "--print-recipe", "--json"}).out)["recipe"] == plain.out);
  CHECK_FALSE(fs::exists(bench.out));
}

TEST_CASE("both built-in recipes run") {
  for (const char* recipe : {"int8_per_channel", "int8_per_tensor"}) {
    const Bench bench;
    INFO(recipe);
    CHECK(Cli(bench.Args({"--recipe", recipe})).code == 0);
    CHECK(fs::exists(bench.out));
  }
}

TEST_CASE("outputs that would destroy something are refused before any work") {
  const Bench bench;
  std::vector<std::string> args = bench.Args();
  const auto with_output = [&](const std::string& path) {
    args[5] = path;
    return Fails(bench.folder, args, 2);
  };
  const std::string model = Contents(bench.model);
  CHECK(with_output(bench.model).find("is the same file as input") != std::string::npos);
  CHECK(with_output(bench.folder / "./model.onnx").find("is the same file") != std::string::npos);
  fs::create_symlink("model.onnx", bench.folder / "link.onnx");
  CHECK(with_output(bench.folder / "link.onnx").find("is the same file") != std::string::npos);
  fs::create_hard_link(bench.model, bench.folder / "hard.onnx");
  CHECK(with_output(bench.folder / "hard.onnx").find("is the same file") != std::string::npos);
  CHECK(with_output(bench.folder / "no/out.onnx").find("there is no folder") != std::string::npos);
  CHECK(with_output(bench.folder.path()).find("is a folder") != std::string::npos);
  CHECK(with_output("/dev/null").find("is not a regular file") != std::string::npos);
  fs::create_directory(bench.folder / "taken.report.json");
  CHECK(with_output(bench.folder / "taken.onnx").find("is a folder") != std::string::npos);
  fs::create_symlink("points.npy", bench.folder / "data.encodings.json");
  CHECK(with_output(bench.folder / "data.onnx").find("is the same file") != std::string::npos);
  CHECK(Contents(bench.model) == model);
}

TEST_CASE("external data of the input is not replaced") {
  const Bench bench;
  auto model = io::ReadOnnx(bench.model);
  REQUIRE(model.ok());
  // An input whose weights lie where the output's would go.
  const std::string weights(2048, 'w');
  REQUIRE(io::WriteOnnx(*model, bench.folder / "in.onnx").ok());
  bench.folder.Write("in.onnx", Contents(bench.folder / "in.onnx") + "");
  model->SetMetadata("weights", "out.onnx.data");  // what the check looks for: the name in the file
  REQUIRE(io::WriteOnnx(*model, bench.folder / "in.onnx").ok());
  bench.folder.Write("out.onnx.data", weights);
  std::vector<std::string> args = bench.Args();
  args[1] = bench.folder / "in.onnx";
  CHECK(Fails(bench.folder, args, 2).find("holds weights of the input") != std::string::npos);
}

TEST_CASE("what is missing is told, and what to give") {
  const Bench bench;
  CHECK(Fails(bench.folder, {"quantize", bench.model, "--calib", bench.data}, 2) ==
        "error: no output file: give -o OUT.onnx (or 'output' in the recipe)\n");
  CHECK(Fails(bench.folder, {"quantize", bench.model, "-o", bench.out}, 2)
            .find("needs calibration data: give --calib") != std::string::npos);
  CHECK(Fails(bench.folder, {"quantize", bench.folder / "no.onnx", "-o", bench.out}, 3)
            .find("no.onnx") != std::string::npos);
  CHECK(Fails(bench.folder, {"run", bench.folder / "no.yaml"}, 2).find("no.yaml") !=
        std::string::npos);
  CHECK(Fails(bench.folder, {"run", "int8_per_channel"}, 2)
            .find("no model: set 'model', or give --set model=FILE") != std::string::npos);
  CHECK(Fails(bench.folder, bench.Args({"--recipe", "int8_per_chanel"}), 2) ==
        "error: no recipe 'int8_per_chanel'; did you mean 'int8_per_channel'?\n");
  CHECK(Fails(bench.folder, bench.Args({"--recipe", "zzzzzzzzzzzzzz"}), 2).find("; built in: ") !=
        std::string::npos);
  CHECK(Fails(bench.folder, bench.Args({"--target", "ort-cpo"}), 2).find("'ort-cpu'") !=
        std::string::npos);
}

TEST_CASE("wrong settings are usage errors that name the key") {
  const Bench bench;
  const auto set = [&](const std::string& assignment) {
    return Fails(bench.folder, bench.Args({"--set", assignment}), 2);
  };
  CHECK(set("calibrate.percentil=99") ==
        "error: --set calibrate.percentil=99: unknown key 'percentil'; did you mean "
        "'percentile'?\n");
  CHECK(set("weights.bits=40").find("'bits' must be one of auto, 2, ") != std::string::npos);
  CHECK(set("weights.granularity=block").find("needs a block_size") != std::string::npos);
  CHECK(set("weights.block_size=32").find("needs granularity block") != std::string::npos);
  CHECK(set("activations.bits=3").find("has no uint3 activations; it takes ") != std::string::npos);
  // The flag that the message suggests works.
  const std::vector<std::string> middle = {"--target",       "qnn-htp", "--set",
                                           "weights.bits=4", "--set",   "weights.symmetric=false"};
  CHECK(Fails(bench.folder, bench.Args(middle), 2).find(": give --set weights.symmetric=true\n") !=
        std::string::npos);
  const std::vector<std::string> wide = {"--target", "openvino", "--bits", "4"};
  CHECK(Fails(bench.folder, bench.Args(wide), 2).find(": give --set weights.bits=8\n") !=
        std::string::npos);
  for (std::vector<std::string> given : {middle, wide}) {
    given.back() = given.back() == "4" ? "8" : "weights.symmetric=true";
    const TempFolder other;
    std::vector<std::string> args = bench.Args(given);
    args[5] = other / "out.onnx";
    CHECK(Cli(args).code == 0);
  }
  CHECK(Fails(bench.folder,
              bench.Args({"--set", "weights.signed=false", "--set", "weights.narrow_range=true"}),
              2)
            .find("narrow_range needs a signed symmetric grid") != std::string::npos);
  CHECK(set("exclude=re:(").find("(") != std::string::npos);
  CHECK(Fails(bench.folder, bench.Args({"--count", "-3"}), 2) ==
        "error: --count: 'count' must be between 0 and 1e+12, not '-3'\n");
  CHECK(
      Fails(bench.folder, bench.Args({"--preset", "imagnet"}), 2).find("did you mean 'imagenet'") !=
      std::string::npos);
  CHECK(Fails(bench.folder, bench.Args({"--seed", "x"}), 2).find("--seed: ") != std::string::npos);
  const std::string bad =
      bench.folder.Write("bad.yaml", "passes:\n  - calibrate: {percentil: 9}\n");
  CHECK(Fails(bench.folder, bench.Args({"--recipe", bad}), 2) ==
        "error: " + bad + ":2: unknown key 'percentil' in calibrate; did you mean 'percentile'?\n");
  const std::string gate =
      bench.folder.Write("gate.yaml", "gate: {min_sqnr: 10}\npasses: [calibrate]\n");
  CHECK(Fails(bench.folder, bench.Args({"--recipe", gate}), 2).find("set eval.path") !=
        std::string::npos);
  const std::string none = bench.folder.Write("none.yaml", "passes: []\n");
  CHECK(Fails(bench.folder, bench.Args({"--recipe", none}), 2).find("add '- calibrate'") !=
        std::string::npos);
}

TEST_CASE("bad models exit with 3") {
  const Bench bench;
  std::vector<std::string> args = bench.Args();
  args[1] = bench.folder.Write("cut.onnx", Contents(bench.model).substr(0, 60));
  CHECK(Fails(bench.folder, args, 3).find("cut.onnx") != std::string::npos);
  args[1] = bench.folder.Write("empty.onnx", "");
  CHECK(Fails(bench.folder, args, 3).find("empty.onnx") != std::string::npos);
  args[1] = WriteModel(bench.folder, "custom.onnx", R"(opset 13, my.ops 1
graph main (float32[N,2] x) => (float32[N,2] y) {
  h = my.ops.Frobnicate(x)
  y = Relu(h)
}
)");
  const std::string message = Fails(bench.folder, args, 3);
  CHECK(message.find("has 1 node that the engine cannot run: ") != std::string::npos);
  CHECK(message.find("Frobnicate") != std::string::npos);
}

TEST_CASE("operators that neither engine nor target knows do not stop a recipe for weights alone") {
  TempFolder folder;
  const std::string model = WriteModel(folder, "custom.onnx", R"(opset 13, my.ops 1
graph main (float32[N,32] x) => (float32[N,8] y) {
  float32[32,8] w = random(1)
  h = my.ops.Frobnicate(x)
  y = MatMul(h, w)
}
)");
  REQUIRE(Cli({"quantize", model, "--recipe", "w4_llm", "-o", folder / "q.onnx"}).code == 0);
  const auto quantized = io::ReadOnnx(folder / "q.onnx");
  REQUIRE(quantized.ok());
  std::vector<std::string> ops;
  for (const auto& node : quantized->graph->nodes()) ops.push_back(node->op_type);
  CHECK(ops == std::vector<std::string>{"Frobnicate", "MatMulNBits"});
  // The target's rule on domains is still reported.
  CHECK(Contents(folder / "q.report.json")
            .find("the model itself breaks rules of target 'llm-matmulnbits' in 1 place: operator "
                  "Frobnicate of my.ops (llm-matmulnbits does not know it): export the model "
                  "without it") != std::string::npos);
}

TEST_CASE("bad data exits with 4") {
  const Bench bench;
  std::vector<std::string> args = bench.Args();
  fs::create_directory(bench.folder / "nothing");
  args[3] = bench.folder / "nothing";
  CHECK(Fails(bench.folder, args, 4).find("nothing") != std::string::npos);
  args[3] = WriteArray(bench.folder, "wide.npy", Tensor::Zeros(DType::kFloat, {4, 7}));
  CHECK(Fails(bench.folder, args, 4).find("7") != std::string::npos);
  args[3] = bench.folder.Write("broken.npy", "\x93NUMPY broken");
  CHECK(Fails(bench.folder, args, 4).find("broken.npy") != std::string::npos);
  Tensor points = Points();
  points.mutable_data<float>()[3] = std::nanf("");
  args[3] = WriteArray(bench.folder, "nan.npy", points);
  CHECK(Fails(bench.folder, args, 4).find("nan.npy[1]: element 1 is NaN") != std::string::npos);
}

TEST_CASE("a failure at the last file leaves nothing behind") {
  const Bench bench;
  // 0.6.1 cannot hold blocks, which shows when the encodings are written.
  const std::string message =
      Fails(bench.folder,
            bench.Args({"--set", "weights.granularity=block", "--set", "weights.block_size=1",
                        "--set", "export.encodings_version=1.0.0,0.6.1"}),
            2);
  CHECK(message.find("0.6.1") != std::string::npos);
}

TEST_CASE("older outputs stay whole when a run fails") {
  const Bench bench;
  REQUIRE(Cli(bench.Args()).code == 0);
  const std::string before = Contents(bench.out);
  std::vector<std::string> args = bench.Args();
  args[3] = bench.folder.Write("broken.npy", "no");
  Fails(bench.folder, args, 4);
  CHECK(Contents(bench.out) == before);
}

TEST_CASE("the eval section measures the result, and its gate exits with 5") {
  const Bench bench;
  const std::string labels = WriteArray(bench.folder, "labels.npy", PointLabels());
  const std::vector<std::string> eval = {"--set", "eval.path=" + bench.data, "--set",
                                         "eval.labels=" + labels};
  std::vector<std::string> args = bench.Args(eval);
  const CliResult good = Cli(args);
  INFO(good.err);
  REQUIRE(good.code == 0);
  const Json report = Json::parse(Contents(bench.folder / "out.report.json"));
  CHECK(report["facts"]["eval_top1_float"] == 100.0);
  CHECK(report["facts"]["eval_top1_quantized"] == 100.0);
  args.insert(args.end(), {"--set", "gate.min_sqnr=199"});
  const CliResult gated = Cli(args);
  CHECK(gated.code == 5);
  CHECK(gated.err.find("quality gate: output 'y' has an SQNR of ") != std::string::npos);
  CHECK(fs::exists(bench.out));  // done, but not good enough
  const Json failed = Json::parse(Contents(bench.folder / "out.report.json"))["gates"];
  REQUIRE(failed.size() == 1);
  CHECK(failed[0]["name"] == "min_sqnr y");
  CHECK(failed[0]["verdict"] == "failed");
  CHECK(report["gates"].empty());
}

TEST_CASE("the gate of the size needs no eval data, and knows the bytes before they are written") {
  const Bench bench;
  for (const char* external : {"false", "true"}) {
    const CliResult result = Cli(bench.Args(
        {"--set", "gate.max_size=100", "--set", std::string("export.external_data=") + external}));
    CHECK(result.code == 5);
    const Json gate = Json::parse(Contents(bench.folder / "out.report.json"))["gates"][0];
    const std::string data = bench.out + ".data";
    const auto bytes = fs::file_size(bench.out) + (fs::exists(data) ? fs::file_size(data) : 0);
    CHECK(gate["value"] == bytes);
    CHECK(gate["limit"] == 100);
    CHECK(result.err.find("quality gate: the model has " + std::to_string(bytes)) !=
          std::string::npos);
  }
}

TEST_CASE("an interrupted run exits with 130 and leaves nothing behind") {
  const Bench bench;
  const std::vector<std::string> before = FilesIn(bench.folder);
  const pid_t child = fork();
  if (child == 0) {
    RequestInterrupt();
    std::ostringstream out, err;
    // One thread, because a forked child has no threads of its parent.
    const int code = cmd::RunMain(bench.Args({"--threads", "1", "-q"}), out, err);
    _exit(err.str() == "error: interrupted\n" ? code : 99);
  }
  int state = 0;
  REQUIRE(waitpid(child, &state, 0) == child);
  CHECK(WIFEXITED(state));
  CHECK(WEXITSTATUS(state) == 130);
  CHECK(FilesIn(bench.folder) == before);
}
