#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/base/file.h"
#include "lib/io/onnx.h"
#include "tests/cmd/cli.h"

using namespace roundel;
using namespace roundel::support;
using Json = nlohmann::json;

namespace {

// y = x + 0.5: the sums of this error can be computed by hand.
constexpr char kShifted[] = R"(opset 13
graph main (float32[N,2] x) => (float32[N,2] y) {
  float32[] half = {0.5}
  y = Add(x, half)
}
)";
constexpr char kSame[] = R"(opset 13
graph main (float32[N,2] x) => (float32[N,2] y) {
  y = Identity(x)
}
)";

struct Bench {
  TempFolder folder;
  std::string model = WriteModel(folder, "model.onnx", kGemmModel);
  std::string data = WriteArray(folder, "points.npy", Points());
  std::string labels = WriteArray(folder, "labels.npy", PointLabels());
  std::string quantized = folder / "q.onnx";

  void Quantize(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {"quantize", model, "--calib", data, "-o", quantized};
    args.insert(args.end(), more.begin(), more.end());
    REQUIRE(Cli(args).code == 0);
  }
};

Json JsonOf(std::vector<std::string> args) {
  args.push_back("--json");
  const CliResult result = Cli(args);
  INFO(result.err);
  REQUIRE(result.code == 0);
  return Json::parse(result.out);  // throws on anything but one value
}

std::string Error(const std::vector<std::string>& args, int code) {
  const CliResult result = Cli(args);
  INFO(result.err);
  CHECK(result.code == code);
  return result.err;
}

}  // namespace

TEST_CASE("eval of one model counts top-1 and top-5") {
  const Bench bench;
  const Json json = JsonOf({"eval", bench.model, "--data", bench.data, "--labels", bench.labels});
  CHECK(json["samples"] == 8);
  REQUIRE(json["models"].size() == 1);
  CHECK(json["models"][0]["top1_percent"] == 100.0);
  CHECK(json["models"][0]["top5_percent"] == 100.0);
  // Two labels turned wrong: 6 of 8.
  const std::string wrong = WriteArray(bench.folder, "wrong.npy",
                                       Tensor::FromVector<int64_t>({8}, {1, 0, 1, 1, 2, 0, 0, 1}));
  const Json less = JsonOf({"eval", bench.model, "--data", bench.data, "--labels", wrong});
  CHECK(less["models"][0]["top1_percent"] == 75.0);
  CHECK(Cli({"eval", bench.model, "--data", bench.data, "--labels", wrong}).out.find("75.00") !=
        std::string::npos);
}

TEST_CASE("eval of two models gives SQNR, cosine, largest error and agreement") {
  const TempFolder folder;
  const std::string same = WriteModel(folder, "same.onnx", kSame);
  const std::string shifted = WriteModel(folder, "shifted.onnx", kShifted);
  const std::string data = WriteArray(folder, "points.npy", Points());
  // Sums over the eight points, in double.
  double signal = 0, error = 0, other = 0, product = 0;
  const Tensor points = Points();
  for (float x : points.span<float>()) {
    signal += static_cast<double>(x) * x;
    error += 0.25;
    other += (x + 0.5) * (x + 0.5);
    product += x * (x + 0.5);
  }
  const Json json = JsonOf({"eval", same, shifted, "--data", data, "--batch", "3"});
  REQUIRE(json["outputs"].size() == 1);
  const Json& output = json["outputs"][0];
  CHECK(output["name"] == "y");
  CHECK(output["sqnr_db"].get<double>() == Approx(10 * std::log10(signal / error)));
  CHECK(output["cosine"].get<double>() == Approx(product / std::sqrt(signal * other)));
  CHECK(output["max_error"] == 0.5);
  CHECK(output["top1_agreement_percent"] == 100.0);
  CHECK_FALSE(json["models"][0].contains("top1_percent"));
  // Against itself: no error, which JSON writes as null.
  const Json none = JsonOf({"eval", same, same, "--data", data});
  CHECK(none["outputs"][0]["sqnr_db"].is_null());
  CHECK(none["outputs"][0]["max_error"] == 0.0);
}

