// Measures the engine's speed on a model with random inputs: median and best time of a run, and
// peak memory. Runs alternate with those of the other ways to run the model, so that other load on
// the machine affects all of them equally.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <memory>

#include "cmd/command.h"
#include "cmd/feeds.h"
#include "cmd/loading.h"
#include "lib/base/interrupt.h"
#include "lib/base/progress.h"
#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/io/npy.h"
#include "lib/quant/statistics.h"
#include "lib/report/report.h"
#include "lib/targets/profile.h"

namespace roundel::cmd {
namespace {

struct Options {
  std::string model;
  int64_t batch = 1;
  int runs = 20, warm_up = 3;
  bool by_op = false, observe = false;
  std::string beside;
  std::vector<std::string> shapes, inputs;  // NAME=1,3,224,224 and NAME=FILE.npy
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// One way to run the model: the plain run comes first.
struct Runner {
  std::string label;
  std::unique_ptr<engine::Executor> executor;
  std::vector<engine::Tap> taps = {};
  std::vector<double> milliseconds = {};  // of each run, in order

  double median() const { return Median(milliseconds); }
  double best() const { return *std::min_element(milliseconds.begin(), milliseconds.end()); }
  // Median of the ratios of consecutive runs.
  double RatioTo(const Runner& first) const {
    std::vector<double> ratios;
    for (size_t i = 0; i < milliseconds.size(); ++i)
      ratios.push_back(milliseconds[i] / first.milliseconds[i]);
    return Median(std::move(ratios));
  }
};

Result<Shape> ParseShape(const std::string& text) {
  Shape shape;
  for (const std::string& part : Split(text, ',')) {
    int64_t dim = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), dim);
    if (error != std::errc() || end != part.data() + part.size() || dim < 0)
      return UsageError(StrCat("--shape: '", text, "' is not a list of sizes"));
    shape.push_back(dim);
  }
  return shape;
}

Result<Shape> ShapeOf(const graph::ValueInfo& input, int64_t batch) {
  if (!input.shape)
    return UsageError(
        StrCat("input '", input.name, "' declares no shape: give --shape ", input.name, "=..."));
  Shape shape;
  for (const graph::Dim& dim : *input.shape) {
    if (!dim.value && !shape.empty())
      return UsageError(StrCat("input '", input.name, "' leaves axis ", shape.size(),
                               " open: give --shape ", input.name, "=..."));
    shape.push_back(dim.value ? *dim.value : batch);
  }
  return shape;
}

constexpr int64_t kMaxInputBytes = int64_t{1} << 33;

// Normal values for floats; small numbers, which suit indices, for integers.
Result<Tensor> RandomInput(DType type, const Shape& shape, Random& random) {
  ASSIGN_OR_RETURN(const int64_t count, CheckedNumElements(shape, type));
  if (ByteSize(type, count) > kMaxInputBytes)
    return UsageError(
        StrCat("an input of shape ", ShapeString(shape), " is too large to generate"));
  if (type == DType::kInt64) {
    Tensor tensor = Tensor::Empty(type, shape);
    for (int64_t i = 0; i < count; ++i)
      tensor.mutable_data<int64_t>()[i] = static_cast<int64_t>(random.Below(10));
    return tensor;
  }
  if (!IsFloating(type)) return Tensor::Zeros(type, shape);
  Tensor tensor = Tensor::Empty(DType::kFloat, shape);
  for (int64_t i = 0; i < count; ++i)
    tensor.mutable_data<float>()[i] = static_cast<float>(random.Normal());
  return type == DType::kFloat ? tensor : tensor.FromFloatTo(type);
}

Result<std::vector<Tensor>> MakeInputs(const graph::Graph& graph, const Options& options) {
  ASSIGN_OR_RETURN(const auto shapes, ByName(options.shapes, "--shape"));
  ASSIGN_OR_RETURN(const auto files, ByName(options.inputs, "--input"));
  RETURN_IF_ERROR(CheckInputNames(graph, shapes, "--shape"));
  RETURN_IF_ERROR(CheckInputNames(graph, files, "--input"));
  Random random(1);
  std::vector<Tensor> inputs;
  for (const graph::ValueInfo& input : graph.inputs) {
    if (graph.FindInitializer(input.name)) continue;
    if (const auto file = files.find(input.name); file != files.end()) {
      ASSIGN_OR_RETURN(Tensor tensor, io::ReadNpy(file->second));
      inputs.push_back(std::move(tensor));
      continue;
    }
    const auto given = shapes.find(input.name);
    ASSIGN_OR_RETURN(const Shape shape, given != shapes.end() ? ParseShape(given->second)
                                                              : ShapeOf(input, options.batch));
    ASSIGN_OR_RETURN(Tensor tensor, RandomInput(input.dtype, shape, random));
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

// Runs the model and takes minimum and maximum of every activation that gets a quantizer for
// ort-cpu.
Result<Runner> ObservingRunner(const graph::Model& model,
                               std::map<std::string, quant::ValueStatistics>* seen) {
  ASSIGN_OR_RETURN(const target::Profile profile, target::LoadProfile("ort-cpu"));
  ASSIGN_OR_RETURN(const target::Placement placement,
                   target::Place(model, profile, target::DefaultChoice(profile)));
  engine::ExecutorOptions options;
  Runner runner{"observed", nullptr};
  for (const target::QuantPoint& point : placement.points) {
    if (point.role != quant::Role::kActivation || point.derived || point.fixed_range) continue;
    options.tapped_values.push_back(point.value);
    runner.taps.push_back({point.value, true, [seen](const engine::TapView& view) {
                             return (*seen)[view.name].Observe(view.data);
                           }});
  }
  ASSIGN_OR_RETURN(runner.executor, engine::Executor::Create(model, options));
  return runner;
}

Result<Runner> OtherRunner(const std::string& path, const engine::Executor& first) {
  ASSIGN_OR_RETURN(const LoadedModel loaded, LoadModel(path));
  RETURN_IF_ERROR(CheckRunnable(loaded.model, path));
  Runner runner{path, nullptr};
  ASSIGN_OR_RETURN(runner.executor, engine::Executor::Create(loaded.model));
  if (runner.executor->input_names() != first.input_names())
    return UsageError(StrCat("--beside: '", path, "' has the inputs [",
                             Join(runner.executor->input_names()), "], the model has [",
                             Join(first.input_names()), "]"));
  return runner;
}

Status Measure(const std::vector<Tensor>& inputs, const Options& options,
               std::vector<Runner>* runners) {
  Progress progress("bench", options.runs);
  for (int i = -options.warm_up; i < options.runs; ++i) {
    for (Runner& runner : *runners) {
      if (Interrupted()) return InterruptedError();
      const auto start = std::chrono::steady_clock::now();
      RETURN_IF_ERROR(runner.executor->Run(inputs, runner.taps).status());
      const std::chrono::duration<double, std::milli> time =
          std::chrono::steady_clock::now() - start;
      if (i >= 0) runner.milliseconds.push_back(time.count());
    }
    if (i >= 0) progress.Advance(1);
  }
  return OkStatus();
}

// The total time of steps with equal operators, in descending order.
struct OpTime {
  std::string ops;
  int64_t steps = 0;
  double milliseconds = 0;  // per run
};
std::vector<OpTime> ByOp(const engine::Executor& executor, int runs) {
  std::map<std::string, OpTime> by_name;
  for (const engine::StepTime& step : executor.profile()) {
    const std::string name = step.ops + (step.fast ? "" : " (plain)");
    OpTime& entry = by_name[name];
    entry.ops = name;
    ++entry.steps;
    entry.milliseconds += 1e3 * step.seconds / runs;
  }
  std::vector<OpTime> times;
  for (auto& [name, entry] : by_name) times.push_back(std::move(entry));
  std::sort(times.begin(), times.end(),
            [](const OpTime& a, const OpTime& b) { return a.milliseconds > b.milliseconds; });
  return times;
}

void PrintByOp(const std::vector<OpTime>& times, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {{"steps", "ms a run", "ops"}};
  for (const OpTime& time : times)
    rows.push_back({StrCat(time.steps), StrCat(time.milliseconds), time.ops});
  out << "\n" << report::TextTable(rows);
}

void PrintJson(const std::vector<Runner>& runners, int64_t items, const std::vector<OpTime>& by_op,
               const Options& options, std::ostream& out) {
  const Runner& first = runners[0];
  nlohmann::ordered_json json = {{"median_ms", first.median()},
                                 {"min_ms", first.best()},
                                 {"runs", options.runs},
                                 {"items_per_run", items},
                                 {"peak_rss_bytes", report::PeakRssBytes()}};
  for (const OpTime& time : by_op)
    json["by_op"].push_back(
        {{"ops", time.ops}, {"steps", time.steps}, {"ms_per_run", time.milliseconds}});
  for (size_t i = 1; i < runners.size(); ++i)
    json["beside"].push_back({{"what", runners[i].label},
                              {"median_ms", runners[i].median()},
                              {"min_ms", runners[i].best()},
                              {"ratio", runners[i].RatioTo(first)}});
  out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

void PrintText(const std::vector<Runner>& runners, int64_t items, const std::vector<OpTime>& by_op,
               const Options& options, std::ostream& out) {
  const Runner& first = runners[0];
  out << "time    " << first.median() << " ms a run (median of " << options.runs << "; best "
      << first.best() << " ms)\nspeed   " << 1000.0 * static_cast<double>(items) / first.median()
      << " items/s, " << items << " a run\nmemory  " << HumanBytes(report::PeakRssBytes())
      << " at most\n";
  for (size_t i = 1; i < runners.size(); ++i)
    out << "beside  " << runners[i].median() << " ms a run, " << runners[i].RatioTo(first)
        << " of the time: " << runners[i].label << "\n";
  if (options.by_op) PrintByOp(by_op, out);
}

Status RunBench(const Options& options, Console& console) {
  ASSIGN_OR_RETURN(const LoadedModel loaded, LoadModel(options.model));
  RETURN_IF_ERROR(CheckRunnable(loaded.model, options.model));
  ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, MakeInputs(*loaded.model.graph, options));
  std::vector<Runner> runners;
  ASSIGN_OR_RETURN(auto executor,
                   engine::Executor::Create(loaded.model, {.profile = options.by_op}));
  runners.push_back({options.model, std::move(executor)});
  std::map<std::string, quant::ValueStatistics> seen;
  if (options.observe) {
    ASSIGN_OR_RETURN(runners.emplace_back(), ObservingRunner(loaded.model, &seen));
  }
  if (!options.beside.empty()) {
    ASSIGN_OR_RETURN(runners.emplace_back(), OtherRunner(options.beside, *runners[0].executor));
  }
  RETURN_IF_ERROR(Measure(inputs, options, &runners));
  const int64_t items =
      inputs.empty() || inputs[0].rank() == 0 ? 1 : std::max<int64_t>(1, inputs[0].dim(0));
  const std::vector<OpTime> by_op = ByOp(*runners[0].executor, options.runs + options.warm_up);
  (console.json ? PrintJson : PrintText)(runners, items, by_op, options, console.out);
  return OkStatus();
}

}  // namespace

CommandRun SetupBench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "ONNX model, float or quantized")->required();
  app.add_option("--batch", options->batch, "Size to use for a first axis without fixed size [1]")
      ->option_text("N")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--runs", options->runs, "Number of timed runs [20]")
      ->option_text("N")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--warm-up", options->warm_up, "Number of untimed runs before the timed ones [3]")
      ->option_text("N")
      ->check(CLI::Range(0, 1 << 20));
  app.add_flag("--by-op", options->by_op,
               "Print the time spent in each operator type (slows the runs a little)");
  app.add_flag(
      "--observe", options->observe,
      "Also time runs that take the minimum and maximum of every activation, as calibration does");
  app.add_option("--beside", options->beside,
                 "Also time this model, in turns with MODEL; it must have the same inputs")
      ->option_text("MODEL");
  app.add_option("--shape", options->shapes, "Shape of the input NAME (repeatable)")
      ->option_text("NAME=1,3,224,224");
  app.add_option("--input", options->inputs,
                 "Values of the input NAME, instead of random ones (repeatable)")
      ->option_text("NAME=FILE.npy");
  app.footer("Example: roundel bench model.onnx --batch 16 --threads 2");
  return [options](Console& console) { return RunBench(*options, console); };
}

}  // namespace roundel::cmd
