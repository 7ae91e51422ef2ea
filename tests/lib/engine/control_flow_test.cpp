// Sub-graphs: how they are compiled, what the rest of the plan sees of them, and what goes wrong in
// them. Results are compared with ONNX Runtime's in tests/e2e and with the operator suite's.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "lib/base/interrupt.h"
#include "lib/base/parallel.h"
#include "lib/engine/plan_runner.h"
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

Plan MustPlan(const graph::Model& model) {
  auto plan = BuildPlan(model, {});
  INFO((plan.ok() ? "" : plan.status().message()));
  REQUIRE(plan.ok());
  return std::move(*plan);
}

// The error of creating or running the model.
Status Failure(const std::string& text, const std::vector<Datum>& inputs) {
  auto executor = Executor::Create(ParseModel(text));
  if (!executor.ok()) return executor.status();
  return (*executor)->RunAny(inputs).status();
}

void CheckFails(const std::string& text, const std::vector<Datum>& inputs,
                const std::string& expected) {
  INFO(text);
  const Status status = Failure(text, inputs);
  CHECK(status.kind() == ErrorKind::kModel);
  CHECK_THAT(status.message(), Catch::Contains(expected));
  CHECK(status.message().find('\n') == std::string::npos);
}

const Tensor kTrue = Tensor::Scalar<bool>(true), kFalse = Tensor::Scalar<bool>(false);

// ---- compilation

TEST_CASE("an If whose condition is known becomes the branch it takes") {
  const graph::Model model = ParseModel(R"(opset 16
graph g (float32[4] x) => (float32 y, float32 z) {
  int64[] two = {2}
  int64[] three = {3}
  c = Less(two, three)
  a = Abs(x)
  unused = Exp(x)
  t, u = If<then_branch=graph t () => (float32 p, float32 x2) {
      float32[] k = {10}
      n = Not(c)
      p = If<then_branch=graph tt () => (float32 q) { q = Stranger(x) },
             else_branch=graph te () => (float32 q) { r = Mul(a, k)  q = Neg(r) }>(n)
      x2 = Identity(x)
    }, else_branch=graph e () => (float32 p, float32 o) {
      p = Identity(unused)
      o = Identity(unused)
    }>(c)
  y = Add(t, a)
  z = Identity(u)
})");
  const Plan plan = MustPlan(model);
  for (const PlanNode& node : plan.nodes) {
    CHECK(node.node.op_type != "If");
    CHECK(node.node.op_type != "Exp");
  }
  const Tensor x = Tensor::FromVector<float>({4}, {1, -2, 3, -4});
  for (const bool fast : {true, false}) {
    const auto outputs = MustRun(*MustCreate(model, {.fast_kernels = fast}), {x});
    CHECK(outputs[0] == Tensor::FromVector<float>({4}, {-9, -18, -27, -36}));
    CHECK(outputs[1] == x);
  }
}

TEST_CASE("constants from outside are constants inside, and only what is read is passed on") {
  const graph::Model model = ParseModel(R"(opset 16
graph g (float32[2,3] x, float32[2,3] spare, bool[] c) => (float32 y) {
  float32[4,3] w = random(1)
  wt = Transpose<perm=[1,0]>(w)
  y = If<then_branch=graph t () => (float32 r) {
      int64[2] turn = {0, 1}
      w2 = Reshape(wt, turn2)
      turn2 = Shape(wt)
      r = MatMul(x, w2)
    }, else_branch=graph e () => (float32 r) { dead = Abs(spare)  r = MatMul(x, wt) }>(c)
})");
  const Plan plan = MustPlan(model);
  REQUIRE(plan.nodes.size() == 1);
  REQUIRE(plan.nodes[0].subgraphs.size() == 2);
  for (const Subgraph& subgraph : plan.nodes[0].subgraphs) {
    CHECK(subgraph.runner->plan().nodes.size() == 1);
    CHECK(subgraph.runner->plan().captured == std::vector<std::string>{"x"});
  }
}

