
#include <algorithm>
#include <cmath>

#include "lib/engine/executor.h"
#include "lib/graph/check.h"
#include "lib/graph/text.h"
#include "lib/targets/narrow.h"
#include "passes/pass.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"
#include "tests/support/vector_source.h"

namespace roundel::passes {
namespace {

using support::ParseModel;

struct Converted {
  Session session;
  report::PassReport report;
  graph::Model before, written;

  std::string Reason(const std::string& node) const {
    for (const report::Record& record : report.records)
      if (record.subject.starts_with("'" + node + "'")) return record.reason;
    return "";
  }
  // Ops in order.
  std::string Ops() const {
    std::string ops;
    for (const auto& node : written.graph->nodes()) ops += (ops.empty() ? "" : " ") + node->op_type;
    return ops;
  }
  DType TypeOf(const std::string& initializer) const {
    const Tensor* tensor = written.graph->Constant(initializer);
    return tensor ? tensor->dtype() : DType::kUndefined;
  }
};

recipe::Params Settings(const std::map<std::string, std::string>& settings) {
  const recipe::ParamSpecs& specs = FindPass("to_float16")->params;
  recipe::Params params(specs);
  for (const auto& [key, value] : settings) REQUIRE(params.SetFromText(specs, key, value).ok());
  return params;
}

Converted Convert(const std::string& text, const std::map<std::string, std::string>& settings = {},
                  DataSource* data = nullptr) {
  Converted c;
  c.before = ParseModel(text);
  c.session.model = graph::Clone(c.before);
  c.session.data = data;
  c.session.report = &c.report;
  const recipe::Params params = Settings(settings);
  const auto outcome = FindPass("to_float16")->run(c.session, params);
  INFO((outcome.ok() ? "" : outcome.status().message()));
  REQUIRE(outcome.ok());
  CHECK(*outcome == Outcome::kChanged);
  report::PassReport second;
  c.session.report = &second;
  CHECK(FindPass("to_float16")->run(c.session, params).value() == Outcome::kUnchanged);
  c.session.report = nullptr;
  c.written = graph::Clone(c.session.model);
  REQUIRE(target::NarrowTypes(c.session.types, {}, &c.written).ok());
  const Status valid = graph::CheckModel(&c.written);
  INFO(valid.message());
  REQUIRE(valid.ok());
  return c;
}

Tensor Run(const graph::Model& model, const Tensor& x, bool fast) {
  auto executor = engine::Executor::Create(model, {.fast_kernels = fast});
  INFO((executor.ok() ? "" : executor.status().message()));
  REQUIRE(executor.ok());
  auto outputs = (*executor)->Run({x.FromFloatTo(model.graph->inputs[0].dtype)});
  INFO((outputs.ok() ? "" : outputs.status().message()));
  REQUIRE(outputs.ok());
  return (*outputs)[0];
}

// The written model computes what the float one does, up to the digits of float16; the plain
// kernels round after every node.
void CheckSame(const Converted& c, const Tensor& x, double tolerance = 8 * 0x1p-11) {
  const Tensor expected = Run(c.before, x, true);
  for (const bool fast : {true, false}) {
    const Tensor got = Run(c.written, x, fast).ToFloat();
    REQUIRE(got.shape() == expected.shape());
    double largest = 0, difference = 0;
    for (int64_t i = 0; i < got.size(); ++i) {
      REQUIRE(std::isfinite(got.data<float>()[i]));
      largest = std::max<double>(largest, std::fabs(expected.data<float>()[i]));
      difference =
          std::max<double>(difference, std::fabs(got.data<float>()[i] - expected.data<float>()[i]));
    }
    CHECK(difference <= tolerance * largest);
  }
}

Tensor Input(const Shape& shape) {
  Random random(5);
  return support::RandomTensor(shape, random);
}

const char* const kNet = R"(opset 17
graph g (float32[N,8] x) => (float32[N,4] y) {
  float32[8,16] w = random(1, -0.5, 0.5)
  float32[16,4] v = random(2, -0.5, 0.5)
  float32[16] b = random(3)
  h = MatMul(x, w)
  a = Add(h, b)
  [soft] s = Softmax(a)
  y = MatMul(s, v)
})";

TEST_CASE("to_float16 converts constants, inputs and outputs") {
  const Converted c = Convert(kNet);
  CHECK(c.Ops() == "MatMul Add Softmax MatMul");
  CHECK(c.written.graph->inputs[0].dtype == DType::kFloat16);
  CHECK(c.written.graph->outputs[0].dtype == DType::kFloat16);
  for (const char* name : {"w", "v", "b"}) CHECK(c.TypeOf(name) == DType::kFloat16);
  CheckSame(c, Input({3, 8}));
}

TEST_CASE("to_float16 keeps the interface, ops and nodes that it is told to") {
  const Converted io = Convert(kNet, {{"keep_io", "true"}});
  CHECK(io.Ops() == "Cast MatMul Add Softmax MatMul Cast");
  CHECK(io.written.graph->inputs[0].dtype == DType::kFloat);
  CHECK(io.written.graph->outputs[0].dtype == DType::kFloat);
  CHECK(io.written.graph->outputs[0].name == "y");
  CheckSame(io, Input({3, 8}));
  for (const char* keep : {"[Softmax]", "[soft]", "['re:so.*']"}) {
    const Converted c = Convert(kNet, {{"keep", keep}});
    CHECK(c.Ops() == "MatMul Add Cast Softmax Cast MatMul");
    CHECK(c.Reason("soft") == "the recipe keeps it");
  }
  const Converted products = Convert(kNet, {{"keep", "[MatMul]"}});
  CHECK(products.TypeOf("w") == DType::kFloat);
  CHECK(products.TypeOf("b") == DType::kFloat16);
  CheckSame(products, Input({3, 8}));
}

TEST_CASE(
    "to_float16 turns what stands for infinity into large numbers, and keeps other large ones") {
  const Converted c = Convert(R"(opset 17
graph g (float32[N,4] x) => (float32[N,4] y) {
  float32[4] mask = {0, -1e9, 0, -3.4028235e38}
  float32[] low = {-3.4028235e38}
  float32[] high = {3.4028235e38}
  float32[1] large = {100000}
  float32[1] small = {0.00001}
  a = Add(x, mask)
  twice = Add(a, mask)
  s = Softmax(twice)
  c = Clip(s, low, high)
  [up] u = Mul(c, large)
  [down] y = Mul(u, small)
})");
  CheckSame(c, Input({3, 4}));
  CHECK(c.Reason("up") == "constant 'large' is too large for float16");
  CHECK(c.Reason("down") == "its input 'u' may be too large");
  CHECK(c.TypeOf("large") == DType::kFloat);
  CHECK(c.TypeOf("low") == DType::kFloat16);
  const Tensor mask = c.written.graph->Constant("mask")->ToFloat();
  CHECK(mask.data<float>()[1] == -32752);
  CHECK(c.written.graph->Constant("high")->ToFloat().data<float>()[0] == 65504);
}

TEST_CASE("to_float16 keeps an epsilon that would vanish, and what it guards") {
  const Converted c = Convert(R"(opset 17
graph g (float32[N,8] x) => (float32[N,8] y) {
  float32[] two = {2}
  float32[] eps = {1e-12}
  p = Pow(x, two)
  m = ReduceMean<axes=[1], keepdims=1>(p)
  [eps_add] e = Add(m, eps)
  [root] r = Sqrt(e)
  [over] n = Div(x, r)
  y = Relu(n)
})");
  CHECK(c.Reason("eps_add") == "constant 'eps' would become 0");
  CHECK(c.Reason("root") == "an epsilon keeps its input from 0");
  CHECK(c.Reason("over") == "an epsilon keeps its input from 0");
  CheckSame(c, Input({3, 8}));
  CheckSame(c, Tensor::Zeros(DType::kFloat, {1, 8}));
}

TEST_CASE("to_float16 keeps what the data shows to overflow or to vanish") {
  const char* const net = R"(opset 17
graph g (float32[N,8] x) => (float32[N,8] y) {
  float32[] up = {30000}
  float32[] tiny = {0.000003}
  [big] b = Mul(x, up)
  [back] d = Div(b, up)
  [low] l = Mul(d, tiny)
  [again] y = Div(l, tiny)
})";
  CHECK(Convert(net).Reason("big").empty());
  support::VectorSource data = support::RandomSource({16, 8}, 2, 3);
  const Converted c = Convert(net, {}, &data);
  CHECK_THAT(c.Reason("big"), Catch::Contains("'b' reaches"));
  CHECK_THAT(c.Reason("back"), Catch::Contains("its input 'b' reaches"));
  CHECK_THAT(c.Reason("low"), Catch::Contains("'l' is at most"));
  CHECK_THAT(c.Reason("again"), Catch::Contains("its input 'l' is at most"));
  CheckSame(c, Input({3, 8}));
}

