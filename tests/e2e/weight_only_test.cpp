// Weight-only models in ONNX Runtime: what it computes from packed blocks of 2, 4 and 8 bits is
// what the simulation computes from the encodings, up to the order of float sums.

#include <algorithm>
#include <cmath>

#include "lib/engine/executor.h"
#include "lib/io/onnx.h"
#include "lib/targets/export.h"
#include "tests/e2e/calibrated.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"

namespace roundel {
namespace {

// K = 72 fills no block of 16, 32 or 128 evenly.
const char* const kLayers = R"(opset 13
  graph g (int64[N,5] ids) => (float32[N,5,20] y, float32[M,6] z, float32[N,4,20] a, float32[2,K,72] c) {
    float32[40,72] table = random(1)
    float32[72,20] w = random(2)
    float32[6,20] v = random(3)
    float32[20,6] u = random(4)
    float32[6] b = random(5)
    int64[2] flat = {-1, 20}
    x = Gather(table, ids)
    y = MatMul(x, w)
    f = Reshape(y, flat)
    t = Gemm<transB=1>(f, v, b)
    s = Gemm(f, u, b)
    z = Add(t, s)
    float32[4,5] left = random(6)
    a = MatMul(left, y)
    float32[2,20,72] stack = random(7)
    c = MatMul(f, stack)
  })";

struct Case {
  int bits;
  bool symmetric;
  int64_t block;  // 0: per channel
  const char* format;
};

const Case kCases[] = {
    {4, true, 32, "matmulnbits"},
    {4, false, 32, "matmulnbits"},
    {4, false, 16, "matmulnbits"},
    {4, true, 128, "matmulnbits"},
    {4, false, 128, "matmulnbits"},
    {8, true, 32, "matmulnbits"},
    {8, false, 16, "matmulnbits"},
    {2, true, 16, "matmulnbits"},
    {2, false, 32, "matmulnbits"},
    {3, true, 32, "matmulnbits"},
    {4, true, 0, "matmulnbits"},
    // Lengths that the operators do not have, written as shorter ones.
    {4, false, 48, "matmulnbits"},
    {8, true, 48, "matmulnbits"},
    {2, false, 48, "matmulnbits"},
    {4, true, 384, "matmulnbits"},
    {8, false, 512, "matmulnbits"},
    {2, true, 1024, "matmulnbits"},
    {4, false, 32, "qdq"},
    {4, true, 0, "qdq"},
    {8, true, 0, "qdq"},
    {8, false, 16, "qdq"},
};

std::unique_ptr<Session> Quantized(const Case& test) {
  auto session = std::make_unique<Session>();
  session->model = graph::Parse(kLayers).value();
  session->target = target::LoadProfile("llm-matmulnbits").value();
  session->target.weight_grids.clear();
  session->target.block_sizes.clear();  // as encodings of other tools have them
  session->grids = target::DefaultChoice(session->target);
  session->grids.weights = {
      .bits = test.bits, .is_signed = test.symmetric, .symmetric = test.symmetric};
  session->grids.weight_granularity =
      test.block > 0 ? quant::Granularity::kBlock : quant::Granularity::kChannel;
  session->grids.block_size = test.block;
  report::Report report;
  const recipe::Step calibrate = {"calibrate",
                                  recipe::Params(passes::FindPass("calibrate")->params), 0};
  const Status ran = passes::RunSteps({calibrate}, {}, session.get(), &report);
  INFO(ran.message());
  REQUIRE(ran.ok());
  REQUIRE(session->encodings.size() == 6);
  return session;
}

Tensor Ids() {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < 15; ++i) ids.push_back(i * 7 % 40);
  return Tensor::FromVector({3, 5}, ids);
}

// Largest difference in units of the largest magnitude.
double Difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = a.data<float>()[i], y = b.data<float>()[i];
    largest = std::max(largest, std::fabs(x));
    difference = std::max(difference, std::isfinite(y) ? std::fabs(x - y) : HUGE_VAL);
  }
  return difference / largest;
}

int64_t CountOps(const graph::Model& model, const std::string& op) {
  const auto& nodes = model.graph->nodes();
  return std::count_if(nodes.begin(), nodes.end(), [&](const auto& n) { return n->op_type == op; });
}

void CheckCase(const Case& test) {
  const auto session = Quantized(test);
  const target::ExportOptions options = {.format = test.format, .accuracy_level = 1};
  auto exported = target::Export(session->model, session->encodings, options);
  INFO((exported.ok() ? "" : exported.status().message()));
  REQUIRE(exported.ok());
  const bool packed = std::string(test.format) == "matmulnbits";
  CHECK(CountOps(*exported, "MatMulNBits") == (packed ? 3 : 0));
  CHECK(CountOps(*exported, "GatherBlockQuantized") == (packed ? 1 : 0));
  // What multiplies from the left, and stacks of matrices, have no packed form.
  CHECK(CountOps(*exported, "DequantizeLinear") == (packed ? 2 : 6));

  e2e::ScratchFolder scratch("weight-only");
  const std::string file = scratch.File("model.onnx");
  REQUIRE(io::WriteOnnx(*exported, file).ok());
  auto ort = e2e::RunOrt({{file, false, {{"ids", Ids()}}}, {file, true, {{"ids", Ids()}}}},
                         scratch.path());
  INFO((ort.ok() ? "" : ort.status().message()));
  REQUIRE(ort.ok());

  auto simulator = engine::Executor::Create(session->model, {.simulate = &session->encodings});
  REQUIRE(simulator.ok());
  const auto simulated = (*simulator)->Run({Ids()});
  REQUIRE(simulated.ok());
  auto own = engine::Executor::Create(*exported);
  INFO((own.ok() ? "" : own.status().message()));
  REQUIRE(own.ok());
  const auto run = (*own)->Run({Ids()});
  INFO((run.ok() ? "" : run.status().message()));
  REQUIRE(run.ok());
  for (size_t i = 0; i < 4; ++i) {
    CHECK(Difference((*simulated)[i], (*ort)[0][i]) < 1e-5);
    // Of DequantizeLinear and MatMul it makes a MatMulNBits that rounds activations to 8 bits.
    CHECK(Difference((*simulated)[i], (*ort)[1][i]) < (packed ? 1e-5 : 1e-2));
    CHECK(Difference((*simulated)[i], (*run)[i]) < 1e-5);
  }
}

}  // namespace

TEST_CASE("weight-only layers run in ONNX Runtime and agree with the simulation") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Case& test : kCases) {
    DYNAMIC_SECTION(test.format << " " << test.bits << " bits, "
                                << (test.symmetric ? "symmetric" : "asymmetric") << ", blocks of "
                                << test.block) {
      CheckCase(test);
    }
  }
}

}  // namespace roundel
