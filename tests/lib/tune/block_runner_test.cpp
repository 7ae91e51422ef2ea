// Oracles: dL/dW = 2 (W^ - W) H on a linear block, H from the same samples in plain double loops;
// gradients of mini-batches in pieces; losses and weights of 20 steps from an independent script
// (testdata/golden/soft_rounding_curve.py, numpy in double).

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/parallel.h"
#include "lib/tune/block_parts.h"
#include "lib/tune/block_trainer.h"
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/vector_source.h"

namespace roundel::tune {
namespace {

constexpr char kLinear[] = R"(opset 13
graph g (float32[N,6] x) => (float32[N,4] y) {
  float32[6,4] w = random(2)
  y = MatMul(x, w)
})";

// A block of the whole model, its samples, and what runs it.
struct Bench {
  graph::Model model;
  std::vector<Batch> batches;
  quant::EncodingTable none;
  std::vector<structure::Block> blocks;
  std::optional<walk::Streams> streams;
  std::optional<BlockSamples> samples;
  std::vector<double> powers;
  int64_t rank;

  Bench(const std::string& text, const Shape& batch, int64_t count)
      : model(support::ParseModel(text)), rank(std::ssize(batch)) {
    Random random(7);
    for (int64_t b = 0; b < count; ++b) {
      Batch one{.size = batch[0]};
      one.inputs = {support::RandomTensor(batch, random)};
      // Stored values have 11 bits: these are exact.
      for (int64_t i = 0; i < one.inputs[0].size(); ++i) {
        float& x = one.inputs[0].mutable_data<float>()[i];
        x = std::round(x * 16) / 16;
      }
      batches.push_back(one);
    }
    blocks = structure::FindBlocks(model, {.max_layers = 1000});
    REQUIRE(blocks.size() == 1);
    support::VectorSource source(batches);
    streams.emplace(model, nullptr, none, int64_t{1} << 30, "");
    REQUIRE(streams->ReadData(source, 0, [](const std::string&) { return true; }).ok());
    REQUIRE(streams->Run(PartOf(blocks, 0), walk::Which::kBoth).ok());
    samples.emplace(*streams, blocks[0].inputs, blocks[0].outputs, false, true);
    powers = samples->TargetPowers().value();
  }

  BlockRunner Runner(const std::vector<std::string>& learned, int64_t batch, Lanes& lanes) {
    BlockParts parts{.model = model,
                     .block = blocks[0],
                     .input_types = {DType::kFloat},
                     .input_ranks = {rank},
                     .encodings = none,
                     .learned = learned,
                     .losses = {{.share = 1 / powers[0]}}};
    for (const std::string& name : learned)
      parts.learned_shapes.push_back(model.graph->Constant(name)->shape());
    return BlockRunner::Create(MakeBlockModel(parts, true, {}).value(),
                               MakeBlockModel(parts, false, {}).value(), *samples, batch, &lanes)
        .value();
  }
};

std::vector<int64_t> Range(int64_t first, int64_t count) {
  std::vector<int64_t> units(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) units[static_cast<size_t>(i)] = first + i;
  return units;
}

TEST_CASE("the gradient of a linear block is 2 (W^ - W) H") {
  Bench bench(kLinear, {8, 6}, 4);
  const Tensor& w = *bench.model.graph->Constant("w");
  Random random(3);
  Tensor moved = support::RandomTensor({6, 4}, random);
  Lanes lanes(2);
  const auto step = bench.Runner({"w"}, 32, lanes).Gradients({moved}, Range(0, 32), std::nullopt);
  REQUIRE(step.ok());
  double H[6][6] = {};
  for (const Batch& batch : bench.batches)
    for (int64_t n = 0; n < 8; ++n)
      for (int64_t i = 0; i < 6; ++i)
        for (int64_t j = 0; j < 6; ++j)
          H[i][j] += double{batch.inputs[0].data<float>()[n * 6 + i]} *
                     batch.inputs[0].data<float>()[n * 6 + j] / 32;
  double loss = 0;
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t o = 0; o < 4; ++o) {
      double expected = 0;
      for (int64_t j = 0; j < 6; ++j)
        expected +=
            H[i][j] * (double{moved.data<float>()[j * 4 + o]} - double{w.data<float>()[j * 4 + o]});
      // The loss is the mean over 4 outputs, relative to the power of the targets.
      expected *= 2 / (4 * bench.powers[0]);
      loss += 0.5 * expected * (moved.data<float>()[i * 4 + o] - w.data<float>()[i * 4 + o]);
      CHECK(step->gradients[0].data<float>()[i * 4 + o] ==
            Approx(expected).epsilon(2e-3).margin(2e-3));
    }
  CHECK(step->loss == Approx(loss).epsilon(2e-3));
}