TEST_CASE("fusion and removed identities see what sub-graphs read") {
  const graph::Model model = ParseModel(R"(opset 16
graph g (float32[1,4,8,8] x, bool[] c) => (float32 y) {
  float32[4,4,3,3] w = random(1)
  float32[4,4,1,1] v = random(2)
  a = Conv<pads=[1,1,1,1]>(x, w)
  i = Identity(a)
  b = Relu(a)
  d = Conv(b, v)
  e = Add(d, a)
  s = Sigmoid(e)
  m = Mul(s, e)
  y = If<then_branch=graph t () => (float32 r) { q = Add(a, i)  r = Add(q, e) },
         else_branch=graph f () => (float32 r) { q = Sub(b, d)  r = Sub(q, m) }>(c)
})");
  for (const Tensor& c : {kTrue, kFalse})
    CheckFastEqualsPlain(model, {RandomTensor({1, 4, 8, 8}, 3), c});
}

TEST_CASE("simulated and tapped values can be read by sub-graphs") {
  const graph::Model model = ParseModel(R"(opset 16
graph g (float32[1,4,8,8] x, bool[] c) => (float32 y) {
  float32[4,4,3,3] w = random(1)
  a = Conv(x, w)
  b = Conv(a, w)
  y = If<then_branch=graph t () => (float32 r) { r = Identity(a) },
         else_branch=graph f () => (float32 r) { r = Identity(b) }>(c)
})");
  const Tensor x = RandomTensor({1, 4, 8, 8}, 1);
  quant::EncodingTable table;
  for (const char* name : {"x", "a", "b"})
    table[name] = {.grid = {.bits = 8, .is_signed = false}, .params = {{0.05f, 128}}};
  for (const char* wanted : {"a", "b"}) {
    const Tensor c = wanted[0] == 'a' ? kTrue : kFalse;
    const auto executor =
        MustCreate(model, {.tapped_values = {wanted}, .simulate = &table, .fast_kernels = true});
    Tensor seen;
    const Tap tap{.value = wanted, .callback = [&](const TapView& view) {
                    seen = Tensor::FromVector<float>(
                        view.shape, std::vector<float>(view.data.begin(), view.data.end()));
                    return OkStatus();
                  }};
    const Tensor y = MustRun(*executor, {x, c}, {tap})[0];
    CHECK(y == seen);
    for (int64_t i = 0; i < y.size(); ++i) {
      const float steps = y.data<float>()[i] / 0.05f;
      CHECK(std::fabs(steps - std::round(steps)) < 1e-3);
    }
  }
}

// ---- runs

TEST_CASE("a long loop gives the sum, run after run") {
  const graph::Model model = ParseModel(R"(opset 16
graph g (int64[] n, float32[2] x) => (float32 y, float32 all) {
  bool[] go = {1}
  y, all = Loop<body=graph body (int64[] i, bool[] c, float32[2] s) => (bool c2, float32 s2, float32 o) {
    c2 = Identity(c)
    s2 = Add(s, x)
    o = Identity(s2)
  }>(n, go, x)
})");
  for (const bool fast : {true, false}) {
    const auto executor = MustCreate(model, {.fast_kernels = fast});
    for (const int64_t n : {1000, 3, 0, 1000}) {
      const auto outputs =
          MustRun(*executor, {Tensor::Scalar<int64_t>(n), Tensor::FromVector<float>({2}, {1, 2})});
      CHECK(outputs[0] == Tensor::FromVector<float>({2}, {1.0f + static_cast<float>(n),
                                                          2.0f + 2.0f * static_cast<float>(n)}));
      const Tensor& all = outputs[1];
      if (n == 0) {
        CHECK(all.dim(0) == 0);
        continue;
      }
      REQUIRE(all.shape() == Shape{n, 2});
      for (int64_t i = 0; i < n; ++i) CHECK(all.data<float>()[2 * i] == static_cast<float>(i + 2));
    }
  }
}

