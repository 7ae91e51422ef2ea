// Oracles: exhaustive search on a tiny layer, rounding to nearest, and the data itself.

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "tests/support/layerwise.h"

namespace roundel::passes {
namespace {

using support::CorrelatedSource;
using support::kManyLayers;
using support::OutputError;
using support::Round;
using support::RoundedOptions;
using support::VectorSource;

constexpr char kTiny[] = R"(opset 13
  graph g (float32[N,4] x) => (float32[N,1] y) {
    float32[4,1] w = random(1)
    float32[1] b = random(2)
    y = Gemm(x, w, b)
  })";

// The least mean squared error with any four codes of the grid, the best scale for them and the
// best bias, straight from the data.
double BestByEnumeration(VectorSource* data, const Tensor& w, int low, int high) {
  std::vector<std::vector<double>> x;
  REQUIRE(data->Rewind().ok());
  while (const auto batch = data->Next().value())
    for (int64_t i = 0; i < batch->size; ++i) {
      const float* row = batch->inputs[0].data<float>() + i * 4;
      x.emplace_back(row, row + 4);
    }
  const auto count = static_cast<double>(x.size());
  double best = 1e30;
  for (int code = 0; code < std::pow(high - low + 1, 4); ++code) {
    int rest = code, q[4];
    for (int& v : q) {
      v = low + rest % (high - low + 1);
      rest /= high - low + 1;
    }
    // Regression of y on z = q . x with a constant.
    double sy = 0, sz = 0, syy = 0, szz = 0, syz = 0;
    for (const auto& row : x) {
      double y = 0, z = 0;
      for (int j = 0; j < 4; ++j) {
        y += w.data<float>()[j] * row[static_cast<size_t>(j)];
        z += q[j] * row[static_cast<size_t>(j)];
      }
      sy += y, sz += z, syy += y * y, szz += z * z, syz += y * z;
    }
    const double vy = syy - sy * sy / count, vz = szz - sz * sz / count, c = syz - sy * sz / count;
    if (vz > 0 && c > 0) best = std::min(best, (vy - c * c / vz) / count);
  }
  return best;
}

TEST_CASE("optimal rounding comes close to the best that there is") {
  VectorSource data = CorrelatedSource({32, 4}, 8, 3, true);
  for (const int bits : {2, 3}) {
    RoundedOptions options{.params = {{"held_out", "0"}}};
    options.grid.bits = bits;
    options.grid.narrow_range = false;
    const auto r = Round(kTiny, "optimal_rounding", &data, options);
    const double best = BestByEnumeration(&data, *r->before.graph->Constant("w"),
                                          r->Weight("w").grid.qmin(), r->Weight("w").grid.qmax());
    const double found = OutputError(*r, &data);
    CHECK(found >= best * 0.999);
    CHECK(found <= best * 1.1 + 1e-9);
  }
}

TEST_CASE("layers of all kinds end closer to the float model than by rounding to nearest") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 8, 3);
  VectorSource others = CorrelatedSource({16, 4, 6, 6}, 4, 99);
  for (const int bits : {3, 4}) {
    RoundedOptions options;
    options.grid.bits = bits;
    const auto nearest = Round(kManyLayers, "", &data, options);
    const auto optimal = Round(kManyLayers, "optimal_rounding", &data, options);
    CHECK(OutputError(*optimal, &others) < 0.5 * OutputError(*nearest, &others));
    for (const char* w : {"w1", "w2", "w3", "w4", "w5", "w6"}) {
      const quant::Encoding& e = optimal->Weight(w);
      REQUIRE(e.codes);
      CHECK(e.frozen);
      for (int64_t code : e.codes->ToInt64s())
        CHECK((code >= e.grid.qmin() && code <= e.grid.qmax()));
    }
  }
}

TEST_CASE("grids per tensor, per block and with a zero point") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 8, 3);
  const auto better = [&](const RoundedOptions& options) {
    const double nearest = OutputError(*Round(kManyLayers, "", &data, options), &data);
    const double optimal =
        OutputError(*Round(kManyLayers, "optimal_rounding", &data, options), &data);
    CHECK(optimal < 0.8 * nearest);
  };
  better({.granularity = quant::Granularity::kTensor});
  better({.granularity = quant::Granularity::kBlock, .block_size = 2});
  better({.grid = {.bits = 4}});
}

