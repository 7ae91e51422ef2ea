#include "cmd/tensor_errors.h"

#include <algorithm>
#include <utility>

#include "lib/base/interrupt.h"
#include "lib/base/progress.h"
#include "lib/eval/evaluation.h"
#include "lib/graph/value_types.h"

namespace roundel::cmd {
namespace {

std::vector<ValuePair> FloatValues(const graph::Model& model, bool inputs) {
  const auto types = graph::InferValueTypes(model);
  std::vector<ValuePair> values;
  for (const graph::ValueInfo& input : model.graph->inputs)
    if (inputs && input.dtype == DType::kFloat)
      values.push_back({.value = input.name, .op_type = "input"});
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

Result<std::unique_ptr<engine::Executor>> Tapped(const graph::Model& model,
                                                 const std::vector<ValuePair>& pairs,
                                                 std::string ValuePair::*name,
                                                 const quant::EncodingTable* simulate) {
  engine::ExecutorOptions options;
  for (const ValuePair& pair : pairs) options.tapped_values.push_back(pair.*name);
  options.simulate = simulate;
  return engine::Executor::Create(model, options);
}

// Runs one batch through both models; the float side's values are kept until the other side has
// them.
Status CompareBatch(const Batch& batch, const std::vector<size_t>& input_order,
                    ComparedModels* models) {
  std::vector<Tensor> kept(models->pairs.size());
  std::vector<engine::Tap> keep, compare;
  for (size_t i = 0; i < models->pairs.size(); ++i) {
    ValuePair& pair = models->pairs[i];
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
           kept[i] = Tensor();  // frees the memory early
           return OkStatus();
         }});
  }
  RETURN_IF_ERROR(models->first->Run(batch.inputs, keep).status());
  std::vector<Tensor> inputs;
  for (size_t i : input_order) inputs.push_back(batch.inputs[i]);
  return models->second->Run(inputs, compare).status();
}

}  // namespace

std::vector<ValuePair> MatchValues(const graph::Model& model, const graph::Model& other,
                                   bool inputs) {
  const auto types = graph::InferValueTypes(other);
  std::vector<ValuePair> pairs;
  for (ValuePair& pair : FloatValues(model, inputs)) {
    for (const std::string& name : {pair.value + "_DequantizeLinear_Output", pair.value}) {
      const auto type = types.find(name);
      if (type == types.end() || type->second != DType::kFloat ||
          (other.graph->Producer(name) == nullptr && !other.graph->IsInput(name)))
        continue;
      pair.quantized = name;
      pairs.push_back(std::move(pair));
      break;
    }
  }
  return pairs;
}

Result<ComparedModels> OpenCompared(const graph::Model& model, const graph::Model& other,
                                    const quant::EncodingTable* simulate) {
  ComparedModels models;
  models.pairs = MatchValues(model, other);
  ASSIGN_OR_RETURN(models.first, Tapped(model, models.pairs, &ValuePair::value, nullptr));
  ASSIGN_OR_RETURN(models.second, Tapped(other, models.pairs, &ValuePair::quantized, simulate));
  return models;
}

Result<int64_t> AddTensorErrors(DataSource& data, ComparedModels* models) {
  ASSIGN_OR_RETURN(
      const std::vector<size_t> input_order,
      eval::MatchNames(models->second->input_names(), models->first->input_names(), "input"));
  RETURN_IF_ERROR(data.Rewind());
  Progress progress("compare", data.size());
  int64_t samples = 0;
  while (true) {
    if (Interrupted()) return InterruptedError();
    ASSIGN_OR_RETURN(const std::optional<Batch> batch, data.Next());
    if (!batch) break;
    RETURN_IF_ERROR(CompareBatch(*batch, input_order, models));
    samples += batch->size;
    progress.Advance(batch->size);
  }
  if (samples == 0) return DataError("the data has no readable sample");
  return samples;
}

}  // namespace roundel::cmd
