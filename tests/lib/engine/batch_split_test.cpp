#include <algorithm>
#include <atomic>

#include "lib/base/parallel.h"
#include "lib/engine/sample_axis.h"
#include "tests/lib/engine/engine_test_support.h"

namespace roundel::engine {
namespace {

constexpr char kNet[] = R"(opset 13
graph g (float32[N,3,9,9] x) => (float32[N,5] y, float32[N,4,9,9] c) {
  float32[4,3,3,3] w = random(1)
  float32[324,5] v = random(2)
  c = Conv<pads=[1,1,1,1]>(x, w)
  r = Relu(c)
  f = Flatten(r)
  y = MatMul(f, v)
})";

bool Independent(const std::string& nodes, const std::string& inputs = "float32[N,4] x",
                 const std::string& constants = "") {
  const graph::Model model = ParseModel("opset 13\ngraph g (" + inputs +
                                        ") => (float32[A,B] y) {\n" + constants + nodes + "\n}");
  Result<Plan> plan = BuildPlan(model, {});
  INFO((plan.ok() ? "" : plan.status().message()));
  REQUIRE(plan.ok());
  return JudgeSamples(*plan).independent;
}

TEST_CASE("what mixes samples, or may, is not run in parts") {
  CHECK(Independent("y = Relu(x)"));
  CHECK(Independent("y = Softmax<axis=1>(x)"));
  CHECK_FALSE(Independent("y = Softmax<axis=0>(x)"));
  CHECK_FALSE(Independent("y = Softmax<axis=-2>(x)"));
  CHECK_FALSE(Independent("y = Relu(x)", "float32[2,4] x"));  // a batch of that size, no other
  CHECK(Independent("y = ReduceMean<axes=[1]>(x)"));
  CHECK_FALSE(Independent("y = ReduceMean<axes=[0]>(x)"));
  CHECK_FALSE(Independent("y = ReduceMean(x)"));
  CHECK_FALSE(Independent("y = Transpose<perm=[1,0]>(x)"));
  CHECK(Independent("y = Concat<axis=1>(x, x)"));
  CHECK_FALSE(Independent("y = Concat<axis=0>(x, x)"));
  CHECK_FALSE(Independent("y = Shape(x)"));
  CHECK_FALSE(Independent("y = MatMul(x, x)"));
  CHECK(Independent("y = MatMul(x, w)", "float32[N,4] x", "float32[4,2] w = random(1)\n"));
  CHECK_FALSE(Independent("y = MatMul(w, x)", "float32[N,4] x", "float32[2,3] w = random(1)\n"));
  CHECK(Independent("y = Add(x, w)", "float32[N,4] x", "float32[1,4] w = random(1)\n"));
  CHECK_FALSE(Independent("y = Add(x, w)", "float32[N,4] x", "float32[3,4] w = random(1)\n"));
  CHECK_FALSE(Independent("y = Add(x, z)", "float32[N,4] x, float32[N,1,4] z"));
  CHECK(Independent("y = Gather<axis=1>(x, i)", "float32[N,4] x", "int64[2] i = {0, 3}\n"));
  CHECK_FALSE(Independent("y = Gather<axis=0>(x, i)", "float32[N,4] x", "int64[2] i = {0, 1}\n"));
  CHECK_FALSE(Independent("y = CumSum(x, i)", "float32[N,4] x", "int64[1] i = {0}\n"));
  CHECK(Independent("y = Reshape(x, s)", "float32[N,4] x", "int64[3] s = {0, 2, 2}\n"));
  CHECK_FALSE(Independent("y = Reshape(x, s)", "float32[N,4] x", "int64[2] s = {4, -1}\n"));
}

TEST_CASE("sizes computed from the number of samples keep samples apart, others mix them") {
  const std::string shape = "s = Shape(x)\nn = Gather<axis=0>(s, first)\n";
  const std::string numbers =
      "int64[1] first = {0}\nint64[1] second = {1}\nint64[2] rest = {2, 2}\n"
      "int64[1] open = {-1}\nint64[1] four = {4}\nint64[1] one = {1}\n";
  const auto apart = [&](const std::string& nodes) {
    return Independent(nodes, "float32[N,4] x", numbers);
  };
  CHECK(apart(shape + "d = Concat<axis=0>(n, rest)\ny = Reshape(x, d)"));
  CHECK(apart(shape + "d = Concat<axis=0>(n, one, open)\ny = Reshape(x, d)"));
  CHECK(apart(
      "s = Shape(x)\nn = Slice(s, first, second)\nd = Concat<axis=0>(n, open)\ny = Reshape(x, d)"));
  CHECK(
      apart("s = Shape(x)\nm = Gather<axis=0>(s, second)\nd = Concat<axis=0>(open, m)\ny = "
            "Reshape(x, d)"));
  CHECK(apart(shape + "d = Concat<axis=0>(n, four)\nz = ConstantOfShape(d)\ny = Add(x, z)"));
  CHECK_FALSE(apart(shape + "d = Concat<axis=0>(four, n)\ny = Reshape(x, d)"));
  CHECK_FALSE(apart(shape + "d = Concat<axis=0>(open, n)\ny = Reshape(x, d)"));
  CHECK_FALSE(apart(shape + "t = Add(n, one)\nd = Concat<axis=0>(t, four)\ny = Reshape(x, d)"));
  CHECK_FALSE(apart("s = Shape(x)\ny = Cast<to=1>(s)"));
  CHECK_FALSE(apart("d = Concat<axis=0>(one, open)\ny = Reshape(x, d)"));
}

TEST_CASE(
    "why samples are mixed is told, and whether their axis is one that the model walks along") {
  const auto judge = [](const std::string& nodes, const std::string& input) {
    const graph::Model model = ParseModel("opset 13\ngraph g (float32[" + input +
                                          "] x) => (float32[A,B] y) {\n" + nodes + "\n}");
    const auto judgment = JudgeSamples(model);
    INFO((judgment.ok() ? "" : judgment.status().message()));
    REQUIRE(judgment.ok());
    return *judgment;
  };
  const std::string lstm = "float32[1,8,4] w = random(1)\nfloat32[1,8,2] r = random(2)\n";
  const auto time_first = judge(lstm + "[walk] t, y = LSTM<hidden_size=2>(x, w, r)", "T,1,4");
  CHECK_FALSE(time_first.independent);
  CHECK(time_first.first_axis_is_sequence);
  CHECK(time_first.reason == "node 'walk' (LSTM)");
  const auto batch_first =
      judge(lstm + "a = Transpose<perm=[1,0,2]>(x)\nt, y = LSTM<hidden_size=2>(a, w, r)", "N,T,4");
  CHECK_FALSE(batch_first.first_axis_is_sequence);
  CHECK(judge("int64[1] a = {0}\ny = CumSum(x, a)", "T,4").first_axis_is_sequence);
  CHECK(judge("int64[1] a = {0}\ny = Unsqueeze(x, a)", "T,4").first_axis_is_sequence);
  const auto pinned = judge("int64[3] s = {1, 2, -1}\n[pin] y = Reshape(x, s)", "N,4");
  CHECK_FALSE(pinned.independent);
  CHECK_FALSE(pinned.first_axis_is_sequence);
  CHECK(pinned.reason == "node 'pin' (Reshape)");
  CHECK(judge("y = Relu(x)", "2,4").reason == "input 'x' has no open first axis");
  const auto dynamic =
      judge("[q] c, s, z = DynamicQuantizeLinear(x)\ny = DequantizeLinear(c, s, z)", "N,4");
  CHECK(dynamic.reason == "node 'q' (DynamicQuantizeLinear)");
  const std::string pair = "float32[] s = {0.1}\nuint8[] z = {3}\nq = QuantizeLinear(x, s, z)\n";
  CHECK(judge(pair + "y = DequantizeLinear(q, s, z)", "N,4").independent);
}

TEST_CASE("a batch run in parts gives what it gives as a whole") {
  const graph::Model model = ParseModel(kNet);
  for (const int64_t samples : {1, 2, 3, 8, 13}) {
    const Tensor x = RandomTensor({samples, 3, 9, 9}, 7);
    const auto whole = MustRun(*MustCreate(model, {.fast_kernels = false}), {x});
    // About 3 kB a sample: parts of 1, of 4, and one part.
    for (const int64_t bytes : {int64_t{1}, int64_t{16000}, int64_t{1} << 30}) {
      const auto executor = MustCreate(model, {.part_bytes = bytes});
      for (int run = 0; run < 2; ++run) {
        const auto parts = MustRun(*executor, {x});
        for (size_t i = 0; i < whole.size(); ++i)
          CHECK(RelativeError(parts[i], whole[i]) < kTolerance);
      }
    }
  }
}

TEST_CASE("the bytes of a batch run in parts do not depend on the number of threads") {
  const graph::Model model = ParseModel(kNet);
  const Tensor x = RandomTensor({11, 3, 9, 9}, 3);
  const int before = Threads();
  std::vector<std::vector<Tensor>> outputs;
  for (const int threads : {1, 2, 4}) {
    SetThreads(threads);
    outputs.push_back(MustRun(*MustCreate(model, {.part_bytes = 8000}), {x}));
  }
  SetThreads(before);
  CHECK(outputs[0] == outputs[1]);
  CHECK(outputs[0] == outputs[2]);
}

TEST_CASE("taps see every element of a batch run in parts once") {
  const graph::Model model = ParseModel(kNet);
  const Tensor x = RandomTensor({9, 3, 9, 9}, 3);
  const auto executor = MustCreate(model, {.tapped_values = {"x", "c"}, .part_bytes = 1});
  double sum = 0, expected = 0;
  int calls = 0;
  const Tap tap{"x", true, [&](const TapView& view) {
                  for (float v : view.data) sum += v;
                  ++calls;
                  return OkStatus();
                }};
  MustRun(*executor, {x}, {tap});
  for (float v : x.span<float>()) expected += v;
  CHECK(sum == Approx(expected).margin(1e-4));
  CHECK(calls == 9);
  // A tap that needs the order of elements gets the whole batch at once.
  int64_t seen = 0;
  const Tap ordered{"c", false, [&](const TapView& view) {
                      seen = std::ssize(view.data);
                      return OkStatus();
                    }};
  MustRun(*executor, {x}, {ordered});
  CHECK(seen == 9 * 4 * 9 * 9);
}

TEST_CASE("rows that gather several samples are run as a whole") {
  const graph::Model model = ParseModel(R"(opset 13
graph g (float32[N,4] x) => (float32[M,8] y) {
  int64[2] s = {-1, 8}
  r = Reshape(x, s)
  y = Relu(r)
})");
  const Tensor x = RandomTensor({6, 4}, 1);
  const auto y = MustRun(*MustCreate(model, {.part_bytes = 1}), {x});
  CHECK(y[0].shape() == Shape{3, 8});
  CHECK(y[0].data<float>()[9] == std::max(0.0f, x.data<float>()[9]));
}

}  // namespace
}  // namespace roundel::engine
