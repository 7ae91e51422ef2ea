#include "lib/engine/executor.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "lib/base/interrupt.h"
#include "lib/base/parallel.h"
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

constexpr char kSmallNet[] = R"(opset 14
graph g (float32[N,3,H,W] x) => (float32 y) {
  float32[17,3,3,3] w1 = random(1)
  float32[17] b1 = random(2)
  float32[17,1,3,3] w2 = random(3)
  float32[17,17,1,1] w3 = random(4, -0.2, 0.2)
  float32[10,17] w4 = random(5)
  float32[] zero = {0}
  float32[] six = {6}
  [first] a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w1, b1)
  b = Clip(a, zero, six)
  c = Conv<pads=[1,1,1,1], group=17>(b, w2)
  d = Relu(c)
  e = Conv(d, w3)
  f = Add(b, e)
  g = GlobalAveragePool(f)
  h = Flatten(g)
  [last] y = Gemm<transB=1>(h, w4)
})";

Status RunError(const std::string& text, const std::vector<Tensor>& inputs,
                const std::vector<Tap>& taps = {}, ExecutorOptions options = {}) {
  const auto executor = MustCreate(ParseModel(text), options);
  const auto result = executor->Run(inputs, taps);
  REQUIRE_FALSE(result.ok());
  // The executor works on after an error.
  (void)executor->Run(inputs);
  return result.status();
}

Status CreateError(const std::string& text, const ExecutorOptions& options = {}) {
  const auto executor = Executor::Create(ParseModel(text), options);
  REQUIRE_FALSE(executor.ok());
  return executor.status();
}

TEST_CASE("a small network gives the plain kernels' results for every batch size in turn") {
  const graph::Model model = ParseModel(kSmallNet);
  const auto fast = MustCreate(model);
  const auto plain = MustCreate(model, {.fast_kernels = false});
  CHECK(fast->input_names() == std::vector<std::string>{"x"});
  CHECK(fast->output_names() == std::vector<std::string>{"y"});
  for (const Shape& shape :
       {Shape{1, 3, 8, 8}, {4, 3, 8, 8}, {4, 3, 8, 8}, {3, 3, 8, 8}, {1, 3, 8, 8}, {4, 3, 11, 9}}) {
    const std::vector<Tensor> x = {RandomTensor(shape, 7)};
    CHECK(RelativeError(MustRun(*fast, x)[0], MustRun(*plain, x)[0]) < kTolerance);
  }
}

TEST_CASE("results do not depend on the number of threads") {
  const graph::Model model = ParseModel(kSmallNet);
  const int before = Threads();
  const std::vector<Tensor> x = {RandomTensor({4, 3, 33, 31}, 7)};
  std::vector<Tensor> results;
  for (const int threads : {1, 2, 3}) {
    SetThreads(threads);
    const auto executor = MustCreate(model);
    for (int run = 0; run < 2; ++run) results.push_back(MustRun(*executor, x)[0]);
  }
  SetThreads(before);
  for (const Tensor& result : results) CHECK(result == results[0]);
}

TEST_CASE("taps see every value once, in the order asked for") {
  const graph::Model model = ParseModel(kSmallNet);
  const std::vector<std::string> values = {"x", "a", "b", "d", "f", "g", "y"};
  const Tensor x = RandomTensor({2, 3, 7, 9}, 8);
  std::map<std::string, Tensor> expected;
  const auto copy_to = [](std::map<std::string, Tensor>* to) {
    return [to](const TapView& view) {
      (*to)[view.name] =
          Tensor::FromVector<float>(view.shape, {view.data.begin(), view.data.end()});
      return OkStatus();
    };
  };
  std::vector<Tap> taps;
  for (const std::string& value : values) taps.push_back({value, false, copy_to(&expected)});
  MustRun(*MustCreate(model, {.tapped_values = values, .fast_kernels = false}), {x}, taps);
  const auto fast = MustCreate(model, {.tapped_values = values});
  for (const bool any_order : {false, true, false}) {
    std::map<std::string, Tensor> seen;
    for (Tap& tap : taps) tap = {tap.value, any_order, copy_to(&seen)};
    MustRun(*fast, {x}, taps);
    REQUIRE(seen.size() == values.size());
    for (const std::string& value : values) {
      INFO(value);
      if (any_order)  // the same elements, sorted
        for (auto* tensors : {&seen, &expected}) {
          float* data = (*tensors)[value].mutable_data<float>();
          std::sort(data, data + (*tensors)[value].size());
        }
      CHECK(RelativeError(seen[value], expected[value]) < kTolerance);
    }
    if (any_order)
      MustRun(*MustCreate(model, {.tapped_values = values, .fast_kernels = false}), {x}, [&] {
        std::vector<Tap> again;
        for (const std::string& value : values) again.push_back({value, false, copy_to(&expected)});
        return again;
      }());
  }
}

