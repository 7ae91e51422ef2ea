#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <memory>

#include "cmd/command.h"
#include "cmd/evaluation.h"
#include "cmd/loading.h"
#include "cmd/options.h"
#include "lib/base/file.h"
#include "lib/base/interrupt.h"
#include "lib/base/progress.h"
#include "lib/base/text.h"
#include "lib/graph/value_types.h"
#include "lib/io/encodings_json.h"
#include "lib/report/report.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model, second, encodings;
  DataFlags data;
  int64_t limit = 20;
};

// A float value and the name under which the quantized model has it.
struct Pair {
  std::string value, quantized;
  std::string op_type;   // of the float node that makes it
  int64_t position = 0;  // of that node in execution order, from 1; 0 = graph input
  quant::ErrorSums error;
  int64_t differing_shapes = 0;
};

// Float values of the main graph in execution order, without graph inputs.
std::vector<Pair> FloatValues(const graph::Model& model) {
  const auto types = graph::InferValueTypes(model);
  std::vector<Pair> values;
  int64_t position = 0;
  for (const graph::NodePtr& node : model.graph->nodes()) {
    ++position;
    if (node->Is("Constant")) continue;
    for (const std::string& output : node->outputs) {
      const auto type = types.find(output);
      if (!output.empty() && type != types.end() && type->second == DType::kFloat)
        values.push_back({.value = output, .op_type = node->op_type, .position = position});
    }
  }
  return values;
}

// Names follow ONNX Runtime's quantizer: after quantization, the consumers of X read
// X_DequantizeLinear_Output; a graph output keeps its name.
std::vector<Pair> MatchValues(const graph::Model& model, const graph::Model& quantized) {
  const auto types = graph::InferValueTypes(quantized);
  std::vector<Pair> pairs;
  for (Pair& pair : FloatValues(model)) {
    for (const std::string& name : {pair.value + "_DequantizeLinear_Output", pair.value}) {
      const auto type = types.find(name);
      if (type == types.end() || type->second != DType::kFloat ||
          quantized.graph->Producer(name) == nullptr)
        continue;
      pair.quantized = name;
      pairs.push_back(std::move(pair));
      break;
    }
  }
  return pairs;
}

struct Sides {
  std::vector<Pair> pairs;
  std::unique_ptr<engine::Executor> first, second;
};

Result<std::unique_ptr<engine::Executor>> Tapped(const graph::Model& model,
                                                 const std::vector<Pair>& pairs,
                                                 std::string Pair::*name,
                                                 const quant::EncodingTable* table) {
  engine::ExecutorOptions options;
  for (const Pair& pair : pairs) options.tapped_values.push_back(pair.*name);
  options.simulate = table;
  return engine::Executor::Create(model, options);
}

Result<Sides> SidesOf(const Options& options, const graph::Model& model, const graph::Model& other,
                      const quant::EncodingTable* table) {
  Sides sides;
  sides.pairs = MatchValues(model, other);
  if (sides.pairs.empty())
    return ModelError(StrCat("'", options.second, "' has no value with a name of '", options.model,
                             "': was it made from this model?"));
  ASSIGN_OR_RETURN(sides.first, Tapped(model, sides.pairs, &Pair::value, nullptr));
  ASSIGN_OR_RETURN(sides.second, Tapped(other, sides.pairs, &Pair::quantized, table));
  return sides;
}

Result<Sides> OpenSides(const Options& options, const graph::Model& model) {
  if (options.second.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadTextFile(options.encodings));
    ASSIGN_OR_RETURN(const quant::EncodingTable table,
                     io::ParseEncodingsJson(text, options.encodings, *model.graph));
    return SidesOf(options, model, model, &table);
  }
  ASSIGN_OR_RETURN(const LoadedModel second, LoadModel(options.second));
  RETURN_IF_ERROR(CheckRunnable(second.model, options.second));
  return SidesOf(options, model, second.model, nullptr);
}

// One batch through both models; the float side's values are kept until the other side has them.
Status CompareBatch(const engine::Batch& batch, const std::vector<size_t>& input_order,
                    Sides* sides) {
  std::vector<Tensor> kept(sides->pairs.size());
  std::vector<engine::Tap> keep, compare;
  for (size_t i = 0; i < sides->pairs.size(); ++i) {
    Pair& pair = sides->pairs[i];
    keep.push_back({.value = pair.value, .callback = [&kept, i](const engine::TapView& view) {
                      kept[i] = Tensor::Empty(DType::kFloat, view.shape);
                      std::copy(view.data.begin(), view.data.end(), kept[i].mutable_data<float>());
                      return OkStatus();
                    }});
    compare.push_back(
        {.value = pair.quantized, .callback = [&kept, &pair, i](const engine::TapView& view) {
           if (!kept[i].defined() || kept[i].shape() != view.shape) {
             ++pair.differing_shapes;
             return OkStatus();
           }
           pair.error.Add(kept[i].span<float>(), view.data);
           kept[i] = Tensor();  // values that come early free their memory early
           return OkStatus();
         }});
  }
  RETURN_IF_ERROR(sides->first->Run(batch.inputs, keep).status());
  std::vector<Tensor> inputs;
  for (size_t i : input_order) inputs.push_back(batch.inputs[i]);
  return sides->second->Run(inputs, compare).status();
}

