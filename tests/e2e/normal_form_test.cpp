// The normal form against ONNX Runtime: it computes the same as the original model, and the model that
// quantize writes loads.

#include "lib/engine/normal_form.h"

#include <algorithm>
#include <cmath>

#include "lib/engine/executor.h"
#include "lib/graph/check.h"
#include "lib/graph/text.h"
#include "lib/io/onnx.h"
#include "lib/targets/export.h"
#include "passes/runner.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"
#include "tests/support/model_forms.h"
#include "tests/support/plain_form_model.h"
#include "tests/support/vector_source.h"

namespace roundel {
namespace {

Tensor RandomInput(const Shape& shape, uint64_t seed) {
  Random random(seed);
  return support::RandomTensor(shape, random);
}

std::vector<Tensor> InOrt(const graph::Model& model, const std::string& input, const Tensor& x) {
  const e2e::ScratchFolder scratch("normal_form");
  const std::string file = scratch.File("model.onnx");
  REQUIRE(io::WriteOnnx(model, file).ok());
  auto outputs = e2e::RunOrt({{file, true, {{input, x}}}}, scratch.path());
  INFO((outputs.ok() ? "" : outputs.status().message()));
  REQUIRE(outputs.ok());
  return outputs->at(0);
}

double Difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double worst = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double e = b.data<float>()[i];
    worst = std::max(worst, std::fabs(a.data<float>()[i] - e) / (1 + std::fabs(e)));
  }
  return worst;
}

graph::Model Normal(const graph::Model& model) {
  graph::Model normal = graph::Clone(model);
  const auto lines = engine::MakeNormalForm(&normal);
  INFO((lines.ok() ? "" : lines.status().message()));
  REQUIRE(lines.ok());
  return normal;
}

// The written model with every layer in 8 bits.
graph::Model Quantized(graph::Model model, const Tensor& sample) {
  Session session;
  session.model = std::move(model);
  session.target = target::LoadProfile("ort-cpu").value();
  session.grids = target::DefaultChoice(session.target);
  Batch batch{.inputs = {sample}};
  batch.size = sample.dim(0);
  for (int64_t i = 0; i < batch.size; ++i) batch.sample_names.push_back("s");
  support::VectorSource data({batch});
  session.data = &data;
  report::Report report;
  const Status ran =
      passes::RunSteps({{"calibrate", recipe::Params(passes::FindPass("calibrate")->params), 0}},
                       {}, &session, &report);
  INFO(ran.message());
  REQUIRE(ran.ok());
  auto made = target::Export(session.model, session.encodings, {.qdq = {.min_opset = 13}});
  INFO((made.ok() ? "" : made.status().message()));
  REQUIRE(made.ok());
  return std::move(*made);
}

// Functions with attributes that are handed on and defaults, functions in branches and branches in
// functions, constants of every kind.
constexpr char kExported[] = R"(opset 17, local 1
  function local.Leaky<slope=0.125>(a) => (b) { opset 17  b = LeakyRelu<alpha=@slope>(a) }
  function local.Dense<turned, slope=0.25>(a, w, b) => (c) {
    opset 17, local 1
    t = Gemm<transB=@turned>(a, w, b)
    c = local.Leaky<slope=@slope>(t)
  }
  function local.Pick(a, limit) => (b) {
    opset 17
    s = ReduceSum<keepdims=0>(a)
    q = Greater(s, limit)
    b = If<then_branch=graph t () => (float32[N,6] r) { u = Abs(a)  r = Add(u, s) },
           else_branch=graph e () => (float32[N,6] r) { u = Neg(a)  r = Mul(u, limit) }>(q)
  }
  graph g (float32[N,4] x) => (float32[N,6] y, float32[N,6] z) {
    float32[4,6] v = random(3)
    float32[6,1] g = random(4)
    float16[6,6] h = {1, 0, 0.5, 0, 2, 0, 0, 1, 0, 0, 0, 3, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0,
                      0.25, 0, 0, 0, 0, 1, 2, 0, 0, 1, 0, 0}
    bias = Constant<value_floats=[0.5, -0.25, 0.0, 1.0, 0.0, -1.0]>()
    limit = Constant<value_float=0.75>()
    turned = Transpose(v)
    norm = ReduceL2<axes=[1], keepdims=1>(turned)
    unit = Div(turned, norm)
    w = Mul(unit, g)
    half = Cast<to=1>(h)
    same = Identity(half)
    d = local.Dense<turned=1>(x, w, bias)
    e = local.Dense<slope=0.5>(d, same, bias)
    y = local.Pick(e, limit)
    m = Mul(e, limit)
    z = Max(m, e)
  })";