TEST_CASE("a tap that wants no more is not called, and the run goes on as without it") {
  const graph::Model model = ParseModel(kSmallNet);
  const auto executor = MustCreate(model, {.tapped_values = {"b", "f"}});
  const Tensor x = RandomTensor({2, 3, 7, 9}, 8);
  const Tensor y = MustRun(*executor, {x})[0];
  std::map<std::string, int> calls;
  const auto count = [&](const TapView& view) {
    ++calls[view.name];
    return OkStatus();
  };
  const std::vector<Tap> taps = {{"b", false, count, [&] { return calls["b"] < 2; }},
                                 {"f", true, count}};
  for (int run = 0; run < 5; ++run) CHECK(MustRun(*executor, {x}, taps)[0] == y);
  CHECK(calls["b"] == 2);
  CHECK(calls["f"] == 5);
}

TEST_CASE("what a tap returns ends the run") {
  const graph::Model model = ParseModel(kSmallNet);
  const auto executor = MustCreate(model, {.tapped_values = {"b", "f"}});
  const Tensor x = RandomTensor({2, 3, 7, 9}, 8);
  int later = 0;
  const std::vector<Tap> taps = {{"b", true, [](const TapView&) { return DataError("enough"); }},
                                 {"f", true, [&](const TapView&) {
                                    ++later;
                                    return OkStatus();
                                  }}};
  const auto result = executor->Run({x}, taps);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().kind() == ErrorKind::kData);
  CHECK(result.status().message() == "enough");
  CHECK(later == 0);
  MustRun(*executor, {x});
}

TEST_CASE("values that were not announced, do not exist or are no floats cannot be tapped") {
  const auto nothing = [](const TapView&) { return OkStatus(); };
  const Tensor x = RandomTensor({1, 3, 8, 8}, 1);
  CHECK_THAT(RunError(kSmallNet, {x}, {{"a", true, nothing}}).message(), Catch::Contains("'a'"));
  CHECK_THAT(RunError(kSmallNet, {x}, {{"none", true, nothing}}).message(),
             Catch::Contains("'none'"));
  const Status unknown = CreateError(kSmallNet, {.tapped_values = {"none"}});
  CHECK(unknown.kind() == ErrorKind::kModel);
  CHECK_THAT(unknown.message(), Catch::Contains("'none'"));
  const Status shape = RunError("opset 14\ngraph g (float32[2] x) => (int64 y) { y = Shape(x) }",
                                {RandomTensor({2}, 1)}, {{"y", true, nothing}});
  CHECK(shape.kind() == ErrorKind::kModel);
  CHECK_THAT(shape.message(), Catch::Contains("int64"));
}

TEST_CASE("a tapped constant is seen in every run") {
  const auto executor = MustCreate(ParseModel(R"(opset 14
graph g (float32[2] x) => (float32 y) {
  float32[2] k = {1, -2}
  m = Abs(k)
  y = Mul(x, m)
})"),
                                   {.tapped_values = {"m"}});
  float sum = 0;
  for (int run = 0; run < 2; ++run)
    MustRun(*executor, {RandomTensor({2}, 1)}, {{"m", true, [&](const TapView& view) {
                                                   sum += view.data[0] + view.data[1];
                                                   return OkStatus();
                                                 }}});
  CHECK(sum == 6);
}