TEST_CASE("blocks that do not divide the inputs") {
  VectorSource data = CorrelatedSource({32, 10}, 6, 3);
  const char* net = R"(opset 13
    graph g (float32[N,10] x) => (float32[N,6] y) {
      float32[10,6] w = random(1)
      y = MatMul(x, w)
    })";
  RoundedOptions options{.granularity = quant::Granularity::kBlock, .block_size = 4};
  options.grid.bits = 3;
  CHECK(OutputError(*Round(net, "optimal_rounding", &data, options), &data) <
        0.8 * OutputError(*Round(net, "", &data, options), &data));
}

TEST_CASE("weights on the left of a MatMul and stacks of matrices") {
  VectorSource data = CorrelatedSource({16, 3, 6, 5}, 8, 3);
  const char* nets[] = {R"(opset 13
    graph g (float32[N,3,6,5] x) => (float32[N,3,4,5] y) {
      float32[4,6] w = random(1)
      y = MatMul(w, x)
    })",
                        R"(opset 13
    graph g (float32[N,3,6,5] x) => (float32[N,3,6,4] y) {
      float32[3,5,4] w = random(1)
      y = MatMul(x, w)
    })"};
  for (const char* net : nets)
    for (const auto granularity :
         {quant::Granularity::kTensor, quant::Granularity::kChannel, quant::Granularity::kBlock}) {
      RoundedOptions options{.granularity = granularity};
      options.grid.bits = 3;
      if (granularity == quant::Granularity::kBlock) options.block_size = net == nets[0] ? 3 : 5;
      const auto optimal = Round(net, "optimal_rounding", &data, options);
      REQUIRE(optimal->Weight("w").codes);
      CHECK(optimal->Weight("w").granularity == granularity);
      CHECK(OutputError(*optimal, &data) <
            0.9 * OutputError(*Round(net, "", &data, options), &data));
    }
}

TEST_CASE("the same codes whatever the number of threads and the memory") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 4, 3);
  const int before = Threads();
  SetThreads(1);
  const auto one = Round(kManyLayers, "optimal_rounding", &data);
  SetThreads(3);
  const auto three = Round(kManyLayers, "optimal_rounding", &data, {.params = {{"memory", "1"}}});
  SetThreads(before);
  for (const char* w : {"w1", "w2", "w3", "w4", "w5", "w6"}) {
    CHECK(*one->Weight(w).codes == *three->Weight(w).codes);
    CHECK(one->Weight(w).params == three->Weight(w).params);
  }
}

TEST_CASE(
    "biases corrected for weights that are rounded otherwise later are refused before any work") {
  Session session;
  session.model = support::ParseModel(kTiny);
  report::Report report;
  const Status status =
      RunSteps({{"calibrate", recipe::Params(FindPass("calibrate")->params), 0},
                {"bias_correct", recipe::Params(FindPass("bias_correct")->params), 0},
                {"gptq", recipe::Params(FindPass("gptq")->params), 0}},
               {}, &session, &report);
  CHECK(status.kind() == ErrorKind::kUsage);
  CHECK(status.message().find("gptq: comes after bias_correct") != std::string::npos);
  CHECK(report.passes.empty());
}

TEST_CASE("dead inputs and channels do no harm") {
  Random random(1);
  std::vector<Batch> batches(1);
  Tensor x = support::RandomTensor({64, 4}, random);
  for (int64_t i = 0; i < 64; ++i) x.mutable_data<float>()[4 * i + 2] = 0;
  batches[0].inputs = {x};
  batches[0].size = 64;
  batches[0].sample_names.assign(64, "sample");
  VectorSource data(std::move(batches));
  const auto r = Round(R"(opset 13
    graph g (float32[N,4] x) => (float32[N,2] y) {
      float32[4,2] w = {1, 0, 0.3, 0, -0.7, 0, 0.2, 0}
      y = MatMul(x, w)
    })",
                       "optimal_rounding", &data);
  CHECK(OutputError(*r, &data) < 0.01);
  CHECK(r->Code("w", 1) == 0);
}

}  // namespace
}  // namespace roundel::passes
