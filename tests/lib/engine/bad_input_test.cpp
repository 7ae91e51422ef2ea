// Values and shapes that only a run can find wrong, and the limits of what a run may take: the
// answer is an error that names node, operator and shapes, with the memory given back.

#include <set>

#include "lib/base/limits.h"
#include "lib/base/parallel.h"
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/vector_source.h"

namespace roundel::engine {
namespace {

Tensor Ints(const Shape& shape, const std::vector<int64_t>& values) {
  return Tensor::FromVector<int64_t>(shape, values);
}
Tensor Int32s(const std::vector<int32_t>& values) {
  return Tensor::FromVector<int32_t>({static_cast<int64_t>(values.size())}, values);
}

struct BadRun {
  std::string nodes;  // read x, i and j
  Tensor i, j;        // of the inputs "int64[?..] i" and "j"
  std::string expected;
};

// Every node has the name "n" and reads run-time inputs, so that nothing is found beforehand.
void CheckBad(const BadRun& bad) {
  INFO(bad.nodes);
  const graph::Model model =
      ParseModel(StrCat("opset 16\ngraph g (float32[2,3] x, int64 i, ", DTypeName(bad.j.dtype()),
                        " j) => (? y) {\n", bad.nodes, "\n}"));
  const Tensor x = RandomTensor({2, 3}, 1);
  for (const bool fast : {true, false}) {
    const auto executor = MustCreate(model, {.fast_kernels = fast});
    for (int run = 0; run < 2; ++run) {
      const auto result = executor->Run({x, bad.i, bad.j});
      REQUIRE_FALSE(result.ok());
      CHECK(result.status().kind() == ErrorKind::kModel);
      CHECK_THAT(result.status().message(), Catch::Contains("'n'") &&
                                                Catch::Contains("float32[2, 3]") &&
                                                Catch::Contains(bad.expected));
      CHECK(result.status().message().find('\n') == std::string::npos);
    }
  }
}

TEST_CASE("indices out of range are named with their node and shapes") {
  const Tensor two = Ints({1}, {2}), below = Ints({1}, {-3}), none = Ints({1}, {0});
  const Tensor far = Ints({1, 1}, {INT64_MAX}), least = Ints({1}, {INT64_MIN}),
               wide = Ints({1, 2}, {0, 3});
  const Tensor value = Tensor::FromVector<float>({1}, {5});
  CheckBad({"[n] y = Gather(x, i)", two, none, "index 2"});
  CheckBad({"[n] y = Gather(x, i)", below, none, "index -3"});
  CheckBad({"[n] y = Gather<axis=1>(x, i)", least, none, "index -9223372036854775808"});
  CheckBad({"[n] y = GatherElements(x, i)", far, none, "9223372036854775807"});
  CheckBad({"[n] y = GatherND(x, i)", wide, none, "3"});
  CheckBad({"[n] y = ScatterElements(x, i, j)", Ints({1, 1}, {2}),
            Tensor::FromVector<float>({1, 1}, {5}), "2"});
  CheckBad({"[n] y = ScatterElements<reduction=\"add\">(x, i, j)", Ints({1, 1}, {-3}),
            Tensor::FromVector<float>({1, 1}, {5}), "-3"});
  CheckBad({"[n] y = ScatterND(x, i, j)", wide, value, "3"});
  CheckBad({"[n] y = Slice(x, i, j, i)", two, none, "axis 2"});
  CheckBad({"[n] y = Slice(x, j, j, j, i)", none, none, "step 0"});
}

TEST_CASE("shapes that only the run knows do not fit") {
  const Tensor none = Ints({1}, {0});
  CheckBad({"[n] y = Reshape(x, i)", Ints({2}, {4, -1}), none, "cannot reshape [2, 3] to [4, -1]"});
  CheckBad({"[n] y = Reshape(x, i)", Ints({2}, {-1, -1}), none, "cannot reshape"});
  CheckBad({"[n] y = Expand(x, i)", Ints({2}, {4, 3}), none, "[4, 3]"});
  CheckBad({"[n] y = Expand(x, i)", Ints({3}, {INT64_MAX, 2, 3}), none, "overflows"});
  CheckBad({"[n] y = Tile(x, i)", Ints({2}, {INT64_MAX, INT64_MAX}), none, "[9223372036854775807"});
  CheckBad({"[n] y = Tile(x, i)", Ints({2}, {-1, 1}), none, "-1"});
  CheckBad({"[n] y = Pad(x, i)", Ints({4}, {INT64_MAX, 0, 1, 0}), none, ""});
  CheckBad({"[n] y = Pad(x, i)", Ints({4}, {-3, 0, 0, 0}), none, ""});
  CheckBad({"[n] y = Split(x, i)", Ints({1}, {3}), none, "does not add up"});
  CheckBad({"[n] y, z = TopK(x, i)", Ints({1}, {4}), none, "4"});
}

TEST_CASE("integer division: by zero an error, the least by minus one wraps around") {
  const graph::Model model = ParseModel(R"(opset 14
graph g (int32[N] a, int32[N] b) => (int32 q, int32 r) {
  [quotient] q = Div(a, b)
  r = Mod(a, b)
})");
  for (const bool fast : {true, false}) {
    const auto executor = MustCreate(model, {.fast_kernels = fast});
    const auto zero = executor->Run({Int32s({1, 2}), Int32s({1, 0})});
    REQUIRE_FALSE(zero.ok());
    CHECK(zero.status().kind() == ErrorKind::kModel);
    CHECK_THAT(zero.status().message(), Catch::Contains("'quotient'") &&
                                            Catch::Contains("int32[2]") &&
                                            Catch::Contains("division by zero"));
    const auto wrapped = MustRun(*executor, {Int32s({INT32_MIN, 7}), Int32s({-1, -2})});
    CHECK(wrapped[0] == Int32s({INT32_MIN, -3}));
    CHECK(wrapped[1] == Int32s({0, -1}));
  }
}

TEST_CASE("a constant zero point that is no code of its values is an error") {
  for (const bool fast : {true, false}) {
    const auto executor = Executor::Create(ParseModel(R"(opset 17
graph g () => (float32 y) {
  uint8[2,3] q = {1, 2, 3, 4, 5, 6}
  float32[3] s = {0.5, 1, 2}
  y = DequantizeLinear(q, s, s)
})"),
                                           {.fast_kernels = fast});
    const Status status = executor.ok() ? (*executor)->Run({}).status() : executor.status();
    CHECK(status.kind() == ErrorKind::kModel);
    CHECK_THAT(status.message(),
               Catch::Contains("DequantizeLinear") && Catch::Contains("zero point"));
  }
}

// ---- limits

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

constexpr int64_t kMega = 1000 * 1000;

// Two values of N MB each are alive at once.
constexpr char kLarge[] = R"(opset 16
graph g (float32[N,250000] x) => (float32[?] y) {
  a = Relu(x)
  t = Tanh(a)
  [sum] b = Concat<axis=0>(a, t)
  y = ReduceMax<keepdims=0>(b)
})";

TEST_CASE("a run that exceeds the memory limit says so and gives everything back") {
  const graph::Model model = ParseModel(kLarge);
  for (const bool fast : {true, false}) {
    const auto executor = MustCreate(model, {.fast_kernels = fast});
    const Tensor small = RandomTensor({1, 250000}, 1), large = RandomTensor({8, 250000}, 1);
    const int64_t before = MemoryInUse();
    {
      const Limits limits(before + 16 * kMega);
      CHECK(executor->Run({small}).ok());          // 1 + 1 + 2 MB
      const auto failed = executor->Run({large});  // 8 + 8 + 16 MB
      REQUIRE_FALSE(failed.ok());
      CHECK(failed.status().kind() == ErrorKind::kModel);
      CHECK_THAT(failed.status().message(),
                 Catch::Contains("out of memory") && Catch::Contains("--max-memory"));
      CHECK(MemoryInUse() < before + 16 * kMega);
      CHECK(executor->Run({small}).ok());
    }
    CHECK(executor->Run({large}).ok());
  }
}

TEST_CASE("weights are used as they lie in the model where no memory is left for a packed copy") {
  const graph::Model model = ParseModel(R"(opset 16
graph g (float32[N,500] x) => (float32 y, float32 z) {
  float32[500,600] w = random(1)
  float32[700,500] v = random(2)
  float32[700] b = random(3)
  y = MatMul(x, w)
  z = Gemm<transB=1>(x, v, b)
})");
  for (const int64_t rows : {1, 7}) {
    const std::vector<Tensor> inputs = {RandomTensor({rows, 500}, 4)};
    const auto plain = MustRun(*MustCreate(model, {.fast_kernels = false}), inputs);
    const auto executor = MustCreate(model);
    const Limits limits(MemoryInUse() + 300 * 1000);  // the weights are 1.2 and 1.4 MB
    for (int run = 0; run < 3; ++run) {
      const auto outputs = MustRun(*executor, inputs);
      for (size_t i = 0; i < 2; ++i) CHECK(RelativeError(outputs[i], plain[i]) < kTolerance);
      CHECK(MemoryInUse() < MemoryLimit());
    }
  }
}

TEST_CASE("memory that is in use is counted, and given back with its owner") {
  const int64_t before = MemoryInUse();
  {
    const Tensor a = Tensor::Zeros(DType::kFloat, {250000});
    const Tensor shared = a;
    CHECK(MemoryInUse() == before + kMega);
    const graph::Model model = ParseModel(kLarge);
    const auto executor = MustCreate(model);
    for (int run = 0; run < 3; ++run) MustRun(*executor, {RandomTensor({2, 250000}, 1)});
    CHECK(MemoryInUse() > before + 2 * kMega);
  }
  CHECK(MemoryInUse() == before);
}

TEST_CASE("a loop may run as often as the limit says, and not once more") {
  const graph::Model model = ParseModel(R"(opset 16
graph g (int64[] trips) => (int64 y) {
  int64[] zero = {0}
  int64[] one = {1}
  [forever] y = Loop<body=graph b (int64[] i, bool[] c, int64[] v) => (bool[] c2, int64[] v2) {
    c2 = Identity(c)
    v2 = Add(v, one)
  }>(trips, "", zero)
})");
  const auto executor = MustCreate(model);
  const Limits limits(0, 1000);
  CHECK(MustRun(*executor, {Tensor::Scalar<int64_t>(1000)})[0] == Tensor::Scalar<int64_t>(1000));
  const auto failed = executor->Run({Tensor::Scalar<int64_t>(1001)});
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.status().kind() == ErrorKind::kModel);
  CHECK_THAT(failed.status().message(), Catch::Contains("'forever'") &&
                                            Catch::Contains("1000 times") &&
                                            Catch::Contains("--max-iterations"));
}

}  // namespace
}  // namespace roundel::engine
