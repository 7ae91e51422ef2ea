#include "lib/walk/layer_walk.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "lib/base/interrupt.h"
#include "lib/base/lanes.h"
#include "lib/base/parallel.h"
#include "lib/base/progress.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/walk/stretch.h"
#include "lib/walk/value_store.h"

namespace roundel::walk {
namespace {

// Values of one stream by name, and of each by batch.
using Stream = std::map<std::string, std::vector<StoredValuePtr>>;

// What one lane needs to run a stretch: an executor for each stream, or one if the streams are
// equal.
struct Runners {
  std::unique_ptr<engine::Executor> reference, quantized;
};

class Walker {
 public:
  Walker(const graph::Model& model, const quant::EncodingTable& encodings,
         const std::vector<const graph::Node*>& layers, DataSource& data,
         const WalkOptions& options)
      : model_(model),
        reference_model_(graph::Clone(model)),
        encodings_(encodings),
        layers_(layers),
        data_(data),
        options_(options),
        positions_(Positions(model, layers)),
        stretches_(*model.graph, positions_),
        store_(options.memory_bytes, options.spill_folder),
        lanes_(Threads()) {}

  Status Run(const VisitLayer& visit) {
    const std::vector<bool>& wanted = options_.wanted;
    size_t run = layers_.size();  // layers up to the last one that needs inputs
    while (run > 0 && !wanted.empty() && !wanted[run - 1]) --run;
    if (run > 0) RETURN_IF_ERROR(ReadData());
    Progress progress(options_.label, std::ssize(layers_), "layers");
    size_t at = 0;
    for (size_t i = 0; i < layers_.size(); ++i) {
      std::optional<Inputs> inputs;
      if (i < run) {
        // Every layer is a stop even if it is not visited: stored values are rounded, and a resumed
        // run must see the same ones.
        RETURN_IF_ERROR(Advance(at, positions_[i]));
        at = positions_[i];
        if (wanted.empty() || wanted[i])
          inputs.emplace(*this, DataInput(*model_.graph, *layers_[i]));
      }
      ASSIGN_OR_RETURN(const std::string said, visit(i, inputs ? &*inputs : nullptr));
      progress.Advance(1, said);
      if (i < run) DropUnread(at);
    }
    return OkStatus();
  }

 private:
  class Inputs : public LayerInputs {
   public:
    Inputs(const Walker& walker, const std::string& value)
        : walker_(walker),
          reference_(walker.reference_.at(value)),
          quantized_(walker.quantized_.at(value)) {
      int64_t first = 0;
      for (const int64_t size : walker.batch_sizes_) {
        first_samples_.push_back(first);
        first += size;
      }
    }
    int64_t samples() const override { return walker_.samples_; }
    int64_t batches() const override { return std::ssize(reference_); }
    Result<LayerBatch> Load(int64_t index) const override {
      if (Interrupted()) return InterruptedError();
      const auto i = static_cast<size_t>(index);
      LayerBatch batch{.first_sample = first_samples_[i], .samples = walker_.batch_sizes_[i]};
      ASSIGN_OR_RETURN(batch.reference, reference_[i]->Load());
      batch.quantized = batch.reference;
      if (quantized_[i] != reference_[i]) {
        ASSIGN_OR_RETURN(batch.quantized, quantized_[i]->Load());
      }
      return batch;
    }

   private:
    const Walker& walker_;
    const std::vector<StoredValuePtr>&reference_, &quantized_;
    std::vector<int64_t> first_samples_;  // by batch
  };

  static std::vector<size_t> Positions(const graph::Model& model,
                                       const std::vector<const graph::Node*>& layers) {
    std::unordered_map<const graph::Node*, size_t> position;
    const auto& nodes = model.graph->nodes();
    for (size_t i = 0; i < nodes.size(); ++i) position[nodes[i].get()] = i;
    std::vector<size_t> positions;
    for (const graph::Node* layer : layers) {
      INVARIANT(position.contains(layer), "a layer that is not in the model");
      positions.push_back(position[layer]);
      INVARIANT(positions.size() == 1 || positions.back() > positions[positions.size() - 2],
                "layers are visited in the order of the model's nodes");
    }
    return positions;
  }

  Status ReadData() {
    RETURN_IF_ERROR(data_.Rewind());
    std::vector<std::string> names;
    for (const graph::ValueInfo& input : model_.graph->inputs)
      if (!model_.graph->FindInitializer(input.name)) names.push_back(input.name);
    while (options_.samples == 0 || samples_ < options_.samples) {
      if (Interrupted()) return InterruptedError();
      ASSIGN_OR_RETURN(std::optional<Batch> batch, data_.Next());
      if (!batch) break;
      INVARIANT(batch->inputs.size() == names.size(), "data for every input");
      for (size_t i = 0; i < names.size(); ++i)
        RETURN_IF_ERROR(AddInput(names[i], batch->inputs[i]));
      batch_sizes_.push_back(batch->size);
      samples_ += batch->size;
    }
    return samples_ > 0 ? OkStatus() : DataError("the calibration data has no samples");
  }

