// Every form of a layer on every target: the written model loads in ONNX Runtime at all optimization
// levels and computes the same as the simulation of the encodings.

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/text.h"
#include "lib/io/onnx.h"
#include "lib/targets/export.h"
#include "lib/targets/lint.h"
#include "passes/runner.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel {
namespace {

const char* const kLevels[] = {"disabled", "basic", "extended", "all"};

// A graph x -> y around one layer, with the ops that neighbors of such layers are.
struct Form {
  std::string name, text;
  Shape input;
  std::vector<std::string> exclude = {};
};

std::string Dims(const Shape& shape) {
  std::vector<std::string> parts;
  for (const int64_t dim : shape) parts.push_back(std::to_string(dim));
  return Join(parts, ",");
}

// A convolution [C_out, C_in/group, k...] with a neighbor on either side.
Form ConvForm(const std::string& op, int rank, int group, const std::string& bias,
              const std::string& tail) {
  constexpr int64_t kChannels = 8;
  const auto spatial = static_cast<size_t>(rank);
  Shape weight = {kChannels, kChannels / group}, input = {2, kChannels},
        point = {kChannels, kChannels};
  weight.insert(weight.end(), spatial, 3);
  input.insert(input.end(), spatial, 5);
  point.insert(point.end(), spatial, 1);
  std::string shape = "N," + Dims(Shape(input.begin() + 1, input.end()));
  const std::string ones = Dims(Shape(spatial, 1)), threes = Dims(Shape(spatial, 3)),
                    pads = Dims(Shape(2 * spatial, 1));
  std::string text = StrCat("graph g (float32[", shape, "] x) => (float32[", shape, "] y",
                            tail == "output" ? ", float32[" + shape + "] t" : "", ") {\n",
                            "  float32[", Dims(point), "] w0 = random(1)\n  float32[", Dims(weight),
                            "] w = random(2)\n  float32[", Dims(point), "] w1 = random(3)\n");
  if (!bias.empty()) text += "  float32[8] b = random(4)\n";
  if (tail == "clip") text += "  float32[] low = {0}\n  float32[] high = {0.5}\n";
  if (tail == "clip_below") text += "  float32[] low = {-0.25}\n  float32[] high = {0.5}\n";
  // The grid is one of whole steps from zero, and ends a little further out than one of these.
  if (tail == "clip_uneven") text += "  float32[] low = {-0.2}\n  float32[] high = {0.5}\n";
  const std::string shared = bias == "shared" ? ", b" : "";
  text += StrCat("  [first] a = Conv<kernel_shape=[", ones, "]>(x, w0", shared,
                 ")\n  p = Relu(a)\n", "  [layer] t = ", op, "<kernel_shape=[", threes, "], pads=[",
                 pads, "], group=", group, ">(p, w", bias.empty() ? "" : ", b", ")\n");
  if (tail == "relu") text += "  u = Relu(t)\n";
  if (tail.starts_with("clip")) text += "  u = Clip(t, low, high)\n";
  if (tail == "add" || tail == "output") text += "  u = Add(t, p)\n";
  if (tail == "add_relu") text += "  s = Add(t, p)\n  u = Relu(s)\n";
  text += StrCat("  [last] y = Conv<kernel_shape=[", ones, "]>(", tail.empty() ? "t" : "u", ", w1",
                 shared, ")\n}");
  return {StrCat(op, rank, "d group ", group, " bias ", bias, " tail ", tail), "opset 17\n" + text,
          input};
}

Form ProductForm(const std::string& name, const Shape& weight, const Shape& input, bool left) {
  const std::string product = left ? "MatMul(w, x)" : "MatMul(x, w)";
  return {"MatMul " + name,
          StrCat("opset 17\ngraph g (float32[", Dims(input), "] x) => (float32 y) {\n  float32[",
                 Dims(weight), "] w = random(1)\n  [layer] t = ", product, "\n  y = Relu(t)\n}"),
          input};
}

Form GemmForm(const std::string& name, const std::string& attributes, const std::string& bias) {
  const bool transposed = attributes.find("transB") != std::string::npos;
  return {"Gemm " + name,
          StrCat("opset 17\ngraph g (float32[N,16] x) => (float32[N,6] y) {\n  float32[",
                 transposed ? "6,16" : "16,6", "] w = random(1)\n",
                 bias.empty() ? "" : "  float32[" + bias + "] b = random(2)\n",
                 "  [layer] y = Gemm", attributes, bias.empty() ? "(x, w)" : "(x, w, b)", "\n}"),
          {3, 16}};
}

std::vector<Form> Forms() {
  std::vector<Form> forms;
  for (const char* tail :
       {"", "relu", "clip", "clip_below", "clip_uneven", "add", "add_relu", "output"})
    forms.push_back(ConvForm("Conv", 2, 1, "own", tail));
  for (const char* bias : {"", "shared"})
    for (const int group : {1, 2, 8}) forms.push_back(ConvForm("Conv", 2, group, bias, "relu"));
  forms.push_back(ConvForm("Conv", 1, 1, "own", "relu"));
  forms.push_back(ConvForm("Conv", 3, 1, "own", "relu"));
  for (const int group : {1, 2, 8})
    forms.push_back(ConvForm("ConvTranspose", 2, group, "own", "relu"));
  for (const char* excluded : {"layer", "first", "last"}) {
    forms.push_back(ConvForm("Conv", 2, 1, "shared", "relu"));
    forms.back().name += StrCat(" without ", excluded);
    forms.back().exclude = {excluded};
  }
  forms.push_back(ProductForm("vector", {16}, {2, 4, 16}, false));
  forms.push_back(ProductForm("matrix", {16, 24}, {2, 4, 16}, false));
  forms.push_back(ProductForm("one of a batch", {1, 16, 24}, {2, 4, 16}, false));
  forms.push_back(ProductForm("batch", {2, 16, 24}, {2, 4, 16}, false));
  forms.push_back(ProductForm("heads", {1, 2, 16, 24}, {2, 2, 4, 16}, false));
  forms.push_back(ProductForm("matrix on the left", {24, 4}, {2, 4, 16}, true));
  forms.push_back(ProductForm("batch on the left", {2, 24, 4}, {2, 4, 16}, true));
  forms.push_back(GemmForm("plain", "", ""));
  forms.push_back(GemmForm("transposed", "<transB=1>", "6"));
  forms.push_back(GemmForm("scaled", "<alpha=0.5, beta=2.0>", "6"));
  forms.push_back(GemmForm("row bias", "<transB=1>", "1,6"));
  forms.push_back(GemmForm("one bias", "", "1"));
  return forms;
}

struct Setting {
  const char* target;
  const char* format = "";
  target::ActivationMode mode = target::ActivationMode::kStatic;
  bool per_tensor = false;
  int weight_bits = 0;  // 0: the target's
};

const Setting kSettings[] = {
    {"ort-cpu"},
    {"ort-cpu", "", target::ActivationMode::kStatic, true},
    {"ort-cpu", "qoperator"},
    {"ort-cpu", "qoperator", target::ActivationMode::kStatic, true},
    {"ort-cpu", "", target::ActivationMode::kDynamic},
    {"ort-cpu", "", target::ActivationMode::kFloat},
    {"ort-cpu", "", target::ActivationMode::kFloat, false, 4},
    {"ort-cpu", "", target::ActivationMode::kStatic, false, 4},
    {"ort-cpu-avx2"},
    {"ort-mobile-xnnpack"},
    {"generic"},
    {"openvino"},
    {"qnn-htp"},
    {"tensorrt"},
};

std::string Name(const Setting& s) {
  return StrCat(s.target, " ", s.format, " ", target::kActivationModes[static_cast<int>(s.mode)],
                s.per_tensor ? " per tensor" : "", s.weight_bits ? " 4 bits" : "");
}

// Channels of very different magnitude, one of them nearly dead; one scale for all would lose it.
void SpreadChannels(graph::Graph* graph) {
  for (const char* name : {"w0", "w", "w1"}) {
    const Tensor* old = graph->Constant(name);
    if (!old || old->rank() < 2) continue;
    Tensor spread = *old;
    const int64_t rows = spread.dim(0), row = spread.size() / rows;
    for (int64_t i = 0; i < spread.size(); ++i) {
      const int64_t r = i / row;
      spread.mutable_data<float>()[i] *= r == 1 ? 1e-6f : r % 3 == 2 ? 0.05f : 0.3f;
    }
    graph->SetInitializer(name, spread);
  }
}

struct Written {
  std::string name;
  std::unique_ptr<Session> session;
  graph::Model model;
  Tensor input;
};

// What `quantize` does: passes, export, and the target's rules on the result.
std::optional<Written> Write(const Form& form, const Setting& setting) {
  Written w{StrCat(form.name, ", ", Name(setting)), std::make_unique<Session>(), {}, {}};
  INFO(w.name << "\n" << form.text);
  auto parsed = graph::Parse(form.text);
  INFO((parsed.ok() ? "" : parsed.status().message()));
  REQUIRE(parsed.ok());
  w.session->model = std::move(parsed).value();
  SpreadChannels(w.session->model.graph.get());
  w.session->target = target::LoadProfile(setting.target).value();
  target::GridChoice& grids = w.session->grids;
  grids = target::DefaultChoice(w.session->target);
  grids.exclude = form.exclude;
  grids.mode = setting.mode;
  if (setting.per_tensor) grids.weight_granularity = quant::Granularity::kTensor;
  if (setting.weight_bits > 0) grids.weights.bits = setting.weight_bits;
  support::VectorSource data = support::RandomSource(form.input, 4, 7);
  w.session->data = &data;
  report::Report report;
  std::vector<recipe::Step> steps;
  for (const char* pass : {"calibrate", "bias_correct"})
    if (setting.mode == target::ActivationMode::kStatic || steps.empty())
      steps.push_back({pass, recipe::Params(passes::FindPass(pass)->params), 0});
  const Status ran = passes::RunSteps(steps, {}, w.session.get(), &report);
  w.session->data = nullptr;
  INFO(ran.message());
  REQUIRE(ran.ok());
  target::ExportOptions options = target::OptionsFor(w.session->target, setting.format);
  options.dynamic_layers = w.session->placement->dynamic_layers;
  auto exported = target::Export(w.session->model, w.session->encodings, options);
  INFO((exported.ok() ? "" : exported.status().message()));
  REQUIRE(exported.ok());
  w.model = std::move(exported).value();
  w.input = support::RandomSource(form.input, 1, 99).Next().value()->inputs[0];
  return w;
}

// Share of values further apart than one step of the output (of its range, if it is float), and a
// little for the rounding of float sums.
double ShareApart(const Tensor& a, const Tensor& b, const quant::EncodingTable& table,
                  const std::string& output) {
  REQUIRE(a.shape() == b.shape());
  double range = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    range = std::max(range, std::fabs(double(a.data<float>()[i])));
  const auto e = table.find(output);
  const double step = e == table.end() ? 0.02 * range : 1.001 * e->second.params[0].scale;
  int64_t apart = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    apart += !(std::fabs(double(a.data<float>()[i]) - b.data<float>()[i]) <= step + 1e-6);
  return double(apart) / double(a.size());
}

void CheckSetting(const Setting& setting) {
  e2e::ScratchFolder scratch("forms");
  std::vector<Written> all;
  std::vector<e2e::OrtJob> jobs;
  for (const Form& form : Forms()) {
    all.push_back(*Write(form, setting));
    const std::string file = scratch.File(StrCat("m", all.size(), ".onnx"));
    REQUIRE(io::WriteOnnx(all.back().model, file).ok());
    for (const char* level : kLevels)
      jobs.push_back({.model = file, .inputs = {{"x", all.back().input}}, .level = level});
  }
  std::vector<std::vector<Tensor>> ort;
  if (auto together = e2e::RunOrt(jobs, scratch.path()); together.ok()) {
    ort = std::move(together).value();
  } else {  // one by one, to name the form
    for (size_t i = 0; i < jobs.size(); ++i) {
      const auto one = e2e::RunOrt({jobs[i]}, scratch.path());
      INFO(all[i / 4].name << " at level " << kLevels[i % 4]);
      INFO((one.ok() ? "" : one.status().message()));
      CHECK(one.ok());
      ort.push_back(one.ok() ? (*one)[0] : std::vector<Tensor>());
    }
  }
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Written& w = all[i / 4];
    if (ort[i].empty()) continue;
    // Biases that another runtime wants in float are rounded by this one's optimizer.
    if (!w.session->target.quantize_bias && i % 4 > 0) continue;
    INFO(w.name << " at level " << kLevels[i % 4]);
    // Layers that quantize at run time are not in the encodings: the written model itself.
    const bool dynamic = setting.mode == target::ActivationMode::kDynamic;
    engine::ExecutorOptions options;
    if (!dynamic) options.simulate = &w.session->encodings;
    const auto executor = engine::Executor::Create(dynamic ? w.model : w.session->model, options);
    REQUIRE(executor.ok());
    const auto own = (*executor)->Run({w.input});
    REQUIRE(own.ok());
    for (size_t k = 0; k < own->size(); ++k)
      CHECK(ShareApart((*own)[k], ort[i][k], w.session->encodings,
                       w.session->model.graph->outputs[k].name) <= 0.02);
  }
}

}  // namespace

TEST_CASE("all forms of layers on all targets load in ONNX Runtime and agree with the simulation") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Setting& setting : kSettings) DYNAMIC_SECTION(Name(setting)) {
      CheckSetting(setting);
    }
}

TEST_CASE("what is written for a target breaks none of its rules") {
  for (const Setting& setting : kSettings) {
    const target::Profile profile = target::LoadProfile(setting.target).value();
    for (const Form& form : Forms()) {
      const Written w = *Write(form, setting);
      auto lint = target::Lint(w.model, profile, &*w.session->placement);
      INFO(w.name << (lint.ok() ? "" : lint.status().message()));
      REQUIRE(lint.ok());
      for (const target::Violation& v : lint->violations)
        FAIL_CHECK(v.where << ": " << v.what << ": " << v.why);
    }
  }
}

}  // namespace roundel
