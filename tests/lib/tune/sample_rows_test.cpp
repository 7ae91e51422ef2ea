// Oracles: which operators mix samples; joined units against the whole batches that they come from.

#include "lib/tune/sample_rows.h"

#include <cstring>

#include "lib/graph/text.h"
#include "lib/structure/blocks.h"
#include "lib/tune/block_parts.h"
#include "lib/tune/block_samples.h"
#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel::tune {
namespace {

using support::RandomTensor;
using support::VectorSource;

// The values before the only block of a model, on batches of 3, 3 and 2 samples.
struct Walked {
  graph::Model model;
  quant::EncodingTable encodings;
  std::vector<structure::Block> blocks;
  std::unique_ptr<walk::Streams> streams;
};

std::unique_ptr<Walked> Walk(const char* text) {
  auto made = std::make_unique<Walked>();
  made->model = graph::Parse(text).value();
  made->blocks = structure::FindBlocks(made->model, {.max_layers = 100});
  REQUIRE(made->blocks.size() == 1);
  Random random(1);
  std::vector<Batch> batches;
  for (const int64_t size : {3, 3, 2})
    batches.push_back({.inputs = {RandomTensor({size, 4, 6}, random)}, .size = size});
  VectorSource data(batches);
  made->streams =
      std::make_unique<walk::Streams>(made->model, nullptr, made->encodings, int64_t{1} << 30, "");
  REQUIRE(made->streams->ReadData(data, 0, [](const std::string&) { return true; }).ok());
  const auto prelude = Prelude(*made->model.graph, made->blocks);
  REQUIRE(made->streams->Run(prelude, walk::Which::kBoth).ok());
  REQUIRE(made->streams->Run(PartOf(made->blocks, 0), walk::Which::kBoth).ok());
  return made;
}

bool Apart(const Walked& walked) {
  return SamplesApart(walked.model, PartOf(walked.blocks, 0), *walked.streams).value();
}

// The positions do not depend on data, only on the length of a sequence.
const char* const kPositions = R"(opset 17
graph g (float32[N,4,6] x) => (float32[N,4,5] y) {
  int64[] one = {1}
  int64[] start = {0}
  int64[] step = {1}
  shape = Shape(x)
  length = Gather(shape, one)
  positions = Range(start, length, step)
  row = Unsqueeze(positions, axes)
  int64[1] axes = {1}
  angle = Cast<to=1>(row)
  float32[6,5] w = random(1)
  m = MatMul(x, w)
  y = Add(m, angle)
})";

TEST_CASE("samples are units of their own, beside inputs that all of them share") {
  const auto walked = Walk(kPositions);
  REQUIRE(Apart(*walked));
  const structure::Block& block = walked->blocks[0];
  const BlockSamples samples(*walked->streams, block.inputs, {"y"}, false, true);
  CHECK(samples.units() == 8);
  CHECK(samples.joinable());
  // Samples 2 and 6: the last row of the first batch, the first one of the third.
  const std::vector<int64_t> units = {2, 6};
  const std::vector<Tensor> loaded = samples.Load(units).value();
  REQUIRE(loaded.size() == block.inputs.size() + 1);
  const Tensor& y = loaded.back();
  REQUIRE(y.shape() == Shape{2, 4, 5});
  const Tensor first = walked->streams->reference("y")[0]->Load().value();
  const Tensor third = walked->streams->reference("y")[2]->Load().value();
  CHECK(std::memcmp(y.data<float>(), first.data<float>() + 40, 80) == 0);
  CHECK(std::memcmp(y.data<float>() + 20, third.data<float>(), 80) == 0);
  for (size_t i = 0; i < block.inputs.size(); ++i)
    CHECK(loaded[i].dim(0) == (block.inputs[i] == "x" ? 2 : 4));
}

TEST_CASE("samples that a block mixes stay together") {
  CHECK_FALSE(Apart(*Walk(R"(opset 17
graph g (float32[N,4,6] x) => (float32[N,4,5] y) {
  float32[6,5] w = random(1)
  float32[5,5] v = random(2)
  m = MatMul(x, w)
  mean = ReduceMean<axes=[0]>(m)
  c = Sub(m, mean)
  y = MatMul(c, v)
})")));
}

TEST_CASE("inputs without samples must be the same in all batches") {
  // The largest value of a batch shifts all its samples.
  CHECK_FALSE(Apart(*Walk(R"(opset 17
graph g (float32[N,4,6] x) => (float32[N,4,5] y) {
  float32[6,5] w = random(1)
  most = ReduceMax<keepdims=0>(x)
  m = MatMul(x, w)
  y = Add(m, most)
})")));
}

}  // namespace
}  // namespace roundel::tune
