// Layers inside of If, Loop and Scan, quantized and run by ONNX Runtime: what it computes is what
// the simulation computes, no layer stays float, and weights that bodies share are stored once.

#include <cmath>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/bodies.h"
#include "lib/io/onnx.h"
#include "lib/targets/export.h"
#include "lib/targets/lint.h"
#include "lib/targets/qdq.h"
#include "tests/e2e/calibrated.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"

namespace roundel {
namespace {

// One layer that reads %x and writes %y; its weight %w and bias %b.
struct Layer {
  const char* name;
  Shape input;
  const char* weight;
  const char* bias;
  const char* text;
};

const Layer kLayers[] = {
    {"MatMul", {3, 16}, "float32[16,16]", "float32[16]", "%y0 = MatMul(%x, %w)  %y = Add(%y0, %b)"},
    {"Gemm", {3, 16}, "float32[16,16]", "float32[16]", "%y = Gemm<transB=1>(%x, %w, %b)"},
    {"Conv",
     {3, 4, 5, 5},
     "float32[4,4,3,3]",
     "float32[4]",
     "%y = Conv<pads=[1,1,1,1]>(%x, %w, %b)"}};

// L(x,y,w): a layer. W(w): its weight and bias.
struct Form {
  const char* name;
  const char* text;
  int layers;
};

const Form kForms[] = {
    {"branches with weights of the same names", R"(
  m = If<then_branch=graph t () => (? o) {
      W(w1,1) W(w2,2)
      L(a,h,w1)
      r = Relu(h)
      L(r,k,w2)
      o = Tanh(k)
    }, else_branch=graph e () => (? o) {
      W(w1,3)
      L(a,h,w1)
      o = Sigmoid(h)
    }>(flag))",
     4},
    {"weights from outside, one of them in both branches", R"(
  W(both,1) W(once,2)
  m = If<then_branch=graph t () => (? o) {
      L(a,h,both)
      r = Relu(h)
      L(r,o,once)
    }, else_branch=graph e () => (? p) { L(a,p,both) }>(flag))",
     4},
    {"loop", R"(
  m = Loop<body=graph l (int64[] i, bool[] go, ? s) => (bool[] go2, ? s2) {
      W(w1,1)
      go2 = Identity(go)
      L(s,h,w1)
      s2 = Relu(h)
    }>(three, yes, a))",
     2},
    {"scan", R"(
  front = Unsqueeze(a, zero)
  steps = Concat<axis=0>(front, front, front)
  m, all = Scan<num_scan_inputs=1, body=graph s (? st, ? step) => (? st2, ? out) {
      W(w1,1)
      L(step,h,w1)
      r = Tanh(h)
      st2 = Add(r, st)
      out = Identity(st2)
    }>(a, steps))",
     2},
    {"branches in a loop", R"(
  W(outer,1)
  m = Loop<body=graph l (int64[] i, bool[] go, ? s) => (bool[] go2, ? s2) {
      W(middle,2)
      go2 = Identity(go)
      odd = Equal(i, one)
      s2 = If<then_branch=graph t () => (? o) {
          W(own,3)
          L(s,h,outer)
          r = Relu(h)
          L(r,o,own)
        }, else_branch=graph e () => (? p) {
          L(s,h,middle)
          p = Relu(h)
        }>(odd)
    }>(three, yes, a))",
     4},
};

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

// Replaces NAME(a,b) by what `make` gives for a and b.
template <typename Make>
std::string Expanded(std::string text, const std::string& name, const Make& make) {
  for (size_t at = text.find(name + "("); at != std::string::npos; at = text.find(name + "(", at)) {
    const bool word = at > 0 && (std::isalnum(text[at - 1]) != 0);
    const size_t end = text.find(')', at);
    if (word) {
      ++at;
      continue;
    }
    const std::string made =
        make(Split(text.substr(at + name.size() + 1, end - at - name.size() - 1), ','));
    text.replace(at, end + 1 - at, made);
    at += made.size();
  }
  return text;
}

