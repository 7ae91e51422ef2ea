#include "lib/walk/sweep.h"

#include <algorithm>
#include <atomic>

#include "lib/base/parallel.h"
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/vector_source.h"

namespace roundel::walk {

using namespace engine;
namespace {

constexpr char kNet[] = R"(opset 13
graph g (float32[N,4] x) => (float32[N,3] y) {
  float32[4,3] w = random(1)
  h = Relu(x)
  y = MatMul(h, w)
})";

// The outputs in the order in which they were handed out, and how many values each tap saw.
struct Seen {
  std::vector<Tensor> outputs;
  std::vector<int> order;
  std::atomic<int64_t> tapped = 0;
  int64_t samples = 0;
};

std::unique_ptr<Seen> RunSweep(int threads, int64_t limit, int64_t spare = int64_t{1} << 30) {
  auto seen = std::make_unique<Seen>();
  const graph::Model model = ParseModel(kNet);
  support::VectorSource data = support::RandomSource({5, 4}, 11, 3);
  SweepOptions options{.samples = limit, .label = "test", .spare_bytes = spare};
  options.executor.tapped_values = {"h"};
  const SweepHooks hooks = {.taps =
                                [&](int) {
                                  return std::vector<Tap>{{"h", true, [&](const TapView& view) {
                                                             seen->tapped += std::ssize(view.data);
                                                             return OkStatus();
                                                           }}};
                                },
                            .done =
                                [&](int lane, const Batch& batch, const std::vector<Tensor>& out) {
                                  CHECK(batch.size == 5);
                                  seen->outputs.push_back(out.at(0));
                                  seen->order.push_back(lane);
                                  return OkStatus();
                                },
                            .explain = {}};
  const int before = Threads();
  SetThreads(threads);
  const auto samples = Sweep(model, options, data, hooks);
  SetThreads(before);
  REQUIRE(samples.ok());
  seen->samples = *samples;
  return seen;
}

TEST_CASE("a sweep hands out every batch in order, whatever the number of threads") {
  const auto alone = RunSweep(1, 0);
  CHECK(alone->samples == 55);
  CHECK(alone->outputs.size() == 11);
  CHECK(alone->tapped == 55 * 4);
  for (const int threads : {2, 3, 4}) {
    const auto together = RunSweep(threads, 0);
    CHECK(together->samples == 55);
    CHECK(together->tapped == 55 * 4);
    CHECK(together->outputs == alone->outputs);
    CHECK(*std::max_element(together->order.begin(), together->order.end()) < threads);
  }
}

TEST_CASE("a sweep stops at whole batches, and stays on one lane where memory is short") {
  for (const int threads : {1, 3}) {
    CHECK(RunSweep(threads, 12)->samples == 15);
    CHECK(RunSweep(threads, 5)->samples == 5);
  }
  const auto narrow = RunSweep(3, 0, 0);
  CHECK(narrow->samples == 55);
  CHECK(narrow->order == std::vector<int>(11, 0));
}

TEST_CASE("the error of the first batch in the data's order comes out, explained") {
  const graph::Model model = ParseModel(kNet);
  support::VectorSource data = support::RandomSource({5, 4}, 9, 3);
  std::atomic<int> calls = 0;
  SweepOptions options{.label = "test"};
  options.executor.tapped_values = {"h"};
  const SweepHooks hooks = {
      .taps =
          [&](int) {
            return std::vector<Tap>{{"h", true, [&](const TapView&) {
                                       // Every batch but the first fails.
                                       if (++calls < 2) return OkStatus();
                                       return DataError("broken");
                                     }}};
          },
      .done = {},
      .explain = [](Status error,
                    const Batch& batch) { return std::move(error).At(batch.sample_names.at(0)); }};
  const int before = Threads();
  SetThreads(3);
  const auto samples = Sweep(model, options, data, hooks);
  SetThreads(before);
  REQUIRE_FALSE(samples.ok());
  CHECK(samples.status().message() == "random[5]: broken");
}

}  // namespace
}  // namespace roundel::walk
