// Models in float16, bfloat16 and float64 are quantized, written with their own types, and run in
// ONNX Runtime as the simulation of what is written says.

#include <algorithm>
#include <cmath>

#include "lib/engine/executor.h"
#include "lib/graph/check.h"
#include "lib/graph/rounded_products.h"
#include "lib/graph/text.h"
#include "lib/io/onnx.h"
#include "lib/targets/export.h"
#include "lib/targets/narrow.h"
#include "passes/runner.h"
#include "tests/e2e/compare.h"
#include "tests/e2e/half_nets.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"
#include "tests/support/parse_model.h"
#include "tests/support/retype.h"
#include "tests/support/vector_source.h"

namespace roundel {
namespace {

using e2e::Distance;
using e2e::Net;
using e2e::Run;
using e2e::RunInOrt;
using target::ActivationMode;

struct Way {
  const char* target;
  ActivationMode mode;
  int bits;
  double difference;  // of the simulation from ONNX Runtime, as a share of the largest value
};

const Way kWays[] = {
    {"ort-cpu", ActivationMode::kStatic, 8, 0.02},
    {"generic", ActivationMode::kStatic, 8, 0.05},
    {"ort-cpu", ActivationMode::kDynamic, 8, 0.02},
    {"ort-cpu", ActivationMode::kFloat, 8, 0.004},
    {"ort-cpu", ActivationMode::kFloat, 4, 0.004},
    {"llm-matmulnbits", ActivationMode::kFloat, 4, 0.03},
};

graph::Model Parse(const Net& net) {
  graph::Model model = support::ParseModel(net.text);
  REQUIRE(graph::CheckModel(&model).ok());
  return model;
}

int64_t WeightBytes(const graph::Model& model) {
  int64_t bytes = 0;
  for (const auto& initializer : model.graph->initializers())
    bytes += initializer.value.byte_size();
  return bytes;
}

graph::Model Quantized(const graph::Model& model, const Net& net, const Way& way) {
  Session session;
  session.model = graph::Clone(model);
  session.types = target::WidenTypes(&session.model);
  session.target = target::LoadProfile(way.target).value();
  session.grids = target::DefaultChoice(session.target);
  session.grids.mode = way.mode;
  session.grids.weights.bits = way.bits;
  support::VectorSource data = support::RandomSource(net.input, 4, 7);
  session.data = &data;
  report::Report report;
  const recipe::Step calibrate = {"calibrate",
                                  recipe::Params(passes::FindPass("calibrate")->params), 0};
  const Status ran = passes::RunSteps({calibrate}, {}, &session, &report);
  INFO(ran.message());
  REQUIRE(ran.ok());
  CHECK_FALSE(session.encodings.empty());
  target::ExportOptions options = target::OptionsFor(session.target);
  options.dynamic_layers = session.placement->dynamic_layers;
  options.accuracy_level = 1;
  options.types = session.types;
  auto written = target::Export(session.model, session.encodings, options);
  INFO((written.ok() ? "" : written.status().message()));
  REQUIRE(written.ok());
  const Status valid = graph::CheckModel(&*written);
  INFO(valid.message());
  REQUIRE(valid.ok());
  return std::move(*written);
}

void CheckWay(const graph::Model& model, const Net& net, const Way& way, const Tensor& x) {
  const graph::Model written = Quantized(model, net, way);
  for (size_t i = 0; i < model.graph->inputs.size(); ++i)
    CHECK(written.graph->inputs[i].dtype == model.graph->inputs[i].dtype);
  for (size_t i = 0; i < model.graph->outputs.size(); ++i)
    CHECK(written.graph->outputs[i].dtype == model.graph->outputs[i].dtype);
  CHECK(WeightBytes(written) < WeightBytes(model));
  CHECK(Distance(Run(written, x), Run(model, x)) < (way.bits == 8 ? 0.25 : 0.8));
  const e2e::ScratchFolder scratch("half-models");
  for (const bool optimize : {true, false}) {
    INFO((optimize ? "optimized" : "as written"));
    const Tensor theirs = RunInOrt(written, x, scratch, optimize);
    graph::Model simulated = graph::Clone(written);
    if (!optimize) simulated.SetMetadata(graph::kRoundsProductInputs, "false");
    const Tensor ours = Run(simulated, x);
    CHECK(theirs.dtype() == ours.dtype());
    // Optimized, the runtime rounds inputs of products to 8 bits, as the simulation does; but from
    // values that have been rounded to float16 on the way, so that some codes are one step apart.
    constexpr double kSteps = 0.03;
    CHECK(Distance(ours, theirs) < (optimize ? std::max(way.difference, kSteps) : way.difference));
  }
}

TEST_CASE("a quantized float16 model becomes a float16 model again") {
  for (const Net& net : {e2e::kConvNet, e2e::kTransformer})
    for (const Way& way : kWays) {
      if (way.mode == ActivationMode::kDynamic || std::string(way.target) == "llm-matmulnbits")
        continue;
      INFO(net.name << " " << way.target << " mode " << static_cast<int>(way.mode));
      const graph::Model model = support::Retyped(Parse(net), DType::kFloat16);
      auto read = target::ImportQdq(Quantized(model, net, way));
      INFO((read.ok() ? "" : read.status().message()));
      REQUIRE(read.ok());
      CHECK_FALSE(read->encodings.empty());
      graph::Model wide = graph::Clone(model);
      target::WidenTypes(&wide);
      // What has a grid is a value of the float model, under its name there.
      for (const auto& [value, encoding] : read->encodings)
        CHECK((wide.graph->Producer(value) || wide.graph->IsInput(value) ||
               wide.graph->Constant(value)));
      REQUIRE(target::NarrowTypes(read->types, {}, &read->model).ok());
      for (const graph::Initializer& initializer : read->model.graph->initializers()) {
        INFO(initializer.name);
        CHECK((initializer.value.dtype() != DType::kFloat || initializer.name == "twice"));
      }
      Random random(3);
      const Tensor x = support::RandomTensor(net.input, random).FromFloatTo(DType::kFloat16);
      CHECK(Distance(Run(read->model, x), Run(model, x)) < (way.bits == 8 ? 0.05 : 0.8));
    }
}

TEST_CASE("float16 models are quantized like any other") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Net& net : {e2e::kConvNet, e2e::kTransformer, e2e::kBranches, e2e::kLoop,
                         e2e::kRecurrent, e2e::kTransposed})
    for (const Way& way : kWays) {
      INFO(net.name << " " << way.target << " mode " << static_cast<int>(way.mode) << " bits "
                    << way.bits);
      Random random(3);
      const graph::Model model = support::Retyped(Parse(net), DType::kFloat16);
      const Tensor x = support::RandomTensor(net.input, random).FromFloatTo(DType::kFloat16);
      CheckWay(model, net, way, x);
    }
}

