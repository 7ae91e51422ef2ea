// Oracles: rounding to nearest on data that the pass has not seen; for transformations the float
// model, whose function the changed constants must keep.

#include <cmath>
#include <cstring>

#include "lib/base/file.h"
#include "tests/support/layerwise.h"
#include "tests/support/temp_folder.h"

namespace roundel::passes {
namespace {

using support::CorrelatedSource;
using support::kManyLayers;
using support::OutputError;
using support::Round;
using support::RoundedOptions;
using support::VectorSource;

RoundedOptions Options(int bits) {
  RoundedOptions options{.params = {{"rate", "0.05"}, {"iterations", "100"}, {"batch", "16"}}};
  options.grid.bits = bits;
  options.grid.narrow_range = false;
  return options;
}

TEST_CASE("clipping brings layers of all kinds closer to the float model") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 8, 3);
  VectorSource others = CorrelatedSource({16, 4, 6, 6}, 4, 99);
  for (const int bits : {3, 4}) {
    const double nearest = OutputError(*Round(kManyLayers, "", &data, Options(bits)), &others);
    const auto r = Round(kManyLayers, "omniquant", &data, Options(bits));
    INFO(bits);
    CHECK(OutputError(*r, &others) < nearest);
    CHECK(r->Weight("w1").decided_by == "omniquant");
  }
}

const char* const kPerceptron = R"(opset 17
graph g (float32[N,6,12] x) => (float32[N,6,12] y) {
  float32[12] gain = random(1)
  float32[12] offset = random(2)
  float32[12,12] w0 = random(7)
  h = MatMul(x, w0)
  n = LayerNormalization(h, gain, offset)
  float32[12,20] wg = random(3)
  float32[12,20] wu = random(4)
  float32[20] bu = random(5)
  float32[20,12] wd = random(6)
  gate = MatMul(n, wg)
  open = Sigmoid(gate)
  un = MatMul(n, wu)
  up = Add(un, bu)
  m = Mul(open, up)
  d = MatMul(m, wd)
  y = Add(h, d)
})";

// The scales in the file are the ratios of the weights.
void CheckScales(const std::string& text, const graph::Graph& before, const graph::Graph& after) {
  const auto scales = [&](const std::string& name) {
    const size_t entry = text.find('"' + name + '"');
    REQUIRE(entry != std::string::npos);
    const size_t offset = text.find("data_offsets\":[", entry) + 15;
    size_t header = 0;
    for (size_t i = 0; i < 8; ++i) header |= size_t{static_cast<unsigned char>(text[i])} << (8 * i);
    return text.data() + 8 + header + std::stoul(text.substr(offset));
  };
  const char* const rows = scales("wd.multiplied_by");
  const char* const columns = scales("bu.divided_by");
  for (int64_t i = 0; i < 20; ++i) {
    float row = 0, column = 0;
    std::memcpy(&row, rows + i * 4, 4);
    std::memcpy(&column, columns + i * 4, 4);
    CHECK(std::fabs(row - column) < 1e-6f);
    const float old = before.Constant("wd")->data<float>()[i * 12];
    CHECK(std::fabs(after.Constant("wd")->data<float>()[i * 12] - old * row) < 1e-6f);
    const float bias = before.Constant("bu")->data<float>()[i];
    CHECK(std::fabs(after.Constant("bu")->data<float>()[i] - bias / column) < 1e-6f);
  }
}

TEST_CASE("transformed constants keep the float function, and lower the error of the codes") {
  VectorSource data = CorrelatedSource({8, 6, 12}, 8, 3);
  VectorSource others = CorrelatedSource({8, 6, 12}, 4, 99);
  RoundedOptions options = Options(4);
  const double nearest = OutputError(*Round(kPerceptron, "", &data, options), &others);
  options.params["transform"] = "on";
  options.params["transform_rate"] = "0.02";
  options.params["max_layers"] = "4";
  const support::TempFolder folder;
  const std::string file = folder.path() + "/scales.safetensors";
  options.params["scales_out"] = file;
  const auto r = Round(kPerceptron, "omniquant", &data, options);
  CHECK(OutputError(*r, &others) < nearest);
  const graph::Graph &before = *r->before.graph, &after = *r->session.model.graph;
  for (const char* changed : {"gain", "offset", "wg", "wu", "bu", "wd"}) {
    INFO(changed);
    const Tensor *a = before.Constant(changed), *b = after.Constant(changed);
    REQUIRE((a && b));
    CHECK(std::memcmp(a->raw(), b->raw(), static_cast<size_t>(a->byte_size())) != 0);
  }
  CheckScales(ReadTextFile(file).value(), before, after);
  auto first = engine::Executor::Create(r->before).value();
  auto second = engine::Executor::Create(r->session.model).value();
  REQUIRE(others.Rewind().ok());
  const auto batch = others.Next().value();
  const Tensor y = first->Run(batch->inputs).value()[0], z = second->Run(batch->inputs).value()[0];
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < y.size(); ++i) {
    largest = std::max<double>(largest, std::fabs(y.data<float>()[i]));
    difference = std::max<double>(difference, std::fabs(y.data<float>()[i] - z.data<float>()[i]));
  }
  CHECK(difference < 1e-5 * largest);
}

TEST_CASE("the rows of an embedding are learned with the block that reads them") {
  const char* const text = R"(opset 17
graph g (int64[N,6] ids) => (float32[N,6,8] y) {
  float32[40,12] table = random(1)
  float32[12,20] w1 = random(2)
  float32[20,8] w2 = random(3)
  x = Gather(table, ids)
  a = MatMul(x, w1)
  r = Relu(a)
  y = MatMul(r, w2)
})";
  Random random(1);
  std::vector<Batch> batches;
  for (int b = 0; b < 8; ++b) {
    std::vector<int64_t> ids;
    for (int i = 0; i < 48; ++i) ids.push_back(static_cast<int64_t>(random.Below(40)));
    batches.push_back({.inputs = {Tensor::FromVector<int64_t>({8, 6}, ids)}, .size = 8});
  }
  VectorSource data(batches);
  RoundedOptions options = Options(3);
  options.params["max_layers"] = "3";
  const double nearest = OutputError(*Round(text, "", &data, options), &data);
  const auto r = Round(text, "omniquant", &data, options);
  REQUIRE(r->session.encodings.contains("table"));
  CHECK(r->Weight("table").decided_by == "omniquant");
  CHECK(OutputError(*r, &data) < nearest);
}

}  // namespace
}  // namespace roundel::passes
