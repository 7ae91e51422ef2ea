// Lanes of a sweep under a memory limit.

#include <set>

#include "lib/base/limits.h"
#include "lib/base/parallel.h"
#include "lib/walk/sweep.h"
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel::walk {
namespace {

using namespace engine;

constexpr int64_t kMega = 1000 * 1000;

class Limits {
 public:
  explicit Limits(int64_t bytes, int64_t iterations = 0) {
    SetMemoryLimit(bytes);
    SetLoopLimit(iterations);
  }
  ~Limits() {
    SetMemoryLimit(0);
    SetLoopLimit(0);
  }
};

constexpr char kLarge[] = R"(opset 16
graph g (float32[N,250000] x) => (float32[?] y) {
  a = Relu(x)
  t = Tanh(a)
  [sum] b = Concat<axis=0>(a, t)
  y = ReduceMax<keepdims=0>(b)
})";

TEST_CASE("lanes of a sweep share the memory limit") {
  const graph::Model model = ParseModel(kLarge);
  const int threads = Threads();
  SetThreads(4);
  const auto lanes_and_results = [&](int64_t limit) {
    support::VectorSource data = support::RandomSource({1, 250000}, 12, 1);
    const Limits limits(limit);
    std::set<int> lanes;
    std::vector<Tensor> results;
    const SweepHooks hooks = {.taps = {},
                              .done =
                                  [&](int lane, const Batch&, const std::vector<Tensor>& outputs) {
                                    lanes.insert(lane);
                                    results.push_back(outputs.at(0));
                                    return OkStatus();
                                  },
                              .explain = {}};
    const auto ran = Sweep(model, {.executor = {}, .label = "test"}, data, hooks);
    INFO((ran.ok() ? "" : ran.status().message()));
    REQUIRE(ran.ok());
    return std::pair(lanes, results);
  };
  const int64_t with_data = MemoryInUse() + 12 * kMega;
  const auto [one, alone] = lanes_and_results(with_data + 7 * kMega);
  const auto [many, together] = lanes_and_results(0);
  SetThreads(threads);
  CHECK(one == std::set<int>{0});
  CHECK(alone == together);
}

TEST_CASE("the weights of sub-graphs count when lanes are laid out") {
  const graph::Model model = ParseModel(R"(opset 16
graph g (float32[N,4] x) => (float32 y) {
  float32[] limit = {0}
  m = ReduceMax<keepdims=0>(x)
  c = Less(limit, m)
  y = If<then_branch=graph t () => (float32 p) { float32[4,50000] w = random(1)  p = MatMul(x, w) },
         else_branch=graph e () => (float32 q) { q = Neg(x) }>(c)
})");
  const int threads = Threads();
  SetThreads(4);
  support::VectorSource data = support::RandomSource({1, 4}, 12, 1);
  std::set<int> lanes;
  const SweepHooks hooks = {.taps = {},
                            .done =
                                [&](int lane, const Batch&, const std::vector<Tensor>&) {
                                  lanes.insert(lane);
                                  return OkStatus();
                                },
                            .explain = {}};
  const auto ran =
      Sweep(model, {.executor = {}, .label = "test", .spare_bytes = kMega}, data, hooks);
  SetThreads(threads);
  REQUIRE(ran.ok());
  CHECK(lanes == std::set<int>{0});
}

}  // namespace
}  // namespace roundel::walk
