// Control flow and sequences against ONNX Runtime on the same file and inputs.

#include <algorithm>
#include <cmath>

#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/text.h"
#include "lib/io/onnx.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel {
namespace {

struct Case {
  std::string name, text;
  std::vector<std::vector<Tensor>> runs;  // inputs
};

Tensor Floats(const Shape& shape, uint64_t seed) {
  Random random(seed);
  return support::RandomTensor(shape, random, 1.0);
}
Tensor Int(int64_t value) { return Tensor::Scalar<int64_t>(value); }
Tensor Bool(bool value) { return Tensor::Scalar<bool>(value); }

void CheckClose(const Tensor& ours, const Tensor& theirs) {
  REQUIRE(ours.dtype() == theirs.dtype());
  REQUIRE(ours.shape() == theirs.shape());
  if (ours.dtype() != DType::kFloat) {
    CHECK(ours == theirs);
    return;
  }
  double worst = 0;
  for (int64_t i = 0; i < ours.size(); ++i) {
    const double e = theirs.data<float>()[i];
    worst = std::max(worst, std::fabs(ours.data<float>()[i] - e) / (1 + std::fabs(e)));
  }
  CHECK(worst < 1e-5);
}

void CheckAgainstOrt(const Case& test) {
  INFO(test.name);
  auto model = graph::Parse(test.text);
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  const e2e::ScratchFolder scratch("control_flow");
  const std::string file = scratch.File("model.onnx");
  REQUIRE(io::WriteOnnx(*model, file).ok());
  std::vector<e2e::OrtJob> jobs;
  for (const std::vector<Tensor>& inputs : test.runs) {
    jobs.push_back({file, true, {}});
    for (size_t i = 0; i < inputs.size(); ++i)
      jobs.back().inputs.emplace_back(model->graph->inputs[i].name, inputs[i]);
  }
  auto theirs = e2e::RunOrt(jobs, scratch.path());
  INFO((theirs.ok() ? "" : theirs.status().message()));
  REQUIRE(theirs.ok());
  for (const bool fast : {true, false}) {
    auto executor = engine::Executor::Create(*model, {.fast_kernels = fast});
    INFO((executor.ok() ? "" : executor.status().message()));
    REQUIRE(executor.ok());
    for (int round = 0; round < 3; ++round)  // first, recorded and planned memory
      for (size_t run = 0; run < test.runs.size(); ++run) {
        INFO("run " << run << (fast ? ", fast" : ", plain") << ", round " << round);
        auto ours = (*executor)->Run(test.runs[run]);
        INFO((ours.ok() ? "" : ours.status().message()));
        REQUIRE(ours.ok());
        REQUIRE(ours->size() == (*theirs)[run].size());
        for (size_t i = 0; i < ours->size(); ++i) CheckClose((*ours)[i], (*theirs)[run][i]);
      }
  }
}

void CheckAll(const std::vector<Case>& cases) {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Case& test : cases) CheckAgainstOrt(test);
}

TEST_CASE("If: convolutions in branches, values captured in channels-last, nested") {
  CheckAll({{"conv",
             R"(opset 16
graph g (float32[1,4,9,9] x, bool[] deep, bool[] wide) => (float32[1,?,?,?] y) {
  float32[8,4,3,3] w = random(1)
  float32[8,8,3,3] w2 = random(2)
  float32[8] bias = random(3)
  float32[1,8,1,1] scale = random(4)
  c = Conv<pads=[1,1,1,1]>(x, w, bias)
  t = Relu(c)
  u = If<then_branch=graph then () => (float32 a) {
      a0 = If<then_branch=graph inner_then () => (float32 b) {
            b0 = Conv<pads=[1,1,1,1]>(t, w2)
            b1 = Mul(b0, scale)
            b = Relu(b1)
          }, else_branch=graph inner_else () => (float32 b2) { b2 = Identity(t) }>(wide)
      a = Add(a0, c)
    }, else_branch=graph other () => (float32 d) {
      d = MaxPool<kernel_shape=[2,2]>(t)
    }>(deep)
  y = Sigmoid(u)
})",
             {{Floats({1, 4, 9, 9}, 1), Bool(true), Bool(true)},
              {Floats({1, 4, 9, 9}, 2), Bool(true), Bool(false)},
              {Floats({1, 4, 9, 9}, 3), Bool(false), Bool(true)}}}});
}

