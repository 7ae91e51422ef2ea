// The common part of passes that round layer by layer: resuming a run, and weights that several layers
// share.

#include <algorithm>

#include "lib/layers/layerwise.h"

#include "lib/graph/text.h"
#include "lib/solver/ldlq.h"
#include "tests/support/layerwise.h"
#include "tests/support/temp_folder.h"

namespace roundel::passes {

using layers::LayerTask;
using layers::LayerwiseOptions;
using layers::SolveLayers;
namespace {

using support::CorrelatedSource;
using support::kManyLayers;
using support::OutputError;
using support::Round;
using support::Rounded;
using support::RoundedOptions;
using support::TempFolder;
using support::VectorSource;

const char* const kWeights[] = {"w1", "w2", "w3", "w4", "w5", "w6"};

// Calibrated weights of kManyLayers, and LDLQ over them that stops before layer `stop`.
struct Run {
  std::unique_ptr<Rounded> calibrated;
  Status status;
  int solved = 0;

  Run(VectorSource* data, const Store* store, int stop, LayerwiseOptions options = {},
      const RoundedOptions& grid = {}) {
    calibrated = Round(kManyLayers, "", data, grid);
    Session& session = calibrated->session;
    session.store = store;
    calibrated->report.passes.push_back({.name = "test"});
    session.report = &calibrated->report.passes.back();
    options.pass = options.settings = "test";
    auto outcome = SolveLayers(session, options, [&](LayerTask& task) -> Result<solver::Solution> {
      if (solved == stop) return InterruptedError();
      ++solved;
      return solver::LdlqWithScales(task.problems, task.layer.spec);
    });
    status = outcome.ok() ? OkStatus() : outcome.status();
  }
  const quant::Encoding& Weight(const std::string& name) const { return calibrated->Weight(name); }
};

TEST_CASE("the recipe's seed chooses the columns that a layer's sums are taken over") {
  // More positions than columns are kept.
  constexpr char kNet[] = R"(opset 13
    graph g (float32[N,8,48,48] x) => (float32[N,32,48,48] y) {
      float32[32,8,1,1] w = random(1)
      y = Conv(x, w)
    })";
  VectorSource data = CorrelatedSource({4, 8, 48, 48}, 3, 3);
  for (const std::string pass : {"gptq", "seq_mse"}) {
    INFO(pass);
    RoundedOptions options;
    options.grid.bits = 3;
    if (pass == "seq_mse") options.params["candidates"] = "1000";
    const auto encoding = [&](uint64_t seed) {
      options.seed = seed;
      return Round(kNet, pass, &data, options)->Weight("w");
    };
    const quant::Encoding first = encoding(1), again = encoding(1), other = encoding(2);
    CHECK(*first.codes == *again.codes);
    CHECK(first.params == again.params);
    CHECK((*first.codes != *other.codes || first.params != other.params));
  }
}

void CheckSame(const Run& a, const Run& b) {
  REQUIRE(a.status.ok());
  REQUIRE(b.status.ok());
  for (const char* w : kWeights) {
    CHECK(*a.Weight(w).codes == *b.Weight(w).codes);
    CHECK(a.Weight(w).params == b.Weight(w).params);
  }
  CHECK(graph::Print(*a.calibrated->session.model.graph) ==
        graph::Print(*b.calibrated->session.model.graph));
}

TEST_CASE(
    "a run that stops is taken up where it stopped, and ends with the same weights and biases") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 4, 3);
  const Run whole(&data, nullptr, -1);
  for (const int stop : {1, 4, 5}) {
    const TempFolder folder;
    const Store store = Store::Open(folder.path(), "test").value();
    const Run first(&data, &store, stop);
    CHECK(first.status.kind() == ErrorKind::kInterrupted);
    const Run second(&data, &store, -1);
    CheckSame(whole, second);
    CHECK(second.solved == 6 - stop);
    const Run third(&data, &store, -1);
    CheckSame(whole, third);
    CHECK(third.solved == 0);
    CHECK(third.calibrated->report.passes.back().resumed == 6);
  }
}

TEST_CASE("what a solution follows from makes it another one") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 4, 3);
  const TempFolder folder;
  const Store store = Store::Open(folder.path(), "test").value();
  REQUIRE(Run(&data, &store, -1).solved == 6);
  VectorSource others = CorrelatedSource({16, 4, 6, 6}, 4, 4);
  CHECK(Run(&others, &store, -1).solved == 6);
  LayerwiseOptions options;
  options.statistics.held_out = 0.4;
  CHECK(Run(&data, &store, -1, options).solved == 6);
  options = {};
  options.samples = 32;
  CHECK(Run(&data, &store, -1, options).solved == 6);
  RoundedOptions grid;
  grid.grid.bits = 5;
  CHECK(Run(&data, &store, -1, {}, grid).solved == 6);
  CHECK(Run(&data, &store, -1).solved == 0);
}