TEST_CASE("eval gates exit with 5 and say by how much") {
  const TempFolder folder;
  const std::string same = WriteModel(folder, "same.onnx", kSame);
  const std::string shifted = WriteModel(folder, "shifted.onnx", kShifted);
  const std::string data = WriteArray(folder, "points.npy", Points());
  const CliResult gated = Cli({"eval", same, shifted, "--data", data, "--min-sqnr", "30"});
  CHECK(gated.code == 5);
  CHECK(gated.err.find("quality gate: output 'y' has an SQNR of ") != std::string::npos);
  CHECK_FALSE(gated.out.empty());  // the measurement is there all the same
  CHECK(Cli({"eval", same, shifted, "--data", data, "--min-sqnr", "1"}).code == 0);
  CHECK(Cli({"eval", same, same, "--data", data, "--min-sqnr", "200"}).code == 0);

  // The second model swaps the two scores, so that every prediction is wrong.
  const std::string swapped = WriteModel(folder, "swapped.onnx", R"(opset 13
graph main (float32[N,2] x) => (float32[N,2] y) {
  y = Neg(x)
}
)");
  const std::string labels =
      WriteArray(folder, "labels.npy", Tensor::FromVector<int64_t>({8}, {0, 0, 1, 1, 0, 1, 0, 1}));
  const std::vector<std::string> args = {"eval",     same,   swapped,      "--data", data,
                                         "--labels", labels, "--max-drop", "10"};
  const CliResult dropped = Cli(args);
  CHECK(dropped.code == 5);
  CHECK(dropped.err.find("quality gate: top-1 drops by ") != std::string::npos);
  CHECK(Error({"eval", same, "--data", data, "--labels", labels, "--min-sqnr", "3"}, 2)
            .find("give MODEL2 or --encodings") != std::string::npos);
  CHECK(Error({"eval", same, same, "--data", data, "--max-drop", "3"}, 2).find("needs labels") !=
        std::string::npos);
}

TEST_CASE("the simulation with the encodings is what the exported model computes") {
  const Bench bench;
  for (const char* version : {"0.6.1", "1.0.0", "2.0.0", "2.1.0"}) {
    INFO(version);
    bench.Quantize({"--set", std::string("export.encodings_version=") + version});
    const Json exported = JsonOf({"eval", bench.model, bench.quantized, "--data", bench.data});
    const Json simulated = JsonOf({"eval", bench.model, "--encodings",
                                   bench.folder / "q.encodings.json", "--data", bench.data});
    CHECK(exported["outputs"][0]["sqnr_db"].get<double>() ==
          Approx(simulated["outputs"][0]["sqnr_db"].get<double>()).epsilon(1e-6));
    CHECK(exported["outputs"][0]["sqnr_db"].get<double>() > 30);
  }
}

TEST_CASE("eval refuses what it cannot measure") {
  const Bench bench;
  CHECK(Error({"eval", bench.model, "--data", bench.data}, 2) ==
        "error: one model without labels has nothing to measure: give --labels, MODEL2 or --metric "
        "perplexity\n");
  CHECK(Error({"eval", bench.model, bench.model}, 2) == "error: no data: give --data PATH\n");
  const std::string high = WriteArray(bench.folder, "high.npy",
                                      Tensor::FromVector<int64_t>({8}, {0, 0, 1, 1, 2, 2, 0, 3}));
  CHECK(Error({"eval", bench.model, "--data", bench.data, "--labels", high}, 4)
            .find("is not a class of output 'y' (0 to 2)") != std::string::npos);
  const std::string flat = WriteModel(bench.folder, "flat.onnx", R"(opset 13
graph main (float32[N,2] x) => (float32[N] y) {
  y = ReduceSum<keepdims=0>(x, axes)
  int64[1] axes = {1}
}
)");
  CHECK(Error({"eval", flat, "--data", bench.data, "--labels", bench.labels}, 4)
            .find("no output of the model holds class scores") != std::string::npos);
  const std::string two = WriteModel(bench.folder, "two.onnx", R"(opset 13
graph main (float32[N,2] x) => (float32[N,2] p, float32[N,2] q) {
  p = Relu(x)
  q = Neg(x)
}
)");
  CHECK(Error({"eval", two, bench.model, "--data", bench.data}, 3)
            .find("do not match: outputs p, q against y") != std::string::npos);
  CHECK(
      Error({"eval", bench.model, "--encodings", bench.folder / "no.json", "--data", bench.data}, 2)
          .find("no.json") != std::string::npos);
  const std::string text = bench.folder.Write("bad.json", "{");
  CHECK(
      Error({"eval", bench.model, "--encodings", text, "--data", bench.data}, 2).find("bad.json") !=
      std::string::npos);
}