TEST_CASE("an empty optional passes through branches and loops") {
  const graph::Model model = ParseModel(R"(opset 16
graph g (? o, bool[] c, int64[] n) => (bool has, ? same) {
  bool[] go = {1}
  p = If<then_branch=graph t () => (? r) { r = Identity(o) },
         else_branch=graph f () => (? r) { r = Optional() }>(c)
  same = Loop<body=graph body (int64[] i, bool[] k, ? s) => (bool k2, ? s2) {
    k2 = Identity(k)
    s2 = Identity(s)
  }>(n, go, p)
  has = OptionalHasElement(same)
})");
  const auto executor = MustCreate(model);
  const Tensor x = RandomTensor({3}, 1), n = Tensor::Scalar<int64_t>(2);
  const auto run = [&](Datum o, const Tensor& c) {
    auto outputs = executor->RunAny({std::move(o), c, n});
    INFO((outputs.ok() ? "" : outputs.status().message()));
    REQUIRE(outputs.ok());
    return std::move(*outputs);
  };
  CHECK(run(x, kTrue)[0].tensor == kTrue);
  CHECK(run(x, kTrue)[1].tensor == x);
  CHECK(run(Datum(), kTrue)[0].tensor == kFalse);
  CHECK(run(x, kFalse)[1].is_nothing());
  CHECK(run(Datum::Sequence({x}), kTrue)[1].items->front() == x);
  const auto tensors = executor->Run({x, kFalse, n});
  REQUIRE_FALSE(tensors.ok());
  CHECK_THAT(tensors.status().message(), Catch::Contains("'same' is an empty optional"));
}

// ---- errors

TEST_CASE("operators that cannot run are named inside of sub-graphs and functions") {
  const graph::Model model = ParseModel(R"(opset 16, e 1
function e.F(a, c) => (b) { opset 15
  b = If<then_branch=graph t () => (float32 r) { [deep] r = Odd(a) },
         else_branch=graph f () => (float32 r) { r = e.G(a) }>(c)
}
function e.G(a) => (b) { opset 14
  b = Odder(a)
}
graph g (float32[2] x, bool[] c) => (float32 y) { y = e.F(x, c) }
)");
  const std::vector<std::string> lines = UnsupportedNodes(model);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == "Odd (ai.onnx, opset 15), node 'F#1/deep'");
  CHECK_THAT(lines[1], Catch::StartsWith("Odder (ai.onnx, opset 14), node "));
  const auto executor = Executor::Create(model);
  REQUIRE_FALSE(executor.ok());
  CHECK_THAT(executor.status().message(),
             Catch::Contains("Odd (ai.onnx, opset 15), node 'F#1/deep'"));
}

TEST_CASE("a function that calls itself in a sub-graph is an error") {
  const std::string text = R"(opset 16, e 1
function e.F(a, c) => (b) { opset 16, e 1
  b = If<then_branch=graph t () => (float32 r) { r = e.F(a, c) },
         else_branch=graph f () => (float32 r) { r = e.F(a, c) }>(c)
}
graph g (float32[2] x, bool[] c) => (float32 y) { y = e.F(x, c) })";
  CheckFails(text, {RandomTensor({2}, 1), kTrue}, "nested too deeply");
  CHECK(UnsupportedNodes(ParseModel(text)).size() == 1);
}

