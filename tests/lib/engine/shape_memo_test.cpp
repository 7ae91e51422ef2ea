// Executors that run repeatedly give the same results as new ones, although they do not recompute
// unchanged sizes.

#include "tests/lib/engine/engine_test_support.h"

namespace roundel::engine {
namespace {

// What exporters write for x.reshape(batch, -1) * sqrt(width) after a convolution.
constexpr char kFlatten[] = R"(opset 13
graph g (float32[N,3,H,W] x) => (float32 y, int64 sizes) {
  float32[4,3,3,3] w = random(1)
  int64[] zero = {0}
  int64[] three = {3}
  int64[1] first = {0}
  int64[1] rest = {-1}
  c = Conv<pads=[1,1,1,1]>(x, w)
  s = Shape(c)
  n = Gather<axis=0>(s, zero)
  width = Gather<axis=0>(s, three)
  n1 = Unsqueeze(n, first)
  sizes = Concat<axis=0>(n1, rest)
  flat = Reshape(c, sizes)
  wide = Cast<to=1>(width)
  root = Sqrt(wide)
  y = Mul(flat, root)
})";

void CheckLikeNew(Executor& executor, const graph::Model& model,
                  const std::vector<Tensor>& inputs) {
  const std::vector<Tensor> expected = MustRun(*MustCreate(model, {.fast_kernels = false}), inputs);
  const std::vector<Tensor> actual = MustRun(executor, inputs);
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    CHECK(RelativeError(actual[i], expected[i]) < kTolerance);
}

TEST_CASE("sizes follow the shapes of every run") {
  const graph::Model model = ParseModel(kFlatten);
  for (const bool fast : {true, false}) {
    const auto executor = MustCreate(model, {.fast_kernels = fast});
    for (const Shape& shape : {Shape{2, 3, 5, 7},
                               {2, 3, 5, 7},
                               {2, 3, 5, 4},
                               {2, 3, 5, 7},
                               {1, 3, 5, 7},
                               {1, 3, 9, 7},
                               {1, 3, 9, 7},
                               {4, 3, 1, 1}})
      CheckLikeNew(*executor, model, {RandomTensor(shape, 3)});
  }
}

TEST_CASE("sizes that depend on values are computed anew") {
  const graph::Model model = ParseModel(R"(opset 13
graph g (float32[N] x) => (float32 y, int64 count) {
  int64[1] one = {1}
  places = NonZero(x)
  s = Shape(places)
  count = Gather<axis=0>(s, one)
  number = Cast<to=1>(count)
  y = Div(x, number)
})");
  const auto executor = MustCreate(model);
  for (const std::vector<float>& x : {std::vector<float>{1, 0, 2}, {1, 0, 2}, {1, 3, 2}, {0, 0, 2}})
    CheckLikeNew(*executor, model, {Tensor::FromVector<float>({3}, x)});
}

TEST_CASE("a run that fails half-way leaves no sizes of another one behind") {
  // Fails where i is out of range; `later` is computed behind that.
  const graph::Model model = ParseModel(R"(opset 13
graph g (float32[N] x, int64 i) => (float32 y) {
  int64[1] two = {2}
  s = Shape(x)
  early = Mul(s, two)
  picked = Gather<axis=0>(x, i)
  again = Gather<axis=0>(picked, two)
  later = Add(early, two)
  number = Cast<to=1>(later)
  y = Add(again, number)
})");
  const Tensor good = Tensor::FromVector<int64_t>({3}, {0, 1, 2});
  const Tensor bad = Tensor::FromVector<int64_t>({3}, {0, 1, 99});
  const auto executor = MustCreate(model);
  CheckLikeNew(*executor, model, {RandomTensor({5}, 1), good});
  CHECK_FALSE(executor->Run({RandomTensor({7}, 2), bad}).ok());
  CheckLikeNew(*executor, model, {RandomTensor({7}, 2), good});
  CheckLikeNew(*executor, model, {RandomTensor({5}, 1), good});
}

TEST_CASE("a size that somebody changes outside stays what it is inside") {
  const graph::Model model = ParseModel(kFlatten);
  const auto executor = MustCreate(model);
  const std::vector<Tensor> x = {RandomTensor({2, 3, 5, 7}, 3)};
  std::vector<Tensor> first = MustRun(*executor, x);
  first[1].mutable_data<int64_t>()[0] = 1000;
  CheckLikeNew(*executor, model, x);
}

TEST_CASE("sizes in a loop follow shapes that grow") {
  const graph::Model model = ParseModel(R"(opset 13
graph g (float32[N] x) => (float32 y) {
  int64[] trips = {5}
  bool[] go = {1}
  y = Loop<body=graph body (int64[] i, bool[] c, float32 v) => (bool c2, float32 v2) {
    int64[1] zero = {0}
    c2 = Identity(c)
    s = Shape(v)
    n = Cast<to=1>(s)
    longer = Concat<axis=0>(v, n)
    v2 = Identity(longer)
  }>(trips, go, x)
})");
  const auto executor = MustCreate(model);
  for (const int64_t n : {3, 3, 4, 3}) {
    const std::vector<Tensor> y = MustRun(*executor, {Tensor::Zeros(DType::kFloat, {n})});
    std::vector<float> expected(static_cast<size_t>(n), 0.0f);
    for (int i = 0; i < 5; ++i) expected.push_back(static_cast<float>(expected.size()));
    CHECK(y[0] == Tensor::FromVector<float>({n + 5}, expected));
  }
}

}  // namespace
}  // namespace roundel::engine
