#include "lib/walk/layer_walk.h"

#include "lib/base/parallel.h"
#include "lib/walk/stretch.h"
#include "lib/walk/value_store.h"
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/vector_source.h"

namespace roundel::walk {

using namespace engine;
namespace {

// A residual block: the value `a` is read again behind two layers.
constexpr char kNet[] = R"(opset 13
graph g (float32[N,3,6,6] x) => (float32[N,2] y) {
  float32[4,3,3,3] w1 = random(1)
  float32[4,4,1,1] w2 = random(2)
  float32[4,1,3,3] w3 = random(3)
  float32[64,2] w4 = random(4)
  c1 = Conv(x, w1)
  a = Relu(c1)
  c2 = Conv(a, w2)
  b = Relu(c2)
  c3 = Conv<group=4, pads=[1,1,1,1]>(b, w3)
  s = Add(c3, a)
  f = Flatten(s)
  y = MatMul(f, w4)
})";

quant::Encoding Grid(float scale) {
  return {.role = quant::Role::kWeight,
          .grid = {.bits = 4, .is_signed = true, .symmetric = true},
          .params = {{scale, 0}}};
}

struct Walked {
  std::vector<std::vector<Tensor>> reference, quantized;  // by layer, by batch
};

// Every layer gets a coarse grid when it is visited.
Walked Walk(const graph::Model& model, int64_t memory, int threads = 1) {
  support::VectorSource data = support::RandomSource({3, 3, 6, 6}, 4, 5);
  std::vector<const graph::Node*> layers;
  for (const graph::NodePtr& node : model.graph->nodes())
    if (node->Is("Conv") || node->Is("MatMul")) layers.push_back(node.get());
  Walked walked;
  quant::EncodingTable table;
  const int before = Threads();
  SetThreads(threads);
  const Status status =
      WalkLayers(model, table, layers, data, {.memory_bytes = memory, .label = "test"},
                 [&](size_t i, const LayerInputs* inputs) -> Result<std::string> {
                   CHECK(i == walked.reference.size());
                   CHECK(inputs->samples() == 12);
                   walked.reference.emplace_back();
                   walked.quantized.emplace_back();
                   int64_t first = 0;
                   for (int64_t index = 0; index < inputs->batches(); ++index) {
                     ASSIGN_OR_RETURN(const LayerBatch batch, inputs->Load(index));
                     CHECK(batch.first_sample == first);
                     first += batch.samples;
                     walked.reference.back().push_back(batch.reference);
                     walked.quantized.back().push_back(batch.quantized);
                   }
                   table[layers[i]->input(1)] = Grid(0.3f);
                   return std::string();
                 });
  SetThreads(before);
  INFO(status.message());
  REQUIRE(status.ok());
  return walked;
}

// The layers' inputs by plain kernels, with the weights of earlier layers on the grid.
std::vector<Tensor> Expected(const graph::Model& model, bool quantized) {
  support::VectorSource data = support::RandomSource({3, 3, 6, 6}, 4, 5);
  const std::vector<std::string> values = {"x", "a", "b", "f"};
  quant::EncodingTable table;
  if (quantized)
    for (const char* weight : {"w1", "w2", "w3", "w4"}) table[weight] = Grid(0.3f);
  const auto executor =
      MustCreate(model, {.simulate = &table, .fast_kernels = false, .outputs = values});
  std::vector<Tensor> all;
  while (true) {
    const auto batch = data.Next();
    REQUIRE(batch.ok());
    if (!*batch) return all;
    for (Tensor& value : MustRun(*executor, (*batch)->inputs)) all.push_back(std::move(value));
  }
}

void CheckAgainstPlain(const Walked& walked, const std::vector<Tensor>& reference,
                       const std::vector<Tensor>& quantized) {
  REQUIRE(walked.reference.size() == 4);
  for (size_t layer = 0; layer < 4; ++layer)
    for (size_t batch = 0; batch < 4; ++batch) {
      // Values are stored with 11 bits.
      CHECK(RelativeError(walked.reference[layer][batch], reference[batch * 4 + layer]) < 2e-3);
      CHECK(RelativeError(walked.quantized[layer][batch], quantized[batch * 4 + layer]) < 2e-3);
    }
}

TEST_CASE("a walk hands every layer what the float and the quantized model give it") {
  const graph::Model model = ParseModel(kNet);
  const auto reference = Expected(model, false), quantized = Expected(model, true);
  CheckAgainstPlain(Walk(model, int64_t{1} << 30), reference, quantized);
  const Walked walked = Walk(model, int64_t{1} << 30);
  CHECK(walked.quantized[0][0] == walked.reference[0][0]);  // nothing is quantized yet
  CHECK(walked.quantized[1][0] != walked.reference[1][0]);
}

TEST_CASE("a walk on disk and on several threads gives the same bytes") {
  const graph::Model model = ParseModel(kNet);
  const Walked memory = Walk(model, int64_t{1} << 30), disk = Walk(model, 0, 3);
  CHECK(memory.reference == disk.reference);
  CHECK(memory.quantized == disk.quantized);
}

TEST_CASE("stretches keep what is read later, and leave out what nothing needs") {
  const graph::Model model = ParseModel(kNet);
  const Stretches stretches(*model.graph, {0, 2, 4});
  const auto part = stretches.Between(0, 2);
  CHECK(part.inputs == std::vector<std::string>{"x"});
  CHECK(part.outputs == std::vector<std::string>{"a"});
  CHECK(stretches.ReadFrom("a", 2));
  CHECK_FALSE(stretches.ReadFrom("a", 3));  // Add lies behind the last layer that is visited
  const auto all = Stretches(*model.graph, {0, 2, 4, 7}).Between(2, 4);
  CHECK(all.outputs == std::vector<std::string>{"b"});
  CHECK(Stretches(*model.graph, {0, 2, 4, 7}).ReadFrom("a", 5));
}

TEST_CASE("values are put aside in half precision where that is harmless, and come back") {
  for (const int64_t budget : {int64_t{1} << 20, int64_t{0}}) {
    ValueStore store(budget);
    const auto trip = [&](const Tensor& value, bool halve = true) {
      const auto stored = store.Put(value, halve);
      REQUIRE(stored.ok());
      const auto loaded = (*stored)->Load();
      REQUIRE(loaded.ok());
      return *loaded;
    };
    const Tensor x = RandomTensor({3, 37}, 1);
    CHECK(RelativeError(trip(x), x) <= 0x1p-11);
    CHECK_FALSE(trip(x) == x);
    CHECK(trip(x, false) == x);
    // Too large, too small, not finite: kept as they are.
    for (const float value : {1e6f, 1e-4f, HUGE_VALF}) {
      const Tensor kept = Tensor::FromVector<float>({2}, {value, value / 3});
      CHECK(trip(kept) == kept);
    }
    const Tensor whole = Tensor::FromVector<int64_t>({2}, {int64_t{1} << 60, -3});
    CHECK(trip(whole) == whole);
    const Tensor words = Tensor::Strings({2}, {"a", "bc"});
    CHECK(trip(words) == words);
    const Tensor none = Tensor::FromVector<float>({0, 4}, {});
    CHECK(trip(none).shape() == Shape{0, 4});
  }
}

TEST_CASE("memory of a store goes back with its values, and a full one goes to disk") {
  ValueStore store(1000);
  const Tensor x = RandomTensor({100}, 1);
  auto first = store.Put(x, false), second = store.Put(x, false), third = store.Put(x, false);
  REQUIRE((first.ok() && second.ok() && third.ok()));
  CHECK(store.memory_bytes() == 800);
  CHECK(store.spilled_bytes() == 400);
  first = Status(ErrorKind::kInternal, "dropped");
  CHECK(store.memory_bytes() == 400);
  const auto loaded = (*third)->Load();
  REQUIRE(loaded.ok());
  CHECK(*loaded == x);
  ValueStore nowhere(0, "/nonexistent/folder");
  const auto failed = nowhere.Put(x, false);
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.status().message().find("TMPDIR") != std::string::npos);
}

}  // namespace
}  // namespace roundel::walk
