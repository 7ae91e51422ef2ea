// --shard and --sums-only: one model over several processes. The reference is the run of one
// process.

#include <cstdlib>

#include <nlohmann/json.hpp>

#include "lib/base/random.h"
#include "tests/cmd/cli.h"
#include "tests/support/vector_source.h"

using namespace roundel;
using namespace roundel::support;
using Json = nlohmann::json;

namespace {

// Plain, depthwise and shared convolutions, a transposed one, and a Gemm with fewer samples than
// inputs.
constexpr char kNet[] = R"(opset 13
graph main (float32[N,4,6,6] x) => (float32[N,5] y) {
  float32[8,4,3,3] w1 = random(1)
  float32[8,1,3,3] w2 = random(2)
  float32[8,8,1,1] w3 = random(3)
  float32[8,2,2,2] w4 = random(4)
  float32[5,288] w5 = random(5)
  float32[8] b1 = random(6)
  a = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w1, b1)
  a2 = Relu(a)
  b = Conv<kernel_shape=[3,3], pads=[1,1,1,1], group=8>(a2, w2)
  c = Conv<kernel_shape=[1,1]>(b, w3)
  c2 = Relu(c)
  d = Conv<kernel_shape=[1,1]>(c2, w3)
  e = ConvTranspose<kernel_shape=[2,2], strides=[2,2]>(d, w4)
  f = Flatten(e)
  y = Gemm<transB=1>(f, w5)
}
)";
constexpr int kLayers = 6;

struct Bench {
  TempFolder folder;
  std::string model = WriteModel(folder, "model.onnx", kNet);
  std::string data = Data("data.npy", 7);
  std::string whole;  // the bytes of one process' result

  explicit Bench(const std::string& recipe = "w4a8_cnn") : recipe_(recipe) {
    REQUIRE(Run({"-o", folder / "whole.onnx"}).code == 0);
    whole = Contents(folder / "whole.onnx");
  }
  std::string Data(const std::string& name, uint64_t seed) {
    Random random(seed);
    return WriteArray(folder, name, RandomTensor({40, 4, 6, 6}, random));
  }
  CliResult Run(const std::vector<std::string>& more, bool sequential = false) const {
    std::vector<std::string> args = {"quantize", model,   "--target", "generic",
                                     "--recipe", recipe_, "--set",    "check.samples=0"};
    if (std::find(more.begin(), more.end(), "--calib") == more.end())
      args.insert(args.end(), {"--calib", data});
    if (!sequential) args.insert(args.end(), {"--set", "optimal_rounding.sequential=false"});
    args.insert(args.end(), more.begin(), more.end());
    return Cli(args);
  }
  // Runs all parts; returns how many layers they have in all.
  int RunParts(int parts, bool sums_only, const std::function<std::string(int)>& store) const {
    int layers = 0;
    for (int i = 0; i < parts; ++i) {
      std::vector<std::string> flags = {"--shard", std::to_string(i) + "/" + std::to_string(parts),
                                        "--store", store(i), "--json"};
      if (sums_only) flags.push_back("--sums-only");
      const CliResult part = Run(flags);
      INFO(part.err);
      REQUIRE(part.code == 0);
      const Json json = Json::parse(part.out);
      CHECK(json["all_layers"] == kLayers);
      layers += json["layers"].get<int>();
    }
    return layers;
  }
  // The last run, on the results of the parts. Returns the number of layers that were solved
  // before.
  int Finish(const std::string& store) const {
    const CliResult last = Run({"--store", store, "-o", folder / "last.onnx"});
    INFO(last.err);
    REQUIRE(last.code == 0);
    CHECK((Contents(folder / "last.onnx") == whole));  // too long to print
    const Json report = Json::parse(Contents(folder / "last.report.json"));
    return report["timing"]["passes"].back().value("resumed", 0);
  }

 private:
  const std::string recipe_;
};

int EntriesOf(const std::string& store, const std::string& extension) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(store))
    count += entry.path().extension() == extension;
  return count;
}

}  // namespace

TEST_CASE("the sums of any number of parts give the bytes of one run") {
  const Bench bench;
  for (const int parts : {1, 2, 3, 5, 9}) {  // the last: more than layers
    INFO(parts << " parts");
    const std::string store = bench.folder / ("shared" + std::to_string(parts));
    CHECK(bench.RunParts(parts, true, [&](int) { return store; }) == kLayers);
    CHECK(EntriesOf(store, ".sums") == kLayers);
    CHECK(EntriesOf(store, ".layer") == 0);
    CHECK(bench.Finish(store) == 0);
    CHECK(EntriesOf(store, ".sums") == kLayers);  // nothing was gathered again
  }
}

TEST_CASE(
    "the solutions of parts give the bytes of one run, after which nothing is left to solve") {
  for (const char* recipe : {"w4a8_cnn", "w4_cnn"}) {
    const Bench bench(recipe);
    const std::string store = bench.folder / "shared";
    CHECK(bench.RunParts(3, false, [&](int) { return store; }) == kLayers);
    CHECK(bench.Finish(store) == kLayers);
  }
}

TEST_CASE("sums of parts, then solutions of parts") {
  const Bench bench;
  const std::string store = bench.folder / "shared";
  bench.RunParts(2, true, [&](int) { return store; });
  bench.RunParts(3, false, [&](int) { return store; });
  CHECK(EntriesOf(store, ".sums") == kLayers);
  CHECK(bench.Finish(store) == kLayers);
}