Result<int64_t> CompareAll(engine::DataSource& data, Sides* sides) {
  ASSIGN_OR_RETURN(const std::vector<size_t> input_order,
                   MatchNames(sides->second->input_names(), sides->first->input_names(), "input"));
  RETURN_IF_ERROR(data.Rewind());
  Progress progress("compare", data.size());
  int64_t samples = 0;
  while (true) {
    if (Interrupted()) return InterruptedError();
    ASSIGN_OR_RETURN(const std::optional<engine::Batch> batch, data.Next());
    if (!batch) break;
    RETURN_IF_ERROR(CompareBatch(*batch, input_order, sides));
    samples += batch->size;
    progress.Advance(batch->size);
  }
  if (samples == 0) return DataError("the data has no readable sample");
  // Worst first; NaN (nothing compared) last; equal ones in execution order.
  std::stable_sort(sides->pairs.begin(), sides->pairs.end(), [](const Pair& a, const Pair& b) {
    const double x = a.error.Sqnr(), y = b.error.Sqnr();
    return std::isnan(y) ? !std::isnan(x) : x < y;
  });
  return samples;
}

Json ToJson(const Options& options, const Sides& sides, int64_t samples) {
  Json json = {{"model", options.model},
               {"quantized", options.second.empty() ? options.encodings : options.second},
               {"samples", samples},
               {"tensors", Json::array()}};
  for (const Pair& pair : sides.pairs)
    json["tensors"].push_back({{"name", pair.value},
                               {"quantized_name", pair.quantized},
                               {"position", pair.position},
                               {"op_type", pair.op_type},
                               {"sqnr_db", pair.error.Sqnr()},
                               {"cosine", pair.error.Cosine()},
                               {"max_error", pair.error.MaxError()},
                               {"not_finite", pair.error.not_finite()},
                               {"differing_shapes", pair.differing_shapes}});
  return json;
}

void Print(const Options& options, const Sides& sides, int64_t samples, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {
      {"SQNR dB", "cosine", "max error", "position", "op", "tensor"}};
  const size_t shown = options.limit == 0
                           ? sides.pairs.size()
                           : std::min(sides.pairs.size(), static_cast<size_t>(options.limit));
  for (size_t i = 0; i < shown; ++i) {
    const Pair& pair = sides.pairs[i];
    rows.push_back({StrFormat("%.2f", pair.error.Sqnr()), StrFormat("%.6f", pair.error.Cosine()),
                    StrCat(pair.error.MaxError()), StrCat(pair.position), pair.op_type,
                    Printable(pair.value)});
  }
  out << report::TextTable(rows) << "\n";
  out << shown << " of " << sides.pairs.size() << " tensors, worst first; " << samples
      << " samples\n";
}

Status RunCompare(const Options& options, Console& console) {
  if (options.second.empty() && options.encodings.empty())
    return UsageError("nothing to compare with: give QUANTIZED or --encodings");
  ASSIGN_OR_RETURN(const LoadedModel loaded, LoadModel(options.model));
  RETURN_IF_ERROR(CheckRunnable(loaded.model, options.model));
  ASSIGN_OR_RETURN(Sides sides, OpenSides(options, loaded.model));
  recipe::Params params(data::DataSpecs());
  RETURN_IF_ERROR(options.data.Apply(&params));
  data::DatasetFacts facts;
  ASSIGN_OR_RETURN(const auto data, OpenData(params, loaded.model, "--data PATH", &facts));
  ASSIGN_OR_RETURN(const int64_t samples, CompareAll(*data, &sides));
  if (console.json)
    console.out
        << ToJson(options, sides, samples).dump(2, ' ', false, Json::error_handler_t::replace)
        << "\n";
  else
    Print(options, sides, samples, console.out);
  return OkStatus();
}

}  // namespace

CommandRun SetupCompare(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("FLOAT", options->model, "Float ONNX model")->required();
  CLI::Option* second = app.add_option("QUANTIZED", options->second, "QDQ model made from FLOAT");
  app.add_option("--encodings", options->encodings,
                 "Compare with the simulation of FLOAT with this encodings file")
      ->excludes(second)
      ->option_text("FILE");
  app.add_option("--limit", options->limit, "Tensors to print; 0 = all [20]")
      ->check(CLI::Range(int64_t{0}, int64_t{1000000}))
      ->option_text("N");
  options->data.AddTo(app, "--data");
  app.footer(
      "Example: roundel compare model.onnx model_int8.onnx --data images/ --preset imagenet \\\n"
      "             --count 16");
  return [options](Console& console) { return RunCompare(*options, console); };
}

}  // namespace roundel::cmd