TEST_CASE("float32 models in float16 give ONNX Runtime's results in float32") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Net& net : {e2e::kConvNet, e2e::kTransformer, e2e::kBranches, e2e::kLoop,
                         e2e::kRecurrent, e2e::kTransposed})
    for (const bool keep_io : {false, true}) {
      INFO(net.name << (keep_io ? " with its interface" : ""));
      Session session;
      session.model = Parse(net);
      const graph::Model model = graph::Clone(session.model);
      session.target = target::LoadProfile("ort-cpu").value();
      const passes::PassInfo& pass = *passes::FindPass("to_float16");
      recipe::Params params(pass.params);
      REQUIRE(params.SetValue(pass.params, "keep_io", keep_io).ok());
      report::PassReport report;
      session.report = &report;
      REQUIRE(pass.run(session, params).ok());
      const auto written = target::Export(
          session.model, {},
          {.types = session.types, .narrow = target::NarrowOptionsOf(session.target)});
      REQUIRE(written.ok());
      CHECK(WeightBytes(*written) < 0.7 * static_cast<double>(WeightBytes(model)));
      Random random(3);
      const Tensor x = support::RandomTensor(net.input, random);
      const e2e::ScratchFolder scratch("to-float16");
      const Tensor expected = RunInOrt(model, x, scratch, true);
      for (const bool optimize : {true, false}) {
        const e2e::ScratchFolder second("to-float16-written");
        const Tensor y =
            RunInOrt(*written, keep_io ? x : x.FromFloatTo(DType::kFloat16), second, optimize);
        CHECK(y.dtype() == (keep_io ? DType::kFloat : DType::kFloat16));
        CHECK(Distance(y, expected) < 8 * 0x1p-11);
      }
    }
}

// ONNX Runtime's CPU has no kernels of bfloat16 or, for layers, of float64: what is written
// computes in float32 there. Inputs and outputs in float32 stand for the types that Node.js does
// not have.
TEST_CASE("bfloat16 inside of a model gives way to float32 where the runtime has no kernels") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Net& net : {e2e::kConvNet, e2e::kTransformer, e2e::kBranches, e2e::kLoop})
    for (const Way& way : kWays) {
      if (std::string(way.target) == "generic") continue;
      INFO(net.name << " " << way.target << " mode " << static_cast<int>(way.mode));
      Random random(3);
      graph::Model model = support::Retyped(Parse(net), DType::kBfloat16);
      graph::Graph& g = *model.graph;
      const std::string y = g.outputs[0].name;
      g.inputs[0].dtype = g.outputs[0].dtype = DType::kFloat;
      g.ReplaceUses("x", "x_low");
      g.SetOutput(g.Producer(y), 0, "y_low");
      graph::Node in{.op_type = "Cast", .inputs = {"x"}, .outputs = {"x_low"}};
      in.SetAttribute("to", static_cast<int64_t>(DType::kBfloat16));
      g.InsertBefore(g.nodes()[0].get(), in);
      graph::Node out{.op_type = "Cast", .inputs = {"y_low"}, .outputs = {y}};
      out.SetAttribute("to", static_cast<int64_t>(DType::kFloat));
      g.AddNode(out);
      CheckWay(model, net, way, support::RandomTensor(net.input, random));
    }
}

TEST_CASE("float64 models are quantized in float32 and keep their inputs and outputs") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Net& net : {e2e::kConvNet, e2e::kTransformer, e2e::kBranches})
    for (const Way& way : kWays) {
      if (std::string(way.target) == "generic") continue;
      INFO(net.name << " " << way.target << " mode " << static_cast<int>(way.mode));
      Random random(3);
      const graph::Model model = support::Retyped(Parse(net), DType::kDouble);
      CheckWay(model, net, way,
               support::RandomTensor(net.input, random).FromFloatTo(DType::kDouble));
    }
}

}  // namespace
}  // namespace roundel