TEST_CASE("stores of machines without a shared folder are merged") {
  const Bench bench;
  const auto store = [&](int i) { return bench.folder / ("store" + std::to_string(i)); };
  bench.RunParts(3, true, store);
  const std::string merged = bench.folder / "merged", part = bench.folder / "part";
  const CliResult missing = Cli({"stats", "merge", store(0), store(2), "-o", part});
  CHECK(missing.code == 4);
  CHECK(missing.err == "error: the store '" + part +
                           "' lacks part 1/3 of the layers: run it with --shard, or give another "
                           "--store\n");
  REQUIRE(Cli({"stats", "merge", store(0), store(1), store(2), "-o", merged}).code == 0);
  bench.Finish(merged);
  CHECK(Cli({"stats", "merge", store(0), bench.model, "-o", merged}).code == 2);
}

TEST_CASE("a part that is missing is named") {
  const Bench bench;
  const std::string store = bench.folder / "shared";
  for (const char* part : {"0/4", "2/4"})
    REQUIRE(bench.Run({"--shard", part, "--sums-only", "--store", store}).code == 0);
  const CliResult last = bench.Run({"--store", store, "-o", bench.folder / "last.onnx"});
  CHECK(last.code == 4);
  CHECK(last.err == "error: pass optimal_rounding: the store '" + store +
                        "' lacks the parts 1/4, 3/4 of the layers: run them with --shard, or give "
                        "another --store\n");
  CHECK_FALSE(std::filesystem::exists(bench.folder / "last.onnx"));
}

TEST_CASE("parts of other data or another recipe are refused") {
  Bench bench;
  const std::string store = bench.folder / "shared";
  bench.RunParts(2, true, [&](int) { return store; });
  const auto error = [&](const std::vector<std::string>& more, bool sequential = false) {
    std::vector<std::string> flags = {"--store", store, "-o", bench.folder / "last.onnx"};
    flags.insert(flags.end(), more.begin(), more.end());
    const CliResult result = bench.Run(flags, sequential);
    CHECK(result.code == 4);
    return result.err;
  };
  CHECK(error({"--calib", bench.Data("other.npy", 8)}).find("for other calibration data") !=
        std::string::npos);
  CHECK(error({"--set", "optimal_rounding.held_out=0.1"}).find("for other settings") !=
        std::string::npos);
  CHECK(error({}, true).find("for other settings") != std::string::npos);
  // Another grid has the same sums.
  CHECK(bench.Run({"--store", store, "-o", bench.folder / "last.onnx", "--bits", "3"}).code == 0);
}

TEST_CASE("what cannot be divided is one clear error") {
  const Bench bench;
  const std::string store = bench.folder / "shared";
  const auto error = [&](const std::vector<std::string>& flags, bool sequential = false) {
    const CliResult result = bench.Run(flags, sequential);
    CHECK(result.code == 2);
    return result.err;
  };
  CHECK(error({"--shard", "0/2", "--store", store}, true) ==
        "error: pass optimal_rounding: each layer depends on the codes of earlier ones, so that "
        "--shard cannot divide them: --set optimal_rounding.sequential=false\n");
  CHECK(error({"--shard", "2/2", "--store", store}).find("from 0/8 to 7/8") != std::string::npos);
  CHECK(error({"--shard", "0/2"}).find("need --store DIR") != std::string::npos);
  CHECK(error({"--sums-only", "--store", store, "--html", "x.html"}).find("leave out --html") !=
        std::string::npos);
  const CliResult plain = Cli({"quantize", bench.model, "--calib", bench.data, "--recipe",
                               "int8_per_channel", "--sums-only", "--store", store});
  CHECK(plain.code == 2);
  CHECK(plain.err.find("this recipe has none") != std::string::npos);
  const std::string by_blocks =
      bench.folder.Write("blocks.yaml", "passes: [calibrate, block_reconstruction]\n");
  const CliResult blocks = Cli({"quantize", bench.model, "--calib", bench.data, "--recipe",
                                by_blocks, "--shard", "0/2", "--store", store});
  CHECK(blocks.code == 2);
  CHECK(blocks.err.find("blocks depend on the codes") != std::string::npos);
  const std::string sampled = bench.folder.Write(
      "sampled.yaml", "passes: [calibrate, {adaround: {objective: sampled, sequential: false}}]\n");
  CHECK(Cli({"quantize", bench.model, "--calib", bench.data, "--recipe", sampled, "--sums-only",
             "--store", store})
            .err.find("use --shard alone") != std::string::npos);
}

TEST_CASE("without --shard, --sums-only does the scheduler's part") {
  const Bench bench;
  const std::string store = bench.folder / "shared";
  setenv("SLURM_ARRAY_TASK_COUNT", "2", 1);
  for (const char* task : {"0", "1"}) {
    setenv("SLURM_ARRAY_TASK_ID", task, 1);
    const CliResult part = bench.Run({"--sums-only", "--store", store});
    CHECK(part.out.rfind("part " + std::string(task) + "/2: sums of ", 0) == 0);
  }
  unsetenv("SLURM_ARRAY_TASK_ID");
  unsetenv("SLURM_ARRAY_TASK_COUNT");
  bench.Finish(store);
}