TEST_CASE("Loop: growing states, collected results, no iteration at all") {
  CheckAll(
      {{"grow",
        R"(opset 16
graph g (int64[] n, float32[?,3] x) => (float32[?,?] grown, float32[?,?] rows, int64[?] counts) {
  float32[3,3] w = random(1)
  int64[1] one = {1}
  int64[] zero = {0}
  bool[] go = {1}
  first = Gather(x, zero)
  grown, last, rows, counts = Loop<body=graph body (int64[] i, bool[] c, float32[?,3] s, float32[?] v)
      => (bool[] c2, float32[?,3] s2, float32[?] v2, float32[3] row, int64[] count) {
    c2 = Identity(c)
    v1 = MatMul(v, w)
    v2 = Tanh(v1)
    row = Add(v2, first)
    axes = Constant<value=int64[1]{0}>()
    wide = Unsqueeze(v2, axes)
    s2 = Concat<axis=0>(s, wide)
    shape = Shape(s2)
    count0 = Gather(shape, zero)
    count = Add(count0, i)
  }>(n, go, x, first)
})",
        {{Int(5), Floats({2, 3}, 1)}, {Int(1), Floats({4, 3}, 2)}, {Int(0), Floats({1, 3}, 3)}}},
       {"while",
        R"(opset 13
graph g (float32[] x, float32[] limit) => (float32[] y, float32[?] seen) {
  bool[] go = {1}
  float32[] factor = {1.5}
  y, seen = Loop<body=graph body (int64[] i, bool[] c, float32[] v) => (bool[] c2, float32[] v2, float32[] s) {
    v2 = Mul(v, factor)
    s = Add(v2, x)
    c2 = Less(s, limit)
  }>("", go, x)
})",
        {{Tensor::Scalar<float>(1), Tensor::Scalar<float>(20)},
         {Tensor::Scalar<float>(1), Tensor::Scalar<float>(0)}}}});
}

TEST_CASE("Scan: axes, directions, several states") {
  CheckAll({{"axes",
             R"(opset 16
graph g (float32[2] s, float32[2,5] x, float32[5,3] z) => (float32[2] last, float32[2,5] a, float32[3,?] b) {
  last, a, b = Scan<num_scan_inputs=2, scan_input_axes=[1,0], scan_input_directions=[1,0],
                    scan_output_axes=[-1,1], scan_output_directions=[0,1],
                    body=graph body (float32[2] v, float32[2] p, float32[3] q)
      => (float32[2] v2, float32[2] a1, float32[3] b1) {
    v2 = Add(v, p)
    a1 = Mul(v2, p)
    m = ReduceMax<keepdims=0>(v2)
    b1 = Sub(q, m)
  }>(s, x, z)
})",
             {{Floats({2}, 1), Floats({2, 5}, 2), Floats({5, 3}, 3)}}}});
}

TEST_CASE("functions hold sub-graphs that read their values and attributes") {
  CheckAll({{"function",
             R"(opset 16, e 1
function e.Step<alpha>(a, n) => (b) {
  opset 16
  t = Relu(a)
  go = Constant<value=bool[]{1}>()
  b = Loop<body=graph body (int64[] i, bool[] c, float32[3] v) => (bool[] c2, float32[3] v2) {
    c2 = Identity(c)
    l = LeakyRelu<alpha=@alpha>(v)
    v2 = Sub(l, t)
  }>(n, go, a)
}
graph g (float32[3] x, int64[] n) => (float32[3] y) {
  h = e.Step<alpha=0.5>(x, n)
  y = e.Step<alpha=0.25>(h, n)
})",
             {{Floats({3}, 1), Int(2)}, {Floats({3}, 2), Int(3)}}}});
}

TEST_CASE("sequences: split, carried through a loop, joined") {
  CheckAll({{"split",
             R"(opset 16
graph g (float32[7,3] x, int64[] n) => (float32[?,3] y, int64[] count, float32[?,?] z) {
  int64[] two = {2}
  int64[] zero = {0}
  bool[] go = {1}
  parts = SplitToSequence<axis=0>(x, two)
  rows = SplitToSequence<axis=0, keepdims=0>(x)
  first = SequenceAt(parts, zero)
  all = Loop<body=graph body (int64[] i, bool[] c, other("22060a040a020801") s) => (bool[] c2, other("22060a040a020801") s2) {
    c2 = Identity(c)
    doubled = Add(first, first)
    s2 = SequenceInsert(s, doubled, zero)
  }>(n, go, parts)
  short = SequenceErase(all)
  y = ConcatFromSequence<axis=0>(short)
  count = SequenceLength(all)
  z = ConcatFromSequence<axis=1, new_axis=1>(rows)
})",
             {{Floats({7, 3}, 1), Int(3)}, {Floats({7, 3}, 2), Int(0)}}}});
}

TEST_CASE("quantizer pairs whose values a sub-graph reads stay where they are") {
  CheckAll({{"pairs",
             R"(opset 16
graph g (float32[2,8] x, bool[] c) => (float32[2,8] y) {
  float32[] s = {0.03}
  uint8[] z = {120}
  float32[8,8] w = random(1)
  a = MatMul(x, w)
  q = QuantizeLinear(a, s, z)
  d = DequantizeLinear(q, s, z)
  b = If<then_branch=graph t () => (float32 r) { r = Sub(a, d) },
         else_branch=graph e () => (float32 r2) {
           p = DequantizeLinear(q, s, z)
           k = Mul(p, d)
           kq = QuantizeLinear(k, s, z)
           r2 = DequantizeLinear(kq, s, z)
         }>(c)
  y = Add(b, d)
})",
             {{Floats({2, 8}, 1), Bool(true)}, {Floats({2, 8}, 2), Bool(false)}}}});
}

}  // namespace
}  // namespace roundel