TEST_CASE(
    "functions, branches and chains of constants compute in their normal form what they did") {
  if (e2e::SkippedWithoutOrt()) return;
  const auto model = graph::Parse(kExported);
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  const graph::Model normal = Normal(*model);
  CHECK(normal.functions.empty());
  int64_t layers = 0;
  for (const graph::NodePtr& node : normal.graph->nodes()) {
    layers += node->Is("Gemm") && normal.graph->Constant(node->input(1));
    CHECK(node->domain.empty());
    for (const char* op : {"Constant", "Transpose", "ReduceL2", "Div", "Cast", "Identity", "Max"})
      CHECK_FALSE(node->Is(op));
  }
  CHECK(layers == 2);
  for (const uint64_t seed : {1, 2, 3}) {
    const Tensor x = RandomInput({3, 4}, seed);
    const std::vector<Tensor> wanted = InOrt(*model, "x", x);
    const std::vector<Tensor> found = InOrt(normal, "x", x);
    auto executor = engine::Executor::Create(*model);  // the calls as they are
    INFO((executor.ok() ? "" : executor.status().message()));
    REQUIRE(executor.ok());
    const auto ours = (*executor)->Run({x});
    REQUIRE(ours.ok());
    for (size_t i = 0; i < wanted.size(); ++i) {
      CHECK(Difference(found[i], wanted[i]) < 1e-5);
      CHECK(Difference((*ours)[i], wanted[i]) < 1e-5);
    }
  }
  const Tensor x = RandomInput({16, 4}, 9);
  CHECK(InOrt(Quantized(graph::Clone(normal), x), "x", x).size() == 2);
}

TEST_CASE("every form of a model is quantized to what ONNX Runtime loads, with the same results") {
  if (e2e::SkippedWithoutOrt()) return;
  const Tensor x = RandomInput({8, 3, 6, 6}, 5);
  const std::vector<Tensor> wanted = InOrt(Quantized(support::PlainFormModel(), x), "x", x);
  for (const support::ModelForm& form : support::ModelForms()) {
    INFO(form.name);
    graph::Model model = support::PlainFormModel();
    form.apply(&model);
    REQUIRE(graph::CheckModel(&model).ok());
    const std::vector<Tensor> found = InOrt(Quantized(Normal(model), x), "x", x);
    REQUIRE(found.size() == wanted.size());
    for (size_t i = 0; i < found.size(); ++i) CHECK(found[i] == wanted[i]);
  }
}

TEST_CASE("activations that exporters spell out") {
  if (e2e::SkippedWithoutOrt()) return;
  const std::vector<std::pair<std::string, std::string>> idioms = {
      {"m = Mul(x, a)\ny = Max(x, m)", "LeakyRelu"},
      {"c = Greater(x, zero)\nm = Mul(x, a)\ny = Where(c, x, m)", "LeakyRelu"},
      {"y = PRelu(x, a)", "LeakyRelu"},
      {"p = Relu(x)\nn = Neg(x)\nq = Relu(n)\nm = Mul(q, a)\ny = Sub(p, m)", "LeakyRelu"},
      {"p = Relu(x)\nn = Neg(x)\nq = Relu(n)\nm = Mul(a, q)\ny = Add(p, m)", "LeakyRelu"},
      {"y = Max(x, zero)", "Relu"},
      {"r = Max(x, zero)\ny = Min(r, one)", "Clip"},
      {"r = Min(one, x)\ny = Max(r, zero)", "Clip"}};
  const Tensor x = RandomInput({2, 64}, 6);
  for (const auto& [body, op] : idioms) {
    INFO(body);
    const auto model = graph::Parse(
        "opset 13\ngraph g (float32[N,64] x) => (float32[N,64] y) {\n"
        "  float32[] a = {0.3}\n  float32[] zero = {0}\n"
        "  float32[] one = {1}\n" +
        body + "\n}\n");
    REQUIRE(model.ok());
    const graph::Model normal = Normal(*model);
    REQUIRE(normal.graph->nodes().size() == 1);
    CHECK(normal.graph->nodes()[0]->op_type == op);
    CHECK(Difference(InOrt(normal, "x", x)[0], InOrt(*model, "x", x)[0]) < 1e-6);
  }
}

}  // namespace
}  // namespace roundel