std::string ModelText(const Form& form, const Layer& layer) {
  std::string text = StrCat("opset 17 graph g (float32", ShapeString(layer.input), R"( x) => (? y) {
  int64[1] zero = {0}
  int64[] one = {1}
  int64[] three = {3}
  bool[] yes = {1}
  float32[] border = {0}
  sum = ReduceSum<keepdims=0>(x)
  flag = Greater(sum, border)
  W(first,7)
  W(last,8)
  L(x,a0,first)
  a = Relu(a0))",
                            form.text, R"(
  L(m,y,last)
})");
  text = Expanded(text, "W", [&](const std::vector<std::string>& args) {
    return StrCat(layer.weight, " ", args[0], " = random(", args[1], ", -0.4, 0.4) ", layer.bias,
                  " b_", args[0], " = random(1", args[1], ", -0.2, 0.2) ");
  });
  return Expanded(text, "L", [&](const std::vector<std::string>& args) {
    std::string made = Replaced(layer.text, "%x", args[0]);
    made = Replaced(made, "%w", args[2]);
    made = Replaced(made, "%b", "b_" + args[2]);
    return Replaced(made, "%y", args[1]);
  });
}

int64_t WeightBytes(const graph::Model& model) {
  int64_t bytes = 0;
  const auto flat = graph::WithBodies(model);
  for (const graph::Initializer& initializer : flat->initializers())
    bytes += initializer.value.byte_size();
  return bytes;
}

double RelativeError(const std::vector<Tensor>& ours, const std::vector<Tensor>& theirs) {
  double error = 0, power = 1e-30;
  for (size_t i = 0; i < ours.size(); ++i)
    for (int64_t k = 0; k < ours[i].size(); ++k) {
      const double a = ours[i].data<float>()[k], b = theirs[i].data<float>()[k];
      error += (a - b) * (a - b);
      power += b * b;
    }
  return std::sqrt(error / power);
}

struct Mode {
  const char* name;
  target::ActivationMode mode;
  double tolerance;  // of the simulation: one step of a grid may differ here and there
  bool optimize;     // the runtime turns weights beside floats into blocks of int8 activations
};
const Mode kModes[] = {{"static", target::ActivationMode::kStatic, 5e-3, true},
                       {"static, plain", target::ActivationMode::kStatic, 5e-3, false},
                       {"dynamic", target::ActivationMode::kDynamic, 1e-5, true},
                       {"weights", target::ActivationMode::kFloat, 1e-5, false}};

std::unique_ptr<Session> QuantizedForm(const Form& form, const Layer& layer, const Mode& mode) {
  auto parsed = graph::Parse(ModelText(form, layer));
  INFO((parsed.ok() ? "" : parsed.status().message()));
  REQUIRE(parsed.ok());
  graph::MakeNamesUnique(&*parsed);
  const std::string text = graph::Print(*parsed, 1 << 20);
  return e2e::Calibrated(text.c_str(), layer.input, "ort-cpu",
                         [&](target::GridChoice& choice) { choice.mode = mode.mode; });
}

void CheckForm(const Form& form, const Layer& layer, const Mode& mode) {
  INFO(form.name << ", " << layer.name << ", " << mode.name);
  const auto session = QuantizedForm(form, layer, mode);
  for (const target::FloatNode& node : session->placement->float_nodes) {
    INFO(node.node << ": " << node.reason);
    CHECK(node.op_type != layer.name);
  }
  auto exported = target::Export(session->model, session->encodings,
                                 {.dynamic_layers = session->placement->dynamic_layers});
  INFO((exported.ok() ? "" : exported.status().message()));
  REQUIRE(exported.ok());
  // Biases and scales take their share of these small models.
  CHECK(WeightBytes(*exported) < WeightBytes(session->model) * 0.6);
  const e2e::ScratchFolder scratch("bodies");
  const std::string file = scratch.File("model.onnx");
  REQUIRE(io::WriteOnnx(*exported, file).ok());
  const bool is_dynamic = mode.mode == target::ActivationMode::kDynamic;
  auto executor = is_dynamic
                      ? engine::Executor::Create(*exported)
                      : engine::Executor::Create(session->model, {.simulate = &session->encodings});
  auto of_export = engine::Executor::Create(*exported);
  auto of_float = engine::Executor::Create(session->model);
  REQUIRE(executor.ok());
  REQUIRE(of_export.ok());
  std::vector<e2e::OrtJob> jobs;
  std::vector<Tensor> floats, ours, ours_exported, theirs;
  Random random(3);
  for (int i = 0; i < 6; ++i) {
    const Tensor x = support::RandomTensor(layer.input, random, 1.0);
    jobs.push_back({file, mode.optimize, {{"x", x}}});
    floats.push_back((*of_float)->Run({x}).value()[0]);
    ours.push_back((*executor)->Run({x}).value()[0]);
    ours_exported.push_back((*of_export)->Run({x}).value()[0]);
  }
  const auto results = e2e::RunOrt(jobs, scratch.path());
  INFO((results.ok() ? "" : results.status().message()));
  REQUIRE(results.ok());
  for (const auto& outputs : *results) theirs.push_back(outputs[0]);
  CHECK(RelativeError(ours, theirs) < mode.tolerance);
  CHECK(RelativeError(ours_exported, theirs) < mode.tolerance);
  const double of_quantization = RelativeError(theirs, floats);
  CHECK(of_quantization < 0.25);
  CHECK(of_quantization > 1e-4);  // not the float model
}