TEST_CASE("sums over the float model's values serve any width without running the model again") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 4, 3);
  LayerwiseOptions options;
  options.statistics.reference_inputs = true;
  RoundedOptions three;
  three.grid.bits = 3;
  const Run whole(&data, nullptr, -1, options, three);
  const TempFolder folder;
  const Store store = Store::Open(folder.path(), "test").value();
  REQUIRE(Run(&data, &store, -1, options).status.ok());

  class FirstBatchOnly : public VectorSource {
   public:
    explicit FirstBatchOnly(const VectorSource& all) : VectorSource(all) {}
    Status Rewind() override {
      read_ = 0;
      return VectorSource::Rewind();
    }
    Result<std::optional<Batch>> Next() override {
      if (read_++ > 0) return DataError("the data is read");
      return VectorSource::Next();
    }
    int read_ = 0;
  };
  FirstBatchOnly none(data);
  const Run again(&none, &store, -1, options, three);
  INFO(again.status.message());
  CheckSame(whole, again);
  CHECK(again.solved == 6);
}

TEST_CASE(
    "memory that the sums of a layer exceed is refused before any data is read, and says what it "
    "takes") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 4, 3);
  LayerwiseOptions options{.memory_bytes = 1000, .memory_is_given = true};
  const Run small(&data, nullptr, -1, options);
  CHECK(small.solved == 0);
  CHECK(small.status.kind() == ErrorKind::kUsage);
  CHECK(small.status.message().starts_with("memory: the sums of node"));
  CHECK(small.status.message().ends_with("alone take 1 MB; give at least that, not 0"));
}

TEST_CASE("a damaged store is one clear error") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 4, 3);
  const TempFolder folder;
  const Store store = Store::Open(folder.path(), "test").value();
  REQUIRE(Run(&data, &store, -1).status.ok());
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().extension() == ".layer")
      REQUIRE(store.Put(entry.path().filename().string(), "short").ok());
  const Run broken(&data, &store, -1);
  CHECK(broken.status.message().find("is not what this version writes: delete it") !=
        std::string::npos);
}

// Two layers with one weight, whose inputs have their energy in different places.
constexpr char kShared[] = R"(opset 13
  graph g (float32[N,4] x) => (float32[N,2] y) {
    float32[4,1] w = {0.9, -0.35, 0.62, 0.17}
    float32[1,4] first = {4, 1, 0.25, 0.25}
    float32[1,4] second = {0.25, 0.5, 3, 2}
    x1 = Mul(x, first)
    x2 = Mul(x, second)
    [one] y1 = MatMul(x1, w)
    [two] y2 = MatMul(x2, w)
    y = Concat<axis=1>(y1, y2)
  })";

// The least error with any codes and the best common scale for them.
double BestShared(VectorSource* data, int low, int high) {
  const double w[] = {0.9, -0.35, 0.62, 0.17};
  const double scales[2][4] = {{4, 1, 0.25, 0.25}, {0.25, 0.5, 3, 2}};
  double h[4][4] = {};
  int64_t rows = 0;
  REQUIRE(data->Rewind().ok());
  while (const auto batch = data->Next().value())
    for (int64_t i = 0; i < batch->size; ++i, ++rows)
      for (const auto& s : scales)
        for (int j = 0; j < 4; ++j)
          for (int k = 0; k < 4; ++k)
            h[j][k] += s[j] * s[k] * batch->inputs[0].data<float>()[4 * i + j] *
                       batch->inputs[0].data<float>()[4 * i + k];
  double best = 1e30;
  const int width = high - low + 1;
  for (int code = 0; code < width * width * width * width; ++code) {
    double q[4], qhq = 0, qhw = 0, whw = 0;
    int rest = code;
    for (double& v : q) {
      v = low + rest % width;
      rest /= width;
    }
    for (int j = 0; j < 4; ++j)
      for (int k = 0; k < 4; ++k) {
        qhq += q[j] * h[j][k] * q[k];
        qhw += q[j] * h[j][k] * w[k];
        whw += w[j] * h[j][k] * w[k];
      }
    if (qhq > 0 && qhw > 0) best = std::min(best, whw - qhw * qhw / qhq);
  }
  return best / static_cast<double>(2 * rows);
}