TEST_CASE("only what wanted outputs need is computed") {
  // 'bad' would fail, but is not run.
  const std::string text = R"(opset 14
graph g (float32[2,3] x) => (float32 y, float32 z) {
  y = Relu(x)
  z = MatMul(x, x)
})";
  const auto executor = MustCreate(ParseModel(text), {.outputs = {"y"}});
  CHECK(executor->output_names() == std::vector<std::string>{"y"});
  CHECK(MustRun(*executor, {RandomTensor({2, 3}, 1)}).size() == 1);
  CHECK(RunError(text, {RandomTensor({2, 3}, 1)}).kind() == ErrorKind::kModel);
  CHECK_THAT(CreateError(text, {.outputs = {"w"}}).message(), Catch::Contains("'w'"));
}

TEST_CASE("outputs may be inputs, constants, views and the same value twice") {
  for (const bool fast : {true, false}) {
    const auto executor = MustCreate(ParseModel(R"(opset 14
graph g (float32[2,3] x) => (float32 x, float32 k, float32 i, float32 r, float32 f) {
  float32[2] k = {1, 2}
  int64[1] s = {-1}
  i = Identity(x)
  r = Reshape(x, s)
  a = Relu(x)
  f = Flatten<axis=0>(a)
})"),
                                     {.fast_kernels = fast});
    const Tensor x = RandomTensor({2, 3}, 1);
    for (int run = 0; run < 2; ++run) {
      const auto outputs = MustRun(*executor, {x});
      CHECK(outputs[0] == x);
      CHECK(outputs[1] == Tensor::FromVector<float>({2}, {1, 2}));
      CHECK(outputs[2] == x);
      CHECK(outputs[3] == x.Reshaped({6}));
      CHECK(outputs[4].shape() == Shape{1, 6});
      CHECK(outputs[4].data<float>()[0] == std::max(0.0f, x.data<float>()[0]));
    }
  }
}

TEST_CASE("outputs outlive the executor and later runs") {
  const graph::Model model = ParseModel(kSmallNet);
  auto executor = MustCreate(model);
  const Tensor x = RandomTensor({2, 3, 8, 8}, 1);
  MustRun(*executor, {x});
  const Tensor first = MustRun(*executor, {x})[0];
  const std::vector<float> copy(first.data<float>(), first.data<float>() + first.size());
  MustRun(*executor, {RandomTensor({2, 3, 8, 8}, 2)});
  executor.reset();
  CHECK(std::equal(copy.begin(), copy.end(), first.data<float>()));
}

TEST_CASE("constants are folded, Identity and Dropout vanish") {
  const graph::Model model = ParseModel(R"(opset 14
graph g (float32[2,3] x) => (float32 y) {
  float32[3] k = {1, 2, 3}
  float32[] ratio = {0.5}
  bool[] training = {0}
  a = Mul(k, k)
  c = Constant<value_float=2.0>()
  b = Add(a, c)
  i = Identity(x)
  d, mask = Dropout(i, ratio, training)
  y = Add(d, b)
})");
  const Tensor x = RandomTensor({2, 3}, 1);
  CHECK(FastCoverage(model, {x}).steps == 1);
  CheckFastEqualsPlain(model, {x});
}

TEST_CASE("functions are unfolded, with their attributes and opset") {
  const graph::Model model = ParseModel(R"(opset 14, com.example 1
function com.example.Scaled<alpha>(a) => (b) {
  opset 14
  t = LeakyRelu<alpha=@alpha>(a)
  b = com.example.Twice(t)
}
function com.example.Twice(a) => (b) {
  opset 14
  t = Identity(a)
  b = Add(t, a)
}
graph g (float32[2] x) => (float32 y) {
  t = com.example.Scaled<alpha=0.5>(x)
  y = com.example.Twice(t)
})");
  const Tensor x = Tensor::FromVector<float>({2}, {-1, 3});
  for (const bool fast : {true, false})
    CHECK(MustRun(*MustCreate(model, {.fast_kernels = fast}), {x})[0] ==
          Tensor::FromVector<float>({2}, {-2, 12}));
  CHECK(UnsupportedNodes(model).empty());
}

