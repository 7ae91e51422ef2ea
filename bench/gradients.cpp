// gradients [MODEL.onnx ...] [--batch N] [--length N] [--rounds R] [--profile]
//
// The time of a gradient step against that of a forward pass, with one thread, as it runs in a lane.
// With models: the loss is the mean square of the outputs' difference from targets, and the gradients
// are those of all weights and biases, which are inputs of the graph. Without: single convolutions,
// in GFLOP/s, with the copies of inputs and results. Times are those of the processor. Build: ninja
// tests/gradients_bench.

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <string>

#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/engine/normal_form.h"
#include "lib/grad/backward.h"
#include "lib/graph/layer_slots.h"
#include "lib/graph/text.h"
#include "lib/io/onnx.h"

namespace roundel {
namespace {

struct Settings {
  int64_t batch = 8;
  int64_t length = 128;  // of other axes without a size
  int rounds = 7;
  bool profile = false;
};

Tensor RandomTensor(const Shape& shape, double scale) {
  Tensor t = Tensor::Empty(DType::kFloat, shape);
  Random random(static_cast<uint64_t>(NumElements(shape)));
  for (int64_t i = 0; i < t.size(); ++i)
    t.mutable_data<float>()[i] = static_cast<float>(scale * (2 * random.Uniform() - 1));
  return t;
}

Tensor Tokens(const Shape& shape) {
  Tensor t = Tensor::Empty(DType::kInt64, shape);
  for (int64_t i = 0; i < t.size(); ++i) t.mutable_data<int64_t>()[i] = i * 7 % 61;
  return t;
}

struct Runner {
  std::unique_ptr<engine::Executor> executor;
  std::vector<Tensor> inputs;
  double best = 1e9;