TEST_CASE("to_float16 leaves float32 to operators that have nothing else") {
  const Converted c = Convert(R"(opset 17
graph g (float32[1,2,4,4] x) => (float32[1,2,8,8] y, float32[N] r) {
  float32[4] scales = {1, 1, 2, 2}
  float32[] start = {0}
  float32[] limit = {4}
  float32[] step = {1}
  y = Resize<mode="nearest">(x, "", scales)
  [count] f = Range(start, limit, step)
  r = Relu(f)
})");
  CHECK(c.TypeOf("scales") == DType::kFloat);
  CHECK(c.Reason("count") == "the operator has no float16");
  CHECK(c.Ops() == "Resize Range Cast Relu");
  CheckSame(c, Input({1, 2, 4, 4}));
}

TEST_CASE("to_float16 keeps the angles of positions") {
  const Converted c = Convert(R"(opset 17
graph g (float32[N,4] x) => (float32[N,4] y) {
  int64[1] position = {5001}
  float32[4] frequency = {1, 0.1, 0.01, 0.001}
  [cast] p = Cast<to=1>(position)
  [angle] a = Mul(p, frequency)
  [sine] s = Sin(a)
  [turn] y = Mul(x, s)
})");
  for (const char* node : {"cast", "angle", "sine"})
    CHECK(c.Reason(node) == "angles computed from positions");
  CHECK(c.Reason("turn").empty());
  CheckSame(c, Input({3, 4}));
}

TEST_CASE("to_float16 refuses a type that the target does not compute in") {
  Session session;
  session.model = ParseModel(kNet);
  session.target = target::LoadProfile("ort-cpu").value();
  report::PassReport report;
  session.report = &report;
  const auto outcome = FindPass("to_float16")->run(session, Settings({{"type", "bfloat16"}}));
  REQUIRE_FALSE(outcome.ok());
  CHECK(outcome.status().kind() == ErrorKind::kUsage);
  CHECK_THAT(outcome.status().message(), Catch::Contains("ort-cpu"));
}

}  // namespace
}  // namespace roundel::passes
