#include <cmath>

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
        CHECK(Contents(folder / StrCat("plain.encodings-", other, ".json")) ==
              Contents(folder / StrCat("q.encodings-", other, ".json")));
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