TEST_CASE("weights of two layers are solved once, for both") {
  VectorSource data = CorrelatedSource({64, 4}, 8, 3);
  RoundedOptions options{.granularity = quant::Granularity::kTensor,
                         .params = {{"held_out", "0"}, {"correct_bias", "false"}}};
  options.grid.bits = 3;
  const auto r = Round(kShared, "optimal_rounding", &data, options);
  const double found = OutputError(*r, &data);
  const double best = BestShared(&data, r->Weight("w").grid.qmin(), r->Weight("w").grid.qmax());
  CHECK(found >= best * 0.999);
  CHECK(found <= best * 1.1);
  const auto& layers = r->report.passes.back().layers;
  REQUIRE(layers.size() == 2);
  CHECK(layers[1].shared_with == "'one' (MatMul)");
}

// A dense layer behind a Flatten: one column a sample, far fewer than inputs.
constexpr char kWide[] = R"(opset 13
  graph g (float32[N,36,8,8] x) => (float32[N,200] y) {
    float32[2304,200] w = random(1)
    float32[200] b = random(2)
    f = Flatten(x)
    y = Gemm(f, w, b)
  })";

TEST_CASE("a layer with far fewer columns than inputs is solved in the space of its columns") {
  VectorSource data = CorrelatedSource({16, 36, 8, 8}, 4, 3);
  const auto nearest = Round(kWide, "", &data);
  int passes = 0;
  for (const std::string pass : {"optimal_rounding", "gptq", "adaround", "seq_mse"}) {
    const auto r = Round(kWide, pass, &data);
    INFO(pass);
    CHECK(OutputError(*r, &data) < OutputError(*nearest, &data));
    const auto& layers = r->report.passes.back().layers;
    REQUIRE(layers.size() == 1);
    CHECK(layers[0].on_columns);
    ++passes;
  }
  CHECK(passes == 4);
}

TEST_CASE(
    "rows of a wide layer are solved some at a time where memory is short, to the same codes") {
  VectorSource data = CorrelatedSource({16, 36, 8, 8}, 4, 3);
  const auto whole = Round(kWide, "optimal_rounding", &data);
  const auto pieces = Round(kWide, "optimal_rounding", &data, {.params = {{"memory", "22"}}});
  CHECK(*whole->Weight("w").codes == *pieces->Weight("w").codes);
  CHECK(whole->Weight("w").params == pieces->Weight("w").params);
  CHECK(graph::Print(*whole->session.model.graph) == graph::Print(*pieces->session.model.graph));
}

TEST_CASE("a wide layer's columns are kept and taken up again") {
  VectorSource data = CorrelatedSource({16, 36, 8, 8}, 4, 3);
  const TempFolder folder;
  const Store store = Store::Open(folder.path(), "test").value();
  int solved = 0;
  std::optional<Tensor> codes[2];
  for (const int bits : {4, 3}) {  // the second width finds the columns of the first
    RoundedOptions grid;
    grid.grid.bits = bits;
    for (const Store* kept : {&store, static_cast<const Store*>(nullptr)}) {
      const auto session = Round(kWide, "", &data, grid);
      session->session.store = kept;
      session->report.passes.push_back({.name = "test"});
      session->session.report = &session->report.passes.back();
      LayerwiseOptions options{.pass = "test", .settings = "test"};
      options.statistics.reference_inputs = true;
      const auto outcome =
          SolveLayers(session->session, options, [&](LayerTask& task) -> Result<solver::Solution> {
            ++solved;
            return solver::Ldlq(task.problems, task.layer.spec, task.params);
          });
      REQUIRE(outcome.ok());
      codes[kept ? 0 : 1] = session->Weight("w").codes;
    }
    CHECK(*codes[0] == *codes[1]);
  }
  CHECK(solved >= 4);
}

TEST_CASE(
    "sums that do not fit into the default memory are replaced or the layer is rounded to "
    "nearest") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 4, 3);
  // Too little memory for any layer: without an explicit limit they are rounded to nearest, with a
  // warning that names the parameter.
  const Run none(&data, nullptr, -1, {.memory_bytes = 1000});
  REQUIRE(none.status.ok());
  CHECK(none.solved == 0);
  const auto& warnings = none.calibrated->report.passes.back().warnings;
  REQUIRE(warnings.size() == 6);
  CHECK(warnings[0].find("rounded to nearest: set test.memory") != std::string::npos);
}

}  // namespace
}  // namespace roundel::passes