TEST_CASE("a function that calls itself is an error") {
  CHECK_THAT(CreateError(R"(opset 14, e 1
function e.F(a) => (b) { opset 14, e 1
  b = e.F(a) }
graph g (float32[2] x) => (float32 y) { y = e.F(x) })")
                 .message(),
             Catch::Contains("calls itself"));
}

TEST_CASE("operators that cannot run are named, with domain, version and node") {
  const std::string text = R"(opset 14, com.example 1
graph g (float32[2] x) => (float32 y, float32 z) {
  [odd] y = com.example.Strange(x)
  z = Stranger(x)
})";
  const std::vector<std::string> lines = UnsupportedNodes(ParseModel(text));
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == "Strange (com.example, opset 1), node 'odd'");
  CHECK(lines[1] == "Stranger (ai.onnx, opset 14), node producing 'z'");
  const Status status = CreateError(text);
  CHECK(status.kind() == ErrorKind::kModel);
  CHECK_THAT(status.message(), Catch::Contains("Strange (com.example, opset 1), node 'odd'"));
  // No requested output depends on it.
  CHECK_THAT(CreateError(text, {.outputs = {"z"}}).message(), Catch::Contains("Stranger"));
}

TEST_CASE("graphs that make no sense are errors") {
  CHECK_THAT(
      CreateError("opset 14\ngraph g (float32 x) => (float32 y) { y = Add(x, z) }").message(),
      Catch::Contains("'z'") && Catch::Contains("nothing produces"));
  CHECK_THAT(
      CreateError("opset 14\ngraph g (float32 x) => (float32 y) {\n y = Relu(x)\n y = Abs(x)\n}")
          .message(),
      Catch::Contains("twice"));
  CHECK_THAT(CreateError("opset 14\ngraph g (float32 x) => (float32 y) {\n y = Add(x, z)\n"
                         " z = Relu(y)\n}")
                 .message(),
             Catch::Contains("cycle"));
  CHECK_THAT(CreateError("opset 14\ngraph g (float32 x) => (float32 y) { z = Relu(x) }").message(),
             Catch::Contains("'y'"));
}

TEST_CASE("nodes out of order are sorted") {
  CheckFastEqualsPlain(ParseModel("opset 14\ngraph g (float32[3] x) => (float32 y) {\n"
                                  " y = Tanh(b)\n b = Abs(a)\n a = Neg(x)\n}"),
                       {RandomTensor({3}, 1)}, {}, 1e-5);
}

TEST_CASE("inputs are checked against the model") {
  const auto message = [](const std::vector<Tensor>& inputs) {
    const Status status = RunError(kSmallNet, inputs);
    CHECK(status.kind() == ErrorKind::kModel);
    return status.message();
  };
  CHECK_THAT(message({}), Catch::Contains("takes 1 inputs (x), given 0"));
  CHECK_THAT(message({Tensor()}), Catch::Contains("'x'"));
  CHECK_THAT(message({Tensor::Zeros(DType::kDouble, {1, 3, 8, 8})}),
             Catch::Contains("takes float32, given float64"));
  CHECK_THAT(message({Tensor::Zeros(DType::kFloat16, {1, 3, 8, 8})}), Catch::Contains("float16"));
  CHECK_THAT(message({RandomTensor({1, 4, 8, 8}, 1)}),
             Catch::Contains("[N, 3, H, W]") && Catch::Contains("[1, 4, 8, 8]"));
  CHECK_THAT(message({RandomTensor({3, 8, 8}, 1)}), Catch::Contains("[3, 8, 8]"));
}

