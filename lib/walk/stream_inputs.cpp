#include "lib/walk/stream_inputs.h"

#include <vector>

#include "lib/base/interrupt.h"

namespace roundel::walk {
namespace {

class StreamInputs : public LayerInputs {
 public:
  StreamInputs(const Streams& streams, const std::string& value)
      : streams_(streams),
        reference_(streams.reference(value)),
        quantized_(streams.quantized(value)) {
    int64_t first = 0;
    for (const int64_t size : streams.batch_sizes()) {
      first_samples_.push_back(first);
      first += size;
    }
  }
  int64_t samples() const override { return streams_.samples(); }
  int64_t originals() const override { return streams_.originals(); }
  int64_t batches() const override { return std::ssize(reference_); }
  Result<LayerBatch> Load(int64_t index) const override {
    if (Interrupted()) return InterruptedError();
    const auto i = static_cast<size_t>(index);
    LayerBatch batch{.first_sample = first_samples_[i],
                     .samples = streams_.batch_sizes()[i],
                     .original = streams_.Original(i)};
    ASSIGN_OR_RETURN(batch.reference, reference_[i]->Load());
    batch.quantized = batch.reference;
    if (quantized_[i] != reference_[i]) {
      ASSIGN_OR_RETURN(batch.quantized, quantized_[i]->Load());
    }
    return batch;
  }

 private:
  const Streams& streams_;
  const std::vector<StoredValuePtr>&reference_, &quantized_;
  std::vector<int64_t> first_samples_;  // by batch
};

}  // namespace

std::unique_ptr<LayerInputs> InputsFrom(const Streams& streams, const std::string& value) {
  return std::make_unique<StreamInputs>(streams, value);
}

}  // namespace roundel::walk