  Status AddInput(const std::string& name, const Tensor& value) {
    if (!stretches_.ReadFrom(name, 0)) return OkStatus();
    ASSIGN_OR_RETURN(StoredValuePtr reference, store_.Put(value, true));
    reference_[name].push_back(reference);
    const auto encoding = encodings_.find(name);
    if (encoding != encodings_.end() && value.dtype() == DType::kFloat) {
      ASSIGN_OR_RETURN(reference,
                       store_.Put(quant::FakeQuantizeTensor(value, encoding->second), true));
    }
    quantized_[name].push_back(reference);
    return OkStatus();
  }

  // Whether a value of the stretch lies on a grid, so that the streams differ after it.
  bool IsQuantized(const Stretches::Part& part) const {
    for (size_t position : part.nodes) {
      const graph::Node& node = *model_.graph->nodes()[position];
      for (const auto* values : {&node.inputs, &node.outputs})
        for (const std::string& value : *values)
          if (encodings_.contains(value)) return true;
    }
    return false;
  }

  Status Advance(size_t begin, size_t end) {
    Stretches::Part part = stretches_.Between(begin, end);
    if (part.outputs.empty()) return OkStatus();
    bool parted = IsQuantized(part);
    std::vector<DType> types;
    for (const std::string& input : part.inputs) {
      const auto it = reference_.find(input);
      if (it == reference_.end())
        return ModelError(
            StrCat("'", input, "' is neither computed before its reader nor an input"));
      ASSIGN_OR_RETURN(const Tensor first, it->second[0]->Load());
      types.push_back(first.dtype());
      parted = parted || it->second[0] != quantized_.at(input)[0];
    }
    const graph::Model reference = PartModel(reference_model_, part, types);
    const graph::Model quantized = PartModel(model_, part, types);
    for (const std::string& output : part.outputs) {
      reference_[output].resize(batch_sizes_.size());
      quantized_[output].resize(batch_sizes_.size());
    }
    RETURN_IF_ERROR(RunAll(part, reference, quantized, parted));
    DropUnread(end);
    return OkStatus();
  }

  // All batches, each on one of the lanes.
  Status RunAll(const Stretches::Part& part, const graph::Model& reference,
                const graph::Model& quantized, bool parted) {
    reference.graph->BuildIndex();
    quantized.graph->BuildIndex();
    std::atomic<size_t> next = 0;
    std::vector<Status> errors(batch_sizes_.size());
    const auto work = [&](int) {
      Runners runners;
      while (true) {
        const size_t i = next++;
        if (i >= batch_sizes_.size()) return;
        errors[i] = RunBatch(part, reference, quantized, parted, i, &runners);
        if (!errors[i].ok()) next = batch_sizes_.size();
      }
    };
    const int lanes = static_cast<int>(std::min<int64_t>(lanes_.count(), std::ssize(batch_sizes_)));
    lanes_.Run(lanes, work);
    for (Status& error : errors)
      if (!error.ok()) return std::move(error);
    return OkStatus();
  }

  Status RunBatch(const Stretches::Part& part, const graph::Model& reference,
                  const graph::Model& quantized, bool parted, size_t batch, Runners* runners) {
    if (Interrupted()) return InterruptedError();
    if (!runners->reference) {
      engine::ExecutorOptions options{.outputs = part.outputs};
      ASSIGN_OR_RETURN(runners->reference, engine::Executor::Create(reference, options));
      options.simulate = &encodings_;
      if (parted) {
        ASSIGN_OR_RETURN(runners->quantized, engine::Executor::Create(quantized, options));
      }
    }
    RETURN_IF_ERROR(RunStream(part, *runners->reference, batch, &reference_));
    if (parted) return RunStream(part, *runners->quantized, batch, &quantized_);
    for (const std::string& output : part.outputs)
      quantized_.at(output)[batch] = reference_.at(output)[batch];
    return OkStatus();
  }

  Status RunStream(const Stretches::Part& part, engine::Executor& executor, size_t batch,
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

  void DropUnread(size_t position) {
    for (Stream* stream : {&reference_, &quantized_})
      std::erase_if(*stream,
                    [&](const auto& entry) { return !stretches_.ReadFrom(entry.first, position); });
  }

  const graph::Model& model_;
  const graph::Model reference_model_;
  const quant::EncodingTable& encodings_;
  const std::vector<const graph::Node*>& layers_;
  DataSource& data_;
  const WalkOptions& options_;
  const std::vector<size_t> positions_;
  const Stretches stretches_;
  ValueStore store_;  // outlives the streams
  Stream reference_, quantized_;
  std::vector<int64_t> batch_sizes_;
  int64_t samples_ = 0;
  Lanes lanes_;
};

}  // namespace

Status WalkLayers(const graph::Model& model, const quant::EncodingTable& encodings,
                  const std::vector<const graph::Node*>& layers, DataSource& data,
                  const WalkOptions& options, const VisitLayer& visit) {
  return Walker(model, encodings, layers, data, options).Run(visit);
}

}  // namespace roundel::walk