// Inputs and results are exact in all of these types.
TEST_CASE("outputs have the type that operators make, whatever is declared") {
  for (const char* half : {"float16", "bfloat16"})
    for (const char* declared : {"float16", "bfloat16", "float32", "int32", "?"}) {
      INFO(half << " declared as " << declared);
      const graph::Model model = ParseModel(
          StrCat("opset 17\ngraph g (", half, "[3] x) => (", declared, " y, ", declared, R"( z) {
  y = Neg(x)
  w = Abs(x)
  z = Cast<to=1>(w)
})"));
      const Tensor x =
          Tensor::FromVector<float>({3}, {0.375f, -2.0f, 1.5f}).FromFloatTo(ParseDType(half));
      for (const bool fast : {false, true}) {
        const auto outputs = MustRun(*MustCreate(model, {.fast_kernels = fast}), {x});
        CHECK(outputs[0].dtype() == ParseDType(half));
        CHECK(outputs[0].ToFloat() == Tensor::FromVector<float>({3}, {-0.375f, 2.0f, -1.5f}));
        CHECK(outputs[1] == Tensor::FromVector<float>({3}, {0.375f, 2.0f, 1.5f}));
      }
    }
}

TEST_CASE("shapes that do not fit are reported with node, operator and shapes") {
  for (const bool fast : {true, false}) {
    const Status status = RunError(R"(opset 14
graph g (float32 x) => (float32 y) {
  float32[4,3,3,3] w = random(1)
  [stem] t = Conv(x, w)
  y = Relu(t)
})",
                                   {RandomTensor({1, 5, 8, 8}, 1)}, {}, {.fast_kernels = fast});
    CHECK(status.kind() == ErrorKind::kModel);
    CHECK_THAT(status.message(), Catch::Contains("'stem' (Conv)") &&
                                     Catch::Contains("[1, 5, 8, 8]") &&
                                     Catch::Contains("[4, 3, 3, 3]"));
  }
}

TEST_CASE("an absurdly large value is an error, not an exhausted machine") {
  for (const bool fast : {true, false}) {
    const Status status = RunError(R"(opset 14
graph g (int64[3] s) => (float32 y) {
  y = ConstantOfShape(s)
})",
                                   {Tensor::FromVector<int64_t>({3}, {1 << 20, 1 << 20, 1 << 20})},
                                   {}, {.fast_kernels = fast});
    CHECK(status.kind() == ErrorKind::kModel);
  }
  // The same in a constant: not even tried when the executor is made.
  const auto executor = Executor::Create(ParseModel(R"(opset 14
graph g (float32[1] x) => (float32 y) {
  int64[3] s = {1048576, 1048576, 1048576}
  t = ConstantOfShape(s)
  y = Add(t, x)
})"));
  if (executor.ok()) CHECK_FALSE((*executor)->Run({RandomTensor({1}, 1)}).ok());
}

TEST_CASE("shapes that depend on data") {
  const graph::Model model = ParseModel(R"(opset 14
graph g (float32[N,4] x) => (float32 y) {
  float32[4,3] w = random(1)
  float32[] zero = {0}
  m = Greater(x, zero)
  i = NonZero(m)
  t = Transpose<perm=[1,0]>(i)
  v = GatherND(x, t)
  a = Sqrt(v)
  int64[2] s = {-1, 1}
  b = Reshape(a, s)
  y = Mul(b, b)
})");
  const auto fast = MustCreate(model);
  const auto plain = MustCreate(model, {.fast_kernels = false});
  for (uint64_t seed = 0; seed < 6; ++seed) {  // the same signature, other allocations
    const std::vector<Tensor> x = {RandomTensor({100, 4}, seed)};
    CHECK(RelativeError(MustRun(*fast, x)[0], MustRun(*plain, x)[0]) < kTolerance);
  }
}

TEST_CASE("an interrupt ends the run") {
  // In a process of its own: the request cannot be taken back.
  const pid_t child = fork();
  if (child == 0) {
    SetThreads(1);
    auto executor = Executor::Create(*graph::Parse(kSmallNet));
    RequestInterrupt();
    const auto result = (*executor)->Run({Tensor::Zeros(DType::kFloat, {1, 3, 8, 8})});
    _exit(!result.ok() && result.status().kind() == ErrorKind::kInterrupted ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace roundel::engine