TEST_CASE("compare lists tensors worst first and agrees with eval") {
  const Bench bench;
  bench.Quantize({"--set", "weights.bits=4"});
  const Json eval = JsonOf({"eval", bench.model, bench.quantized, "--data", bench.data});
  for (const std::vector<std::string>& other :
       {std::vector<std::string>{bench.quantized},
        std::vector<std::string>{"--encodings", bench.folder / "q.encodings.json"}}) {
    std::vector<std::string> args = {"compare", bench.model, "--data", bench.data};
    args.insert(args.end(), other.begin(), other.end());
    const Json json = JsonOf(args);
    CHECK(json["samples"] == 8);
    REQUIRE(json["tensors"].size() == 1);
    CHECK(json["tensors"][0]["name"] == "y");
    CHECK(json["tensors"][0]["op_type"] == "Gemm");
    CHECK(json["tensors"][0]["position"] == 1);
    CHECK(json["tensors"][0]["sqnr_db"].get<double>() ==
          Approx(eval["outputs"][0]["sqnr_db"].get<double>()));
  }
}

TEST_CASE("compare matches quantized values by name and sorts them") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", R"(opset 13
graph main (float32[N,2] x) => (float32[N,2] y) {
  a = Relu(x)
  b = Neg(a)
  y = Identity(b)
}
)");
  // `a` has an exact quantizer's name, `b` is off by 0.5, `y` follows it.
  const std::string other = WriteModel(folder, "other.onnx", R"(opset 13
graph main (float32[N,2] x) => (float32[N,2] y) {
  float32[] half = {0.5}
  a = Neg(x)
  a_DequantizeLinear_Output = Relu(x)
  negative = Neg(a_DequantizeLinear_Output)
  b = Add(negative, half)
  y = Identity(b)
}
)");
  const std::string data = WriteArray(folder, "points.npy", Points());
  const Json json = JsonOf({"compare", model, other, "--data", data});
  REQUIRE(json["tensors"].size() == 3);
  CHECK(json["tensors"][0]["name"] == "b");
  CHECK(json["tensors"][1]["name"] == "y");
  CHECK(json["tensors"][2]["name"] == "a");
  CHECK(json["tensors"][2]["quantized_name"] == "a_DequantizeLinear_Output");
  CHECK(json["tensors"][2]["sqnr_db"].is_null());  // no error at all
  CHECK(json["tensors"][0]["max_error"] == 0.5);
  const CliResult text = Cli({"compare", model, other, "--data", data, "--limit", "1"});
  CHECK(text.out.find("1 of 3 tensors, worst first; 8 samples\n") != std::string::npos);

  const std::string stranger = WriteModel(folder, "stranger.onnx", R"(opset 13
graph main (float32[N,2] x) => (float32[N,2] z) {
  z = Neg(x)
}
)");
  CHECK(
      Error({"compare", model, stranger, "--data", data}, 3).find("was it made from this model?") !=
      std::string::npos);
  CHECK(Error({"compare", model, "--data", data}, 2).find("give QUANTIZED or --encodings") !=
        std::string::npos);
}

