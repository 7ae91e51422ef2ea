// Oracle: counting by hand.

#include "lib/walk/streams.h"
#include "lib/walk/sweep.h"
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/vector_source.h"

namespace roundel::walk {
namespace {

// Batches of 2, 3 and 1 samples, each shown three times.
class Shown : public StoredBatches {
 public:
  Shown() : StoredBatches(Batches()) {}
  int64_t views() const override { return 3; }

 private:
  static std::vector<Batch> Batches() {
    Random random(1);
    std::vector<Batch> batches;
    for (const int64_t size : {2, 3, 1})
      for (int view = 0; view < 3; ++view) {
        batches.push_back({.sample_names = {}, .size = size});
        batches.back().inputs = {support::RandomTensor({size, 4}, random)};
        batches.back().sample_names.assign(static_cast<size_t>(size), "sample");
      }
    return batches;
  }
};

constexpr char kNet[] = "opset 13\ngraph g (float32[N,4] x) => (float32[N,4] y) { y = Relu(x) }";

TEST_CASE("limits of samples count samples, and all views of these come") {
  const graph::Model model = support::ParseModel(kNet);
  const quant::EncodingTable none;
  // Whole batches: a limit of 1 or 2 takes the first one, 3 to 5 the first two.
  for (const auto& [limit, samples] : {std::pair{0, 6}, {1, 2}, {2, 2}, {3, 5}, {5, 5}, {6, 6}}) {
    INFO(limit);
    Shown data;
    Streams streams(model, nullptr, none, int64_t{1} << 30, "");
    REQUIRE(streams.ReadData(data, limit, [](const std::string&) { return true; }).ok());
    CHECK(streams.originals() == samples);
    CHECK(streams.samples() == 3 * samples);
    CHECK(streams.views() == 3);
    Shown again;
    const auto swept = Sweep(model, {.samples = limit, .label = "test"}, again, {});
    REQUIRE(swept.ok());
    CHECK(*swept == 3 * samples);
  }
}

TEST_CASE("each batch knows the number of its first sample, whatever the view") {
  const graph::Model model = support::ParseModel(kNet);
  const quant::EncodingTable none;
  Shown data;
  Streams streams(model, nullptr, none, int64_t{1} << 30, "");
  REQUIRE(streams.ReadData(data, 0, [](const std::string&) { return true; }).ok());
  const std::vector<int64_t> expected = {0, 0, 0, 2, 2, 2, 5, 5, 5};
  for (size_t batch = 0; batch < expected.size(); ++batch)
    CHECK(streams.Original(batch) == expected[batch]);
}

}  // namespace
}  // namespace roundel::walk