TEST_CASE("layers inside of control flow run quantized in ONNX Runtime") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Form& form : kForms)
    for (const Layer& layer : kLayers)
      for (const Mode& mode : kModes) CheckForm(form, layer, mode);
}

// A decoder whose first and later steps are branches with the same weights.
TEST_CASE("weights that both branches have, by name or twice, are stored once") {
  const std::string frame = R"(opset 17 graph g (float32[3,64] x) => (? y) {
  float32[] border = {0}
  sum = ReduceSum<keepdims=0>(x)
  flag = Greater(sum, border)
  OUTER
  y = If<then_branch=graph t () => (? o) { INNER o = MatMul(x, w) },
         else_branch=graph e () => (? p) { INNER p0 = MatMul(x, w)  p = Relu(p0) }>(flag)
})";
  const std::string weight = "float32[64,64] w = random(1)";
  const std::string by_name = Replaced(Replaced(frame, "OUTER", weight), "INNER", "");
  auto twice = graph::Parse(Replaced(Replaced(frame, "OUTER", ""), "INNER", weight));
  REQUIRE(twice.ok());
  graph::MakeNamesUnique(&*twice);
  const std::string by_value = graph::Print(*twice, 1 << 20);
  for (const Mode& mode : kModes) {
    INFO(mode.name);
    for (const std::string& text : {by_name, by_value}) {
      INFO(text.substr(0, 300));
      const auto session = e2e::Calibrated(text.c_str(), {3, 64}, "ort-cpu",
                                           [&](auto& choice) { choice.mode = mode.mode; });
      const auto exported = target::Export(session->model, session->encodings,
                                           {.dynamic_layers = session->placement->dynamic_layers});
      REQUIRE(exported.ok());
      CHECK(WeightBytes(*exported) < 64 * 64 + 1500);  // one set of codes, and scales
      if (e2e::SkippedWithoutOrt()) continue;
      const e2e::ScratchFolder scratch("bodies");
      const std::string file = scratch.File("model.onnx");
      REQUIRE(io::WriteOnnx(*exported, file).ok());
      Random random(3);
      const Tensor x = support::RandomTensor({3, 64}, random, 1.0);
      auto executor = engine::Executor::Create(*exported);
      const auto theirs = e2e::RunOrt({{file, mode.optimize, {{"x", x}}}}, scratch.path());
      INFO((theirs.ok() ? "" : theirs.status().message()));
      REQUIRE(theirs.ok());
      CHECK(RelativeError({(*executor)->Run({x}).value()[0]}, (*theirs)[0]) < mode.tolerance);
    }
  }
}

TEST_CASE("what was exported into bodies is imported again") {
  for (const Form& form : kForms)
    for (const Layer& layer : kLayers) {
      INFO(form.name << ", " << layer.name);
      const auto session = QuantizedForm(form, layer, kModes[0]);
      auto exported = target::Export(session->model, session->encodings, {});
      REQUIRE(exported.ok());
      const auto lint = target::Lint(*exported, session->target);
      REQUIRE(lint.ok());
      for (const target::Violation& violation : lint->violations)
        FAIL_CHECK(violation.where << ": " << violation.what << ": " << violation.why);
      std::vector<std::string> kept;
      const auto imported = target::ImportQdq(*exported, &kept);
      REQUIRE(imported.ok());
      CHECK(kept.empty());
      int64_t weights = 0, found = 0;
      for (const auto& [name, e] : imported->encodings) found += e.role == quant::Role::kWeight;
      for (const auto& [name, e] : session->encodings) weights += e.role == quant::Role::kWeight;
      CHECK(found == weights);
      auto a = engine::Executor::Create(session->model, {.simulate = &session->encodings});
      auto b = engine::Executor::Create(imported->model, {.simulate = &imported->encodings});
      REQUIRE(b.ok());
      Random random(5);
      const Tensor x = support::RandomTensor(layer.input, random, 1.0);
      CHECK(RelativeError({(*a)->Run({x}).value()[0]}, {(*b)->Run({x}).value()[0]}) < 5e-3);
    }
}

}  // namespace
}  // namespace roundel
