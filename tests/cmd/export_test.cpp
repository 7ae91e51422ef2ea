#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "tests/cmd/cli.h"

using namespace roundel;
using namespace roundel::support;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

// A quantized model with the float model and the encodings that it was made from.
struct Bench {
  TempFolder folder;
  std::string model = WriteModel(folder, "model.onnx", kConvModel);
  std::string data = WriteArray(folder, "images.npy", Images());
  std::string quantized = folder / "q.onnx";
  std::string encodings = folder / "q.encodings.json";
  std::string folded = folder / "q.float.onnx";

  Bench() {
    REQUIRE(Cli({"quantize", model, "--calib", data, "-o", quantized, "--set",
                 "export.float_model=true"})
                .code == 0);
  }
  static Tensor Images() {
    Tensor images = Tensor::Zeros(DType::kFloat, {6, 2, 6, 6});
    for (int64_t i = 0; i < images.size(); ++i)
      images.mutable_data<float>()[i] = static_cast<float>((i * 37) % 101) / 50 - 1;
    return images;
  }
  // SQNR of b's output against a's; infinity if they agree in every bit.
  double Sqnr(const std::string& a, const std::string& b) const {
    const CliResult result = Cli({"eval", a, b, "--data", data, "--json"});
    REQUIRE(result.code == 0);
    const Json sqnr = Json::parse(result.out)["outputs"][0]["sqnr_db"];
    return sqnr.is_null() ? HUGE_VAL : sqnr.get<double>();
  }
  std::string Fails(const std::vector<std::string>& args, int code) const {
    const std::vector<std::string> before = FilesIn(folder);
    const CliResult result = Cli(args);
    INFO(result.err);
    CHECK(result.code == code);
    CHECK(FilesIn(folder) == before);
    return result.err;
  }
};

}  // namespace

