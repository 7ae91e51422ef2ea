#include "lib/engine/batch_split.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "lib/base/lanes.h"
#include "lib/base/limits.h"
#include "lib/base/parallel.h"
#include "lib/engine/plan_executor.h"
#include "lib/engine/weight_bytes.h"

namespace roundel::engine {
namespace {

// The limit for the weights of further executors, packed and unpacked.
constexpr int64_t kSpareBytes = int64_t{400} << 20;

constexpr int64_t kMinParts = 4;

// Samples [begin, begin + count) of `tensor`; shares its memory.
Tensor Samples(const Tensor& tensor, int64_t begin, int64_t count) {
  Shape shape = tensor.shape();
  const int64_t bytes = shape[0] == 0 ? 0 : tensor.byte_size() / shape[0];
  shape[0] = count;
  auto* data = static_cast<char*>(const_cast<void*>(tensor.raw())) + begin * bytes;
  return Tensor::Borrow(tensor.dtype(), shape, data);
}

class SplitExecutor : public Executor {
 public:
  SplitExecutor(std::unique_ptr<Executor> whole, const graph::Model& model,
                const ExecutorOptions& options)
      : whole_(std::move(whole)),
        model_(graph::Clone(model)),
        options_(options),
        weight_bytes_(WeightBytes(*model.graph)) {
    if (!options.simulate) return;
    table_ = *options.simulate;
    options_.simulate = &table_;
  }

  const std::vector<std::string>& input_names() const override { return whole_->input_names(); }
  const std::vector<std::string>& output_names() const override { return whole_->output_names(); }
  int64_t activation_bytes() const override {
    int64_t bytes = whole_->activation_bytes();
    for (const auto& other : others_) bytes += other ? other->activation_bytes() : 0;
    return bytes;
  }
  std::vector<StepTime> profile() const override { return whole_->profile(); }

  Result<std::vector<Datum>> RunAny(const std::vector<Datum>& inputs,
                                    const std::vector<Tap>& taps) override {
    const int64_t samples = SamplesOf(inputs);
    const bool ordered =
        std::any_of(taps.begin(), taps.end(), [](const Tap& tap) { return !tap.any_order; });
    if (samples < 2 || ordered) return whole_->RunAny(inputs, taps);
    ASSIGN_OR_RETURN(int64_t part, PartOf(inputs, samples));
    // Small samples are split too: separate threads need not wait for each other in between.
    while (taps.empty() && part > 1 && part * kMinParts > samples) part /= 2;
    if (part >= samples) return whole_->RunAny(inputs, taps);
    auto outputs = RunParts(inputs, samples, part, taps);
    // Some shapes fit only the whole batch, such as a Reshape over samples; then the whole batch is
    // run. This is not possible after observers have seen values.
    const bool again =
        !outputs.ok() && outputs.status().kind() == ErrorKind::kModel && taps.empty();
    return again ? whole_->RunAny(inputs, taps) : std::move(outputs);
  }

 private:
  // 0 if the inputs do not all have the same number of samples.
  static int64_t SamplesOf(const std::vector<Datum>& inputs) {
    int64_t samples = 0;
    for (const Datum& input : inputs) {
      if (!input.is_tensor() || input.tensor.rank() == 0 || BitWidth(input.tensor.dtype()) < 8)
        return 0;
      if (samples != 0 && input.tensor.dim(0) != samples) return 0;
      samples = input.tensor.dim(0);
    }
    return samples;
  }

  static std::vector<Datum> PartInputs(const std::vector<Datum>& inputs, int64_t begin,
                                       int64_t count) {
    std::vector<Datum> part;
    for (const Datum& input : inputs) part.emplace_back(Samples(input.tensor, begin, count));
    return part;
  }

  // Samples per part: a power of two, from the size of the activations of one sample, which a run
  // of one sample measures, once for every shape.
  Result<int64_t> PartOf(const std::vector<Datum>& inputs, int64_t samples) {
    std::string shapes;
    for (const Datum& input : inputs)
      shapes += ShapeString({input.tensor.shape().begin() + 1, input.tensor.shape().end()});
    if (const auto known = parts_.find(shapes); known != parts_.end()) return known->second;
    const auto probe = whole_->RunAny(PartInputs(inputs, 0, 1), {});
    if (!probe.ok()) {
      if (probe.status().kind() != ErrorKind::kModel) return probe.status();
      return parts_[shapes] = samples;
    }
    const int64_t each = std::max<int64_t>(1, whole_->activation_bytes());
    int64_t part = 1;
    while (part * 2 * each <= options_.part_bytes && part < (1 << 20)) part *= 2;
    return parts_[shapes] = part;
  }

