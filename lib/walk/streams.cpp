#include "lib/walk/streams.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "lib/base/interrupt.h"
#include "lib/base/parallel.h"
#include "lib/base/text.h"

namespace roundel::walk {

Streams::Streams(const graph::Model& model, const graph::Model* reference,
                 const quant::EncodingTable& encodings, int64_t memory_bytes,
                 const std::string& spill_folder)
    : model_(model),
      float_model_(reference),
      original_(reference ? graph::Model() : graph::Clone(model)),
      encodings_(encodings),
      store_(memory_bytes, spill_folder),
      lanes_(Threads()) {}

Status Streams::ReadData(DataSource& data, int64_t samples,
                         const std::function<bool(const std::string&)>& wanted) {
  RETURN_IF_ERROR(data.Rewind());
  views_ = data.views();
  std::vector<std::string> names;
  for (const graph::ValueInfo& input : model_.graph->inputs)
    if (!model_.graph->FindInitializer(input.name)) names.push_back(input.name);
  const auto complete = [&] {
    return samples > 0 && originals_ >= samples && std::ssize(batch_sizes_) % views_ == 0;
  };
  while (!complete()) {
    if (Interrupted()) return InterruptedError();
    ASSIGN_OR_RETURN(std::optional<Batch> batch, data.Next());
    if (!batch) break;
    INVARIANT(batch->inputs.size() == names.size(), "data for every input");
    for (size_t i = 0; i < names.size(); ++i)
      if (wanted(names[i])) RETURN_IF_ERROR(AddInput(names[i], batch->inputs[i]));
    if (std::ssize(batch_sizes_) % views_ == 0) originals_ += batch->size;
    first_originals_.push_back(originals_ - batch->size);
    batch_sizes_.push_back(batch->size);
    samples_ += batch->size;
  }
  return samples_ > 0 ? OkStatus() : DataError("the calibration data has no samples");
}

Status Streams::AddInput(const std::string& name, const Tensor& value) {
  ASSIGN_OR_RETURN(StoredValuePtr stored, store_.Put(value, true));
  reference_[name].push_back(stored);
  const auto encoding = encodings_.find(name);
  if (encoding != encodings_.end() && value.dtype() == DType::kFloat) {
    ASSIGN_OR_RETURN(stored, store_.Put(quant::FakeQuantizeTensor(value, encoding->second), true));
  }
  quantized_[name].push_back(stored);
  return OkStatus();
}

// Whether the streams differ after the part: an input differs, or a value lies on a grid.
bool Streams::Differ(const Stretches::Part& part) const {
  for (const std::string& input : part.inputs)
    if (reference_.at(input)[0] != quantized_.at(input)[0]) return true;
  for (size_t position : part.nodes) {
    const graph::Node& node = *model_.graph->nodes()[position];
    for (const auto* values : {&node.inputs, &node.outputs})
      for (const std::string& value : *values)
        if (encodings_.contains(value)) return true;
  }
  return false;
}

Result<std::vector<DType>> Streams::TypesOf(const Stretches::Part& part) const {
  std::vector<DType> types;
  for (const std::string& input : part.inputs) {
    const auto it = reference_.find(input);
    if (it == reference_.end())
      return ModelError(StrCat("'", input, "' is neither computed before its reader nor an input"));
    types.push_back(it->second[0]->dtype());
  }
  return types;
}

// The nodes of another model may differ from those of `model`, which may have biases added.
graph::Model Streams::ReferencePart(const Stretches::Part& part,
                                    const std::vector<DType>& types) const {
  if (!float_model_) return PartModel(original_, part, types);
  Stretches::Part same = part;
  same.nodes = NodesBetween(*float_model_->graph, part.inputs, part.outputs);
  return PartModel(*float_model_, same, types);
}

Status Streams::Run(const Stretches::Part& part, Which which) {
  if (part.outputs.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const std::vector<DType> types, TypesOf(part));
  const bool differ = which != Which::kReference && Differ(part);
  Job job{.part = part};
  if (which != Which::kQuantized) {
    job.reference = ReferencePart(part, types);
    for (const std::string& output : part.outputs) reference_[output].resize(batch_sizes_.size());
  }
  if (differ) {
    job.quantized = PartModel(model_, part, types);
    for (const std::string& output : part.outputs) quantized_[output].resize(batch_sizes_.size());
  }
  RETURN_IF_ERROR(RunAll(job));
  if (which != Which::kReference && !differ)
    for (const std::string& output : part.outputs) quantized_[output] = reference_.at(output);
  return OkStatus();
}

Status Streams::RunAll(const Job& job) {
  job.reference.graph->BuildIndex();
  job.quantized.graph->BuildIndex();
  if (job.reference.graph->nodes().empty() && job.quantized.graph->nodes().empty())
    return OkStatus();
  std::atomic<size_t> next = 0;
  std::vector<Status> errors(batch_sizes_.size());
  const auto work = [&](int) {
    Runners runners;
    while (true) {
      const size_t i = next++;
      if (i >= batch_sizes_.size()) return;
      errors[i] = RunBatch(job, i, &runners);
      if (!errors[i].ok()) next = batch_sizes_.size();
    }
  };
  lanes_.Run(static_cast<int>(std::min<int64_t>(lanes_.count(), std::ssize(batch_sizes_))), work);
  for (Status& error : errors)
    if (!error.ok()) return std::move(error);
  return OkStatus();
}

Status Streams::RunBatch(const Job& job, size_t batch, Runners* runners) {
  if (Interrupted()) return InterruptedError();
  engine::ExecutorOptions options{.outputs = job.part.outputs};
  if (!job.reference.graph->nodes().empty()) {
    if (!runners->reference) {
      ASSIGN_OR_RETURN(runners->reference, engine::Executor::Create(job.reference, options));
    }
    RETURN_IF_ERROR(RunStream(job.part, *runners->reference, batch, &reference_));
  }
  if (job.quantized.graph->nodes().empty()) return OkStatus();
  if (!runners->quantized) {
    options.simulate = &encodings_;
    ASSIGN_OR_RETURN(runners->quantized, engine::Executor::Create(job.quantized, options));
  }
  return RunStream(job.part, *runners->quantized, batch, &quantized_);
}

Status Streams::RunStream(const Stretches::Part& part, engine::Executor& executor, size_t batch,
                          Stream* stream) {
  std::vector<Tensor> inputs;
  for (const std::string& input : part.inputs) {
    ASSIGN_OR_RETURN(Tensor value, stream->at(input)[batch]->Load());
    inputs.push_back(std::move(value));
  }
  ASSIGN_OR_RETURN(const std::vector<Tensor> outputs, executor.Run(inputs));
  for (size_t i = 0; i < outputs.size(); ++i) {
    ASSIGN_OR_RETURN(stream->at(part.outputs[i])[batch], store_.Put(outputs[i], true));
  }
  return OkStatus();
}

void Streams::Keep(const std::function<bool(const std::string&)>& keep) {
  for (Stream* stream : {&reference_, &quantized_})
    std::erase_if(*stream, [&](const auto& entry) { return !keep(entry.first); });
}

}  // namespace roundel::walk