TEST_CASE("export of float model and encodings computes what quantize exported") {
  const Bench bench;
  const std::string out = bench.folder / "again.onnx";
  const CliResult result =
      Cli({"export", bench.folded, "--encodings", bench.encodings, "-o", out, "--json"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  const Json json = Json::parse(result.out);
  CHECK(json["files"] == Json({out}));
  CHECK(json["encodings"].get<int>() > 3);
  CHECK(bench.Sqnr(bench.quantized, out) == HUGE_VAL);
}

TEST_CASE("encodings work with the model that was given, though passes changed it before") {
  TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", R"(opset 13
    graph g (float32[N,2,6,6] x) => (float32[N,3,6,6] y) {
      float32[4,2,1,1] w = random(1)
      float32[4] s = ones
      float32[4] t = random(2)
      float32[4] m = random(3)
      float32[4] v = ones
      float32[3,4,1,1] u = random(4)
      c = Conv(x, w)
      n = BatchNormalization(c, s, t, m, v)
      r = Relu(n)
      y = Conv(r, u)
    })");
  const std::string data = WriteArray(folder, "images.npy", Bench::Images());
  const std::string quantized = folder / "q.onnx", encodings = folder / "q.encodings.json";
  // Without bias_correct the model does not depend on the data.
  std::ofstream(folder / "recipe.yaml") << "passes:\n  - bn_fold\n  - calibrate\n";
  REQUIRE(
      Cli({"quantize", model, "--calib", data, "-o", quantized, "--recipe", folder / "recipe.yaml"})
          .code == 0);
  const auto sqnr = [&](const std::vector<std::string>& second) {
    std::vector<std::string> args = {"eval", quantized};
    args.insert(args.end(), second.begin(), second.end());
    args.insert(args.end(), {"--data", data, "--json"});
    const CliResult result = Cli(args);
    INFO(result.err);
    REQUIRE(result.code == 0);
    const Json value = Json::parse(result.out)["outputs"][0]["sqnr_db"];
    return value.is_null() ? HUGE_VAL : value.get<double>();
  };
  const std::string again = folder / "again.onnx";
  REQUIRE(Cli({"export", model, "--encodings", encodings, "-o", again}).code == 0);
  CHECK(sqnr({again}) == HUGE_VAL);
  const CliResult eval = Cli({"eval", model, "--encodings", encodings, "--data", data});
  CHECK(eval.code == 0);
  CHECK(Cli({"compare", model, "--encodings", encodings, "--data", data}).code == 0);

  // The float model next to the encodings is used, including the biases that bias_correct changed.
  REQUIRE(
      Cli({"quantize", model, "--calib", data, "-o", quantized, "--set", "export.float_model=true"})
          .code == 0);
  REQUIRE(Cli({"export", model, "--encodings", encodings, "-o", again}).code == 0);
  CHECK(sqnr({again}) == HUGE_VAL);
  // An impossible request is an error that names an alternative.
  fs::remove(folder / "q.float.onnx");
  Json file = Json::parse(std::ifstream(encodings));
  file["roundel"]["passes"] = "passes:\n  - high_bias_absorb:\n      source: data\n";
  std::ofstream(encodings) << file.dump();
  const CliResult failed = Cli({"export", model, "--encodings", encodings, "-o", again});
  CHECK(failed.code == 2);
  CHECK(failed.err.find("export.float_model=true") != std::string::npos);
}

TEST_CASE("copies of shared constants are made again where encodings are applied") {
  TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", R"(opset 13
    graph g (float32[N,8] x) => (float32[N,16] y, float32[N,16] z) {
      float32[16,8] w = random(1)
      float32[16] c = random(2)
      h = Gemm<transB=1>(x, w, c)
      y = Div(h, c)
      z = Add(h, c)
    })");
  Tensor rows = Tensor::Zeros(DType::kFloat, {4, 8});
  for (int64_t i = 0; i < rows.size(); ++i)
    rows.mutable_data<float>()[i] = static_cast<float>((i * 37) % 101) / 50 - 1;
  const std::string data = WriteArray(folder, "rows.npy", rows);
  const std::string quantized = folder / "q.onnx", encodings = folder / "q.encodings.json";
  const std::string recipe = folder / "recipe.yaml";  // whose biases are the model's
  std::ofstream(recipe) << "weights: {granularity: channel}\npasses: [calibrate]\n";
  REQUIRE(Cli({"quantize", model, "--recipe", recipe, "--calib", data, "-o", quantized}).code == 0);
  const std::string again = folder / "again.onnx";
  REQUIRE(Cli({"export", model, "--encodings", encodings, "-o", again}).code == 0);
  const CliResult result = Cli({"eval", quantized, again, "--data", data, "--json"});
  REQUIRE(result.code == 0);
  const Json report = Json::parse(result.out);
  REQUIRE_FALSE(report["outputs"].empty());
  for (const Json& output : report["outputs"]) CHECK(output["sqnr_db"].is_null());
}

TEST_CASE("export follows a target as quantize does") {
  const Bench bench;
  const std::string out = bench.folder / "out.onnx";
  const auto ops = [&] {
    std::set<std::string> found;
    const Result<graph::Model> model = io::ReadOnnx(out);
    REQUIRE(model.ok());
    for (const auto& node : model->graph->nodes()) found.insert(node->op_type);
    return found;
  };
  REQUIRE(Cli({"export", bench.folded, "--encodings", bench.encodings, "--target", "generic", "-o",
               out})
              .code == 0);
  CHECK(ops().contains("Relu"));  // no layer of that target absorbs it
  REQUIRE(Cli({"export", bench.folded, "--encodings", bench.encodings, "--target", "ort-cpu", "-o",
               out})
              .code == 0);
  CHECK_FALSE(ops().contains("Relu"));
  fs::remove(out);
  const std::string said = bench.Fails({"export", bench.folded, "--encodings", bench.encodings,
                                        "--target", "tensorrt", "--to", "qoperator", "-o", out},
                                       2);
  CHECK(said.find("takes no format qoperator") != std::string::npos);
}

TEST_CASE("encodings that a version cannot hold are found before any work") {
  TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", R"(opset 17
    graph g (float32[N,6,4] x) => (float32[N,5,4] y) {
      float32[5,6] w = random(1)
      y = MatMul(w, x)
    })");
  const std::string out = folder / "q.onnx";
  std::ofstream(folder / "recipe.yaml") << "activations: float\npasses:\n  - calibrate\n";
  const std::vector<std::string> run = {"quantize", model,      "-o",
                                        out,        "--recipe", folder / "recipe.yaml"};
  // No version is requested: one that can hold the encodings is chosen.
  REQUIRE(Cli(run).code == 0);
  CHECK(Contents(folder / "q.report.json").find("encodings are written in version 2.0.0") !=
        std::string::npos);
  CHECK(Json::parse(std::ifstream(folder / "q.encodings.json"))["version"] == "2.0.0");
  for (const char* version : {"1.0.0", "0.6.1"}) {
    std::vector<std::string> asked = run;
    asked.insert(asked.end(), {"--set", StrCat("export.encodings_version=", version)});
    const CliResult result = Cli(asked);
    INFO(version << result.err);
    CHECK(result.code == 2);
    CHECK(result.err.find("set export.encodings_version to 2.0.0") != std::string::npos);
  }
}

TEST_CASE("blocks of kernels are written in a version that holds them") {
  TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", R"(opset 17
    graph g (float32[N,32,9,9] x) => (float32[N,8,7,7] y) {
      float32[8,32,3,3] w = random(1)
      y = Conv(x, w)
    })");
  const CliResult result = Cli(
      {"quantize", model, "-o", folder / "q.onnx", "--recipe", "w4_llm", "--target", "ort-cpu"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  const Json written = Json::parse(std::ifstream(folder / "q.encodings.json"));
  CHECK(written["version"] == "2.0.0");
}

TEST_CASE("export to float and back gives a model that computes the same") {
  const Bench bench;
  const std::string plain = bench.folder / "plain.onnx", back = bench.folder / "back.onnx";
  const CliResult taken = Cli({"export", bench.quantized, "--to", "float", "-o", plain,
                               "--encodings-version", "1.0.0,2.0.0"});
  INFO(taken.err);
  REQUIRE(taken.code == 0);
  for (const char* version : {"1.0.0", "2.0.0"})
    CHECK(fs::exists(bench.folder / ("plain.encodings-" + std::string(version) + ".json")));
  const auto model = io::ReadOnnx(plain);
  REQUIRE(model.ok());
  for (const auto& node : model->graph->nodes()) CHECK_FALSE(node->Is("QuantizeLinear"));
  for (const char* version : {"1.0.0", "2.0.0"}) {
    const std::string encodings =
        bench.folder / ("plain.encodings-" + std::string(version) + ".json");
    REQUIRE(Cli({"export", plain, "--encodings", encodings, "-o", back}).code == 0);
    CHECK(bench.Sqnr(bench.quantized, back) == HUGE_VAL);
  }
}

// An encodings file without the key that identifies its model.
Json Table(const std::string& path) {
  Json table = Json::parse(Contents(path));
  table.erase("roundel");
  return table;
}

TEST_CASE("scales that are codes survive the QDQ model and each version that has them") {
  TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", R"(opset 21
graph main (float32[N,48] x) => (float32[N,5] y) {
  float32[48,7] a = random(1)
  float32[5,7] b = random(2)
  h = MatMul(x, a)
  r = Relu(h)
  y = Gemm<transB=1>(r, b)
}
)");
  Tensor samples = Tensor::Zeros(DType::kFloat, {8, 48});
  for (int64_t i = 0; i < samples.size(); ++i)
    samples.mutable_data<float>()[i] = static_cast<float>((i * 37) % 101) / 50 - 1;
  const std::string data = WriteArray(folder, "x.npy", samples);
  const std::string all = "1.0.0,2.0.0,2.1.0", quantized = folder / "q.onnx";
  struct Form {
    const char *grid, *block_size;
    std::vector<std::string> versions;  // that hold the codes of the scales
  };
  for (const Form& form : {Form{"int4 symmetric lpbq", "8", {"1.0.0", "2.0.0", "2.1.0"}},
                           Form{"nvfp4", "16", {"2.1.0"}}}) {
    REQUIRE(Cli({"quantize", model,
                 "--calib",  data,
                 "-o",       quantized,
                 "--target", "generic",
                 "--set",    "activations.mode=float",
                 "--set",    StrCat("weights.grid=", form.grid),
                 "--set",    "weights.granularity=block",
                 "--set",    StrCat("weights.block_size=", form.block_size),
                 "--set",    "export.float_model=true",
                 "--set",    StrCat("export.encodings_version=", all)})
                .code == 0);
    for (const std::string& version : form.versions) {
      INFO(form.grid << " " << version);
      const std::string encodings = folder / StrCat("q.encodings-", version, ".json");
      const std::string qdq = folder / "qdq.onnx", plain = folder / "plain.onnx";
      REQUIRE(Cli({"export", folder / "q.float.onnx", "--encodings", encodings, "-o", qdq}).code ==
              0);
      const CliResult same = Cli({"eval", quantized, qdq, "--data", data, "--json"});
      REQUIRE(same.code == 0);
      CHECK(Json::parse(same.out)["outputs"][0]["sqnr_db"].is_null());  // every bit
      REQUIRE(Cli({"export", qdq, "--to", "float", "-o", plain, "--encodings-version", all}).code ==
              0);
      for (const std::string& other : form.versions)
        CHECK(Table(folder / StrCat("plain.encodings-", other, ".json")) ==
              Table(folder / StrCat("q.encodings-", other, ".json")));
    }
  }
}

TEST_CASE("export says what is wrong and leaves nothing behind") {
  const Bench bench;
  const std::string out = bench.folder / "out.onnx";
  CHECK(bench.Fails({"export", bench.folded, "-o", out}, 2).find("--encodings FILE") !=
        std::string::npos);
  CHECK(bench.Fails({"export", bench.folded, "--to", "float", "-o", out}, 3)
            .find("has no QuantizeLinear/DequantizeLinear") != std::string::npos);
  CHECK(bench.Fails({"export", bench.quantized, "--to", "float", "-o", out, "--encodings", "x"}, 2)
            .find("drop --encodings") != std::string::npos);
  CHECK(bench.Fails({"export", bench.folded, "--encodings", bench.folder / "no.json", "-o", out}, 2)
            .find("no.json") != std::string::npos);
  CHECK(bench.Fails({"export", bench.folded, "--encodings", bench.encodings, "-o", bench.folded}, 2)
            .find("is the same file as input") != std::string::npos);
  CHECK(
      bench
          .Fails({"export", bench.folded, "--encodings", bench.encodings, "-o", bench.encodings}, 2)
          .find("is the same file as input") != std::string::npos);
  CHECK(bench.Fails({"export", bench.folded, "--to", "int", "-o", out}, 2).find("--to") !=
        std::string::npos);
  CHECK(bench
            .Fails(
                {"export", bench.quantized, "--to", "float", "-o", out, "--encodings-version", "3"},
                2)
            .find("--encodings-version") != std::string::npos);
  const std::string other = WriteModel(bench.folder, "other.onnx", kGemmModel);
  CHECK(bench.Fails({"export", other, "--encodings", bench.encodings, "-o", out}, 2)
            .find("is the file of another model?") != std::string::npos);
}