TEST_CASE("a model's hash covers its file once, and external data") {
  const TempFolder folder;
  const std::string path = WriteModel(folder, "large.onnx", R"(opset 13
graph main (float32[N,64] x) => (float32[N,64] y) {
  float32[64,64] w = random(1)
  y = MatMul(x, w)
}
)");
  const Json json = JsonOf({"inspect", path});
  CHECK(json["bytes"] == std::filesystem::file_size(path));
  const std::string bytes = *ReadTextFile(path);
  CHECK(JsonOf({"inspect", folder.Write("copy.onnx", bytes)})["hash"] == json["hash"]);
  std::string changed = bytes;
  changed[changed.size() / 2] ^= 1;  // within the weights, which are nearly all of the file
  CHECK(JsonOf({"inspect", folder.Write("changed.onnx", changed)})["hash"] != json["hash"]);

  const auto model = io::ReadOnnx(path);
  REQUIRE(model.ok());
  REQUIRE(io::WriteOnnx(*model, folder / "outside.onnx", {.external_data = true}).ok());
  const Json outside = JsonOf({"inspect", folder / "outside.onnx"});
  CHECK(outside["bytes"] == std::filesystem::file_size(folder / "outside.onnx") + 64 * 64 * 4);
  std::string data = *ReadTextFile(folder / "outside.onnx.data");
  data.back() ^= 1;
  folder.Write("outside.onnx.data", data);
  CHECK(JsonOf({"inspect", folder / "outside.onnx"})["hash"] != outside["hash"]);
}

TEST_CASE("inspect shows the model and what cannot run") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kConvModel);
  const Json json = JsonOf({"inspect", model});
  CHECK(json["ops"]["Conv"] == 1);
  CHECK(json["nodes"] == 5);
  CHECK(json["opsets"]["ai.onnx"] == 13);
  CHECK(json["parameters"] == 3 * 2 * 9 + 12);
  CHECK(json["parameter_bytes"] == 4 * (3 * 2 * 9 + 12));
  CHECK(json["inputs"][0]["type"] == "float32[N, 2, 6, 6]");
  CHECK(json["passes"]["bn_fold"]["folded"] == 1);
  CHECK(json["unsupported"].empty());
  const std::string text = Cli({"inspect", model}).out;
  CHECK(text.find("engine: can run every node\n") != std::string::npos);
  CHECK(text.find("pass bn_fold: 1 folded\n") != std::string::npos);
  // Constant nodes hold parameters as well.
  const std::string hidden = WriteModel(folder, "hidden.onnx", R"(opset 13
graph main (float32[2] x) => (float32[2] y) {
  k = Constant<value=float32[2] {1, 2}>()
  y = Add(x, k)
}
)");
  CHECK(JsonOf({"inspect", hidden})["parameters"] == 2);
  const std::string custom = WriteModel(folder, "custom.onnx", R"(opset 13, my.ops 1
graph main (float32[N,2] x) => (float32[N,2] y) {
  y = my.ops.Frobnicate(x)
}
)");
  const CliResult unsupported = Cli({"inspect", custom});
  CHECK(unsupported.code == 0);
  CHECK(unsupported.out.find("engine: cannot run 1 node") != std::string::npos);
  CHECK(unsupported.out.find("my.ops.Frobnicate") != std::string::npos);
  CHECK(Error({"inspect", folder / "no.onnx"}, 3).find("no.onnx") != std::string::npos);
  CHECK(Error({"inspect", folder.Write("bad.onnx", "junk")}, 3).find("bad.onnx") !=
        std::string::npos);
}

TEST_CASE("perplexity of a model that knows nothing is its vocabulary") {
  TempFolder folder;
  // All logits are equal: every next token has probability 1/4.
  const std::string model = WriteModel(folder, "lm.onnx", R"(opset 13
graph main (int64[N,S] ids) => (float32[N,S,4] logits) {
  float32[4,4] table = zeros
  logits = Gather(table, ids)
}
)");
  // The second is sure that a token repeats: logit ln 3 for itself, so probability 1/2.
  const std::string second = WriteModel(folder, "sure.onnx", R"(opset 13
graph main (int64[N,S] ids) => (float32[N,S,4] logits) {
  float32[4,4] table = {1.0986123, 0, 0, 0, 0, 1.0986123, 0, 0, 0, 0, 1.0986123, 0, 0, 0, 0, 1.0986123}
  logits = Gather(table, ids)
}
)");
  const std::string data =
      WriteArray(folder, "ids.npy", Tensor::FromVector<int64_t>({2, 3}, {1, 1, 1, 2, 2, 2}));
  const Json json = JsonOf({"eval", model, second, "--data", data, "--metric", "perplexity"});
  CHECK(json["tokens"] == 4);
  CHECK(json["models"][0]["perplexity"].get<double>() == Approx(4));
  CHECK(json["models"][1]["perplexity"].get<double>() == Approx(2));
  // KL of (1/2, 1/6, 1/6, 1/6) from the uniform distribution.
  CHECK(json["kl_nats"].get<double>() ==
        Approx(0.25 * std::log(0.25 / 0.5) + 0.75 * std::log(0.25 * 6)));
}