TEST_CASE("control flow that makes no sense is an error in one line") {
  const Tensor x = RandomTensor({2}, 1), one = Tensor::Scalar<int64_t>(1);
  CheckFails("opset 16\ngraph g (bool[] c) => (float32 y) { [gate] y = If(c) }", {kTrue},
             "'gate' (If)");
  CheckFails(
      "opset 16\ngraph g (float32[2] x) => (float32 y) {\n y = If<then_branch=graph t () => "
      "(float32 x) {}, else_branch=graph e () => (float32 x) {}>(x) }",
      {x}, "not a single bool");
  CheckFails(
      "opset 16\ngraph g (bool[] c, float32[2] x) => (float32 y, float32 z) {\n y, z = "
      "If<then_branch=graph t () => (float32 x) {}>(c) }",
      {kTrue, x}, "gives 1 outputs, not 2");
  CheckFails(
      "opset 16\ngraph g (float32[2] x) => (float32 y) {\n bool[] c = {1}\n y = "
      "If<else_branch=graph t () => (float32 x) {}>(c) }",
      {x}, "'then_branch'");
  CheckFails(
      "opset 16\ngraph g (bool[] c) => (float32 y) {\n y = If<then_branch=graph t () => "
      "(float32 r) { r = Abs(ghost) }>(c) }",
      {kTrue}, "'ghost', which nothing produces");
  const auto loop = [](const std::string& body) {
    return "opset 16\ngraph g (int64[] n, float32[2] x) => (float32 y) {\n y = Loop<body=graph b " +
           body + ">(n, \"\", x) }";
  };
  CheckFails(loop("(int64[] i, bool[] c) => (bool c, float32 x) {}"), {one, x}, "takes 2 inputs");
  CheckFails(loop("(int64[] i, bool[] c, float32[2] v) => (bool c) {}"), {one, x},
             "at least 2 are needed");
  CheckFails(loop("(int64[] i, bool[] c, int64[2] v) => (bool c, int64 v) {}"), {one, x},
             "'v' takes int64, given float32");
  CheckFails(loop("(int64[] i, bool[] c, float32[2] v) => (float32 v, float32 v) {}"), {one, x},
             "not a single bool");
  CheckFails(
      "opset 16\ngraph g (int64[] n, float32[1] x) => (float32 y, float32 all) {\n y, all = "
      "Loop<body=graph b (int64[] i, bool[] c, float32 v) => (bool c, float32 w, float32 w) {"
      " w = Concat<axis=0>(v, v) }>(n, \"\", x) }",
      {Tensor::Scalar<int64_t>(3), RandomTensor({1}, 1)}, "iteration 1 gives float32[4]");
  const auto scan = [](const std::string& attributes) {
    return "opset 16\ngraph g (float32[2] s, float32[3,2] x) => (float32 y, float32 z) {\n y, z = "
           "Scan<" +
           attributes +
           ", body=graph b (float32[2] v, float32[2] p) => (float32 w, float32 w) { w = Add(v, p) "
           "}>(s, x) }";
  };
  const std::vector<Datum> inputs = {x, RandomTensor({3, 2}, 2)};
  CHECK(Failure(scan("num_scan_inputs=1"), inputs).ok());
  CheckFails(scan("num_scan_inputs=3"), inputs, "num_scan_inputs");
  CheckFails(scan("num_scan_inputs=1, scan_input_axes=[2]"), inputs, "axis 2");
  CheckFails(scan("num_scan_inputs=1, scan_output_axes=[-3]"), inputs, "axis -3");
  CheckFails(scan("num_scan_inputs=1, scan_input_axes=[0,1]"), inputs, "has not 1 entries");
  CheckFails(scan("num_scan_inputs=2"), inputs, "lengths 2 and 3");
}

TEST_CASE("a loop whose state grows without end is an error, not an exhausted machine") {
  CheckFails(R"(opset 16
graph g (int64[1] n) => (float32 y) {
  bool[] go = {1}
  int64[1] k = {2000}
  y, shape = Loop<body=graph body (int64[] i, bool[] c, float32 v, int64[1] s)
      => (bool c, float32 v2, int64 s2) {
    s2 = Mul(s, k)
    v2 = ConstantOfShape(s2)
  }>("", go, v0, n)
  v0 = ConstantOfShape(n)
})",
             {Tensor::FromVector<int64_t>({1}, {1})}, "exceeds the limit");
}

TEST_CASE("an interrupt ends an endless loop") {
  // In a process of its own: the request cannot be taken back.
  const pid_t child = fork();
  if (child == 0) {
    SetThreads(1);
    auto executor = Executor::Create(*graph::Parse(R"(opset 16
graph g (float32[2] x) => (float32 y) {
  y = Loop<body=graph body (int64[] i, bool[] c, float32 v) => (bool c, float32 v) {}>("", "", x)
})"));
    std::thread finger([] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      RequestInterrupt();
    });
    const auto result = (*executor)->Run({Tensor::Zeros(DType::kFloat, {2})});
    finger.join();
    _exit(!result.ok() && result.status().kind() == ErrorKind::kInterrupted ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace roundel::engine