  // Processor time: one thread works, and others may use the machine.
  static double Seconds() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }
  Status Run() {
    const double start = Seconds();
    RETURN_IF_ERROR(executor->Run(inputs).status());
    best = std::min(best, Seconds() - start);
    return OkStatus();
  }
};

Result<Runner> MakeRunner(const graph::Model& model, const std::map<std::string, Tensor>& values,
                          std::vector<std::string> outputs, bool profile = false) {
  Runner runner;
  ASSIGN_OR_RETURN(runner.executor, engine::Executor::Create(model, {.outputs = std::move(outputs),
                                                                     .profile = profile}));
  for (const std::string& name : runner.executor->input_names())
    runner.inputs.push_back(values.at(name));
  return runner;
}

// One after the other in each round, so that noise affects all.
Status Measure(int rounds, const std::vector<Runner*>& runners) {
  for (int round = 0; round < rounds; ++round)
    for (Runner* runner : runners) RETURN_IF_ERROR(runner->Run());
  return OkStatus();
}

// ---- single convolutions

struct Case {
  const char* name;
  Shape x, w;
  const char* attributes;
};
const Case kCases[] = {
    {"3x3, 64-64, 56x56", {8, 64, 56, 56}, {64, 64, 3, 3}, "pads=[1,1,1,1]"},
    {"3x3, 256-256, 14x14", {8, 256, 14, 14}, {256, 256, 3, 3}, "pads=[1,1,1,1]"},
    {"3x3, 16-16, 32x32", {8, 16, 32, 32}, {16, 16, 3, 3}, "pads=[1,1,1,1]"},
    {"3x3 stride 2, 3-32, 224x224",
     {4, 3, 224, 224},
     {32, 3, 3, 3},
     "strides=[2,2], pads=[1,1,1,1]"},
    {"1x1, 64-256, 56x56", {8, 64, 56, 56}, {256, 64, 1, 1}, ""},
    {"1x1, 256-64, 56x56", {8, 256, 56, 56}, {64, 256, 1, 1}, ""},
    {"1x1 stride 2, 256-512, 28x28", {8, 256, 28, 28}, {512, 256, 1, 1}, "strides=[2,2]"},
    {"depthwise 3x3, 144, 56x56", {8, 144, 56, 56}, {144, 1, 3, 3}, "group=144, pads=[1,1,1,1]"},
    {"depthwise 3x3 stride 2, 96, 112x112",
     {8, 96, 112, 112},
     {96, 1, 3, 3},
     "group=96, strides=[2,2], pads=[1,1,1,1]"},
};

// `nodes` from a and b to y; channels-last values cost no conversion.
graph::Model ConvModel(const std::string& nodes) {
  auto model = graph::Parse(
      StrCat("opset 14, roundel 1\ngraph g (float32 a, float32 b, float32 s) => (float32 y) {\n",
             nodes, "\n}"));
  INVARIANT(model.ok(), model.status().message());
  return std::move(*model);
}

Shape ChannelsLast(const Shape& shape) { return {shape[0], shape[2], shape[3], shape[1]}; }

Status MeasureCase(const Case& c, const Settings& settings) {
  const std::string attributes = StrCat("<", c.attributes, ">");
  const std::string first = "  u = Transpose<perm=[0,3,1,2]>(a)\n",
                    last = "\n  y = Transpose<perm=[0,2,3,1]>(v)";
  std::map<std::string, Tensor> values = {{"a", RandomTensor(ChannelsLast(c.x), 1)},
                                          {"b", RandomTensor(c.w, 1)},
                                          {"s", RandomTensor({1}, 1)}};
  ASSIGN_OR_RETURN(
      Runner forward,
      MakeRunner(ConvModel(StrCat(first, "  v = Conv", attributes, "(u, b)", last)), values, {}));
  ASSIGN_OR_RETURN(const std::vector<Tensor> y, forward.executor->Run(forward.inputs));
  values["a"] = RandomTensor(y[0].shape(), 1);
  values["s"] = RandomTensor(ChannelsLast(c.x), 1);
  const std::string source = StrCat(first, "  t = Transpose<perm=[0,3,1,2]>(s)\n");
  ASSIGN_OR_RETURN(Runner dx, MakeRunner(ConvModel(StrCat(source, "  v = roundel.ConvGradInput",
                                                          attributes, "(u, b, t)", last)),
                                         values, {}));
  ASSIGN_OR_RETURN(
      Runner dw,
      MakeRunner(ConvModel(StrCat(source, "  y = roundel.ConvGradWeight", attributes, "(u, t, b)")),
                 values, {}));
  RETURN_IF_ERROR(Measure(settings.rounds, {&forward, &dx, &dw}));
  const double flops = 2.0 * static_cast<double>(y[0].size() * NumElements(c.w) / c.w[0]) / 1e9;
  std::printf("| %s | %.0f | %.0f | %.0f |\n", c.name, flops / forward.best, flops / dx.best,
              flops / dw.best);
  return OkStatus();
}

// ---- models

// Weights and biases of layers become inputs; their names.
std::vector<std::string> FreeParameters(graph::Graph* graph,
                                        std::map<std::string, Tensor>* values) {
  std::vector<std::string> names;
  for (const auto& node : graph->nodes()) {
    const auto slots = graph::FindLayerSlots(*graph, *node, 0);
    if (!slots || node->Is("Gather")) continue;
    std::vector<size_t> inputs = {slots->weight};
    if (slots->bias) inputs.push_back(*slots->bias);
    for (size_t i : inputs) {
      const std::string name = node->input(i);
      const Tensor* value = graph->FindInitializer(name);
      if (!value || value->dtype() != DType::kFloat || graph->IsInput(name)) continue;
      (*values)[name] = *value;
      graph::ValueInfo info{.name = name, .dtype = DType::kFloat};
      info.shape.emplace();
      for (int64_t dim : value->shape()) info.shape->push_back({.value = dim});
      names.push_back(name);
      graph->RemoveInitializer(name);
      graph->inputs.push_back(std::move(info));
    }
  }
  return names;
}

// Appends the mean square of (output 0 - target); the name of the loss.
std::string AddLoss(graph::Model* model) {
  graph::Graph& graph = *model->graph;
  const std::string y = graph.outputs[0].name;
  graph.inputs.push_back({.name = "bench_target", .dtype = DType::kFloat});
  graph.AddNode({.op_type = "Sub", .inputs = {y, "bench_target"}, .outputs = {"bench_error"}});
  graph.AddNode(
      {.op_type = "Mul", .inputs = {"bench_error", "bench_error"}, .outputs = {"bench_square"}});
  graph::Node mean{.op_type = "ReduceMean", .inputs = {"bench_square"}, .outputs = {"bench_loss"}};
  mean.SetAttribute("keepdims", int64_t{0});
  graph.AddNode(std::move(mean));
  return "bench_loss";
}

void PrintProfile(const std::vector<engine::StepTime>& steps) {
  std::map<std::string, std::pair<double, int>> by_ops;
  double all = 0;
  for (const engine::StepTime& step : steps) {
    auto& [seconds, count] = by_ops[StrCat(step.ops, step.fast ? "" : " (plain)")];
    seconds += step.seconds;
    ++count;
    all += step.seconds;
  }
  std::vector<std::pair<double, std::string>> sorted;
  for (const auto& [ops, time] : by_ops)
    sorted.emplace_back(time.first, StrCat(ops, " x", time.second));
  std::sort(sorted.rbegin(), sorted.rend());
  for (const auto& [seconds, ops] : sorted)
    if (seconds > 0.005 * all) std::printf("  %5.1f %%  %s\n", 100 * seconds / all, ops.c_str());
}

Status MeasureModel(const std::string& file, const Settings& settings) {
  ASSIGN_OR_RETURN(graph::Model model, io::ReadOnnx(file));
  RETURN_IF_ERROR(engine::MakeNormalForm(&model).status());
  graph::Graph& graph = *model.graph;
  std::map<std::string, Tensor> values;
  for (const graph::ValueInfo& input : graph.inputs) {
    Shape shape;
    for (const graph::Dim& dim : *input.shape) shape.push_back(dim.value.value_or(settings.length));
    shape[0] = settings.batch;
    values[input.name] = input.dtype == DType::kInt64 ? Tokens(shape) : RandomTensor(shape, 1);
  }
  ASSIGN_OR_RETURN(Runner constant, MakeRunner(model, values, {graph.outputs[0].name}));
  ASSIGN_OR_RETURN(const std::vector<Tensor> y, constant.executor->Run(constant.inputs));
  values["bench_target"] = RandomTensor(y[0].shape(), 1);
  const std::vector<std::string> wrt = FreeParameters(&graph, &values);
  const std::string loss = AddLoss(&model);
  ASSIGN_OR_RETURN(Runner forward, MakeRunner(model, values, {loss}));
  ASSIGN_OR_RETURN(std::vector<std::string> gradients, grad::Backward(&model, loss, wrt));
  gradients.push_back(loss);
  ASSIGN_OR_RETURN(Runner step, MakeRunner(model, values, gradients));
  RETURN_IF_ERROR(Measure(settings.rounds, {&constant, &forward, &step}));
  std::printf("| %s | %.1f | %.1f | %.1f | %.2f | %.2f |\n",
              file.substr(file.rfind('/') + 1).c_str(), constant.best * 1e3, forward.best * 1e3,
              step.best * 1e3, step.best / constant.best, step.best / forward.best);
  if (!settings.profile) return OkStatus();
  ASSIGN_OR_RETURN(Runner profiled, MakeRunner(model, values, gradients, true));
  RETURN_IF_ERROR(Measure(3 * settings.rounds, {&profiled}));
  PrintProfile(profiled.executor->profile());
  return OkStatus();
}

Status Main(const std::vector<std::string>& arguments) {
  Settings settings;
  std::vector<std::string> models;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& a = arguments[i];
    if (a == "--profile")
      settings.profile = true;
    else if (a == "--batch" && i + 1 < arguments.size())
      settings.batch = std::stoll(arguments[++i]);
    else if (a == "--length" && i + 1 < arguments.size())
      settings.length = std::stoll(arguments[++i]);
    else if (a == "--rounds" && i + 1 < arguments.size())
      settings.rounds = std::stoi(arguments[++i]);
    else
      models.push_back(a);
  }
  SetThreads(1);
  if (models.empty()) {
    std::printf("| convolution, batch as given | forward | dX | dW |\n|---|---|---|---|\n");
    for (const Case& c : kCases) RETURN_IF_ERROR(MeasureCase(c, settings));
    return OkStatus();
  }
  std::printf(
      "| model, batch %d | forward ms | forward, free weights | step | step / forward | / free |\n"
      "|---|---|---|---|---|---|\n",
      static_cast<int>(settings.batch));
  for (const std::string& model : models) RETURN_IF_ERROR(MeasureModel(model, settings));
  return OkStatus();
}

}  // namespace
}  // namespace roundel

int main(int argc, char** argv) {
  const roundel::Status status = roundel::Main({argv + 1, argv + argc});
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