TEST_CASE("gates are listed with value, interval and verdict") {
  const TempFolder folder;
  const std::string same = WriteModel(folder, "same.onnx", kSame);
  const std::string shifted = WriteModel(folder, "shifted.onnx", kShifted);
  const std::string data = WriteArray(folder, "points.npy", Points());
  const std::string labels =
      WriteArray(folder, "labels.npy", Tensor::FromVector<int64_t>({8}, {0, 0, 1, 1, 0, 1, 0, 1}));
  const Json json =
      JsonOf({"eval",    same,         shifted, "--data",     data,  "--labels",
              labels,    "--min-sqnr", "1",     "--max-drop", "60",  "--min-agreement",
              "50",      "--min-top1", "30",    "--max-size", "1MB", "--max-time-ratio",
              "1000000", "--batch",    "2"});
  std::vector<std::string> names;
  for (const Json& gate : json["gates"]) {
    names.push_back(gate["name"]);
    CHECK(gate["verdict"] == "passed");
    CHECK(gate["accepted"] == true);
  }
  CHECK(names == std::vector<std::string>{"min_sqnr y", "max_drop", "min_top1", "min_agreement y",
                                          "max_time_ratio", "max_size"});
  // By hand: no row changes, so that Tango's limits are z^2 / (n + z^2).
  const double z2 = 1.959963984540054 * 1.959963984540054;
  CHECK(json["gates"][1]["high"].get<double>() == Approx(100 * z2 / (8 + z2)));
  CHECK(json["top1_drop"]["lost"] == 0);
  CHECK(json["top1_drop"]["mcnemar_p"] == 1.0);
  CHECK(json["gates"][5]["value"] == std::filesystem::file_size(shifted));
  CHECK_FALSE(json["gates"][5].contains("low"));
}

TEST_CASE("a gate whose interval holds the limit exits as --undecided says") {
  const TempFolder folder;
  const std::string same = WriteModel(folder, "same.onnx", kSame);
  const std::string data = WriteArray(folder, "points.npy", Points());
  const std::string labels =
      WriteArray(folder, "labels.npy", Tensor::FromVector<int64_t>({8}, {0, 0, 1, 1, 0, 1, 0, 1}));
  // Eight samples without a change do not exclude a drop of 10 points.
  const std::vector<std::string> args = {"eval",     same,   same,         "--data", data,
                                         "--labels", labels, "--max-drop", "10"};
  const auto with = [&](const char* choice) {
    std::vector<std::string> more = args;
    more.insert(more.end(), {"--undecided", choice});
    return Cli(more);
  };
  const CliResult measured = Cli(args);
  CHECK(measured.code == 0);
  CHECK(measured.out.find("undecided, counts as passed") != std::string::npos);
  CHECK(with("pass").code == 0);
  const CliResult failed = with("fail");
  CHECK(failed.code == 5);
  CHECK(failed.err.find("the samples cannot tell") != std::string::npos);
  CHECK(with("perhaps").code == 2);
}

TEST_CASE("gates that need a file or another model say so") {
  const Bench bench;
  CHECK(Error({"eval", bench.model, bench.model, "--data", bench.data, "--max-size", "big"}, 2)
            .find("'big' is no size") != std::string::npos);
  bench.Quantize();
  CHECK(Error({"eval", bench.model, "--encodings", bench.folder / "q.encodings.json", "--data",
               bench.data, "--max-size", "1MB"},
              2)
            .find("--max-size is about a file") != std::string::npos);
  CHECK(Error({"eval", bench.model, "--data", bench.data, "--labels", bench.labels,
               "--max-time-ratio", "2"},
              2)
            .find("give MODEL2") != std::string::npos);
  CHECK(Error({"eval", bench.model, bench.model, "--data", bench.data, "--max-kl", "1"}, 2)
            .find("--metric perplexity") != std::string::npos);
}