TEST_CASE("a mini-batch of 32 has the gradients of 4 of 8, on any number of lanes") {
  constexpr char kNet[] = R"(opset 13
graph g (float32[N,3,6,6] x) => (float32[N,5] y) {
  float32[4,3,3,3] w1 = random(1)
  float32[64,5] w2 = random(2)
  c = Conv(x, w1)
  r = Relu(c)
  f = Flatten(r)
  y = MatMul(f, w2)
})";
  Bench bench(kNet, {8, 3, 6, 6}, 4);
  Random random(5);
  const std::vector<Tensor> values = {support::RandomTensor({4, 3, 3, 3}, random, 0.3),
                                      support::RandomTensor({64, 5}, random, 0.3)};
  Lanes two(2), one(1);
  BlockRunner runner = bench.Runner({"w1", "w2"}, 32, two);
  const auto whole = runner.Gradients(values, Range(0, 32), std::nullopt).value();
  std::vector<std::vector<double>> sums(2);
  double loss = 0;
  for (int64_t piece = 0; piece < 4; ++piece) {
    const auto part = runner.Gradients(values, Range(8 * piece, 8), std::nullopt).value();
    loss += part.loss / 4;
    for (size_t g = 0; g < 2; ++g) {
      sums[g].resize(static_cast<size_t>(part.gradients[g].size()));
      for (size_t k = 0; k < sums[g].size(); ++k)
        sums[g][k] += part.gradients[g].data<float>()[k] / 4.0;
    }
  }
  CHECK(whole.loss == Approx(loss).epsilon(1e-5));
  CHECK(runner.Loss(values, Range(0, 32)).value() == Approx(loss).epsilon(1e-5));
  for (size_t g = 0; g < 2; ++g)
    for (size_t k = 0; k < sums[g].size(); ++k)
      CHECK(whole.gradients[g].data<float>()[k] == Approx(sums[g][k]).epsilon(1e-4).margin(1e-6));
  const auto alone =
      bench.Runner({"w1", "w2"}, 32, one).Gradients(values, Range(0, 32), std::nullopt);
  CHECK(alone->gradients == whole.gradients);
}

TEST_CASE("20 steps of soft rounding follow the independent script") {
  const nlohmann::json golden = nlohmann::json::parse(
      std::ifstream(std::string(ROUNDEL_SOURCE_DIR) + "/testdata/golden/soft_rounding_curve.json"));
  const auto floats = [&](const char* key) { return golden.at(key).get<std::vector<float>>(); };
  const Tensor weight = Tensor::FromVector({6, 4}, floats("weight"));
  quant::Encoding encoding{.role = quant::Role::kWeight,
                           .grid = {.bits = 3, .is_signed = true, .symmetric = true},
                           .granularity = quant::Granularity::kChannel,
                           .axis = 1};
  for (const float scale : floats("scales")) encoding.params.push_back({scale, 0});
  encoding.codes = quant::QuantizeTensor(weight, encoding);
  std::vector<FormPtr> forms;
  forms.push_back(MakeRoundingForm(
      "w", weight, encoding,
      {.kind = Rounding::kSoft, .rate = golden.at("rate"), .scale_rate = golden.at("scale_rate")}));
  const FormsModel model = FormsModel::Create(forms).value();
  Optimizer optimizer(model.learned());
  const std::vector<float> x = floats("x"), y = floats("y");
  const auto curve = golden.at("loss").get<std::vector<double>>();
  REQUIRE(curve.size() == 20);
  for (size_t step = 0; step < curve.size(); ++step) {
    const std::vector<Tensor> values = model.Values(optimizer.values()).value();
    // The loss mean (x w^ - y)^2 and its gradient, in plain loops.
    Tensor gradient = Tensor::Zeros(DType::kFloat, {6, 4});
    double loss = 0;
    for (int64_t n = 0; n < 16; ++n)
      for (int64_t o = 0; o < 4; ++o) {
        double error = -double{y[static_cast<size_t>(n * 4 + o)]};
        for (int64_t i = 0; i < 6; ++i)
          error += double{x[static_cast<size_t>(n * 6 + i)]} * values[0].data<float>()[i * 4 + o];
        loss += error * error / 64;
        for (int64_t i = 0; i < 6; ++i)
          gradient.mutable_data<float>()[i * 4 + o] +=
              static_cast<float>(2 * error * x[static_cast<size_t>(n * 6 + i)] / 64);
      }
    CHECK(loss == Approx(curve[step]).epsilon(1e-3));
    const auto made = model.Gradients(optimizer.values(), {gradient}, golden.at("sharpness"),
                                      golden.at("penalty"));
    REQUIRE(made.ok());
    optimizer.Step(made->gradients, 1);
  }
  const std::vector<float> v = floats("v");
  for (size_t i = 0; i < v.size(); ++i)
    CHECK(optimizer.values()[0].data<float>()[i] == Approx(v[i]).epsilon(1e-3).margin(1e-4));
}

}  // namespace
}  // namespace roundel::tune