  Executor* Lane(int lane) {
    if (lane == 0) return whole_.get();
    std::unique_ptr<Executor>& other = others_[static_cast<size_t>(lane) - 1];
    if (!other) {
      auto made = CreateWhole(model_, options_);
      if (!made.ok()) return nullptr;
      other = std::move(*made);
    }
    return other.get();
  }

  int LanesFor(int64_t parts, const std::vector<Tap>& taps) const {
    if (!taps.empty() || options_.profile) return 1;
    const int64_t left = std::max<int64_t>(0, MemoryLimit() - MemoryInUse());
    const int64_t fit = 1 + std::min(kSpareBytes / (2 * weight_bytes_ + 1),
                                     left / (2 * (weight_bytes_ + options_.part_bytes) + 1));
    return static_cast<int>(std::min<int64_t>({parts, fit, Threads()}));
  }

  Result<std::vector<Datum>> RunParts(const std::vector<Datum>& inputs, int64_t samples,
                                      int64_t part, const std::vector<Tap>& taps) {
    const int64_t parts = (samples + part - 1) / part;
    const int lanes = LanesFor(parts, taps);
    std::vector<std::optional<Result<std::vector<Datum>>>> results(static_cast<size_t>(parts));
    std::atomic<int64_t> next = 0;
    const auto work = [&](int lane) {
      Executor* executor = Lane(lane);
      while (executor) {
        const int64_t i = next++;
        if (i >= parts) return;
        const int64_t begin = i * part, count = std::min(part, samples - begin);
        auto& result = results[static_cast<size_t>(i)];
        result = executor->RunAny(PartInputs(inputs, begin, count), taps);
        if (!result->ok()) next = parts;
      }
    };
    if (lanes == 1) {
      work(0);
    } else {
      if (!lanes_ || lanes_->count() < lanes) lanes_ = std::make_unique<Lanes>(lanes);
      if (std::ssize(others_) + 1 < lanes) others_.resize(static_cast<size_t>(lanes) - 1);
      lanes_->Run(lanes, work);
    }
    return Join(std::move(results));
  }

  // The outputs, concatenated; the error of the first part that failed.
  static Result<std::vector<Datum>> Join(
      std::vector<std::optional<Result<std::vector<Datum>>>> parts) {
    for (const auto& part : parts)
      if (part && !part->ok()) return part->status();
    std::vector<Datum> joined;
    for (size_t i = 0; i < (*parts[0])->size(); ++i) {
      const Tensor& first = (**parts[0])[i].tensor;
      Shape shape = first.shape();
      shape[0] = 0;
      for (const auto& part : parts) shape[0] += (**part)[i].tensor.dim(0);
      Tensor whole = Tensor::Empty(first.dtype(), shape);
      char* to = static_cast<char*>(whole.mutable_raw());
      for (const auto& part : parts) {
        const Tensor& from = (**part)[i].tensor;
        std::memcpy(to, from.raw(), static_cast<size_t>(from.byte_size()));
        to += from.byte_size();
      }
      joined.emplace_back(std::move(whole));
    }
    return joined;
  }

  std::unique_ptr<Executor> whole_;  // of lane 0
  std::vector<std::unique_ptr<Executor>> others_;
  std::unique_ptr<Lanes> lanes_;
  const graph::Model model_;  // further lanes are compiled from it
  ExecutorOptions options_;
  quant::EncodingTable table_;
  const int64_t weight_bytes_;
  std::map<std::string, int64_t> parts_;  // by shape of a sample
};

}  // namespace

std::unique_ptr<Executor> SplitBatches(std::unique_ptr<Executor> whole, const graph::Model& model,
                                       const ExecutorOptions& options) {
  return std::make_unique<SplitExecutor>(std::move(whole), model, options);
}

}  // namespace roundel::engine
