#include "passes/observe.h"

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/engine/sweep.h"
#include "lib/graph/layer.h"
#include "lib/quant/channel_mean.h"
#include "lib/target/op_facts.h"

namespace roundel::passes {
namespace {

// Enough for the mean of a channel.
constexpr int64_t kMeanSamples = 32, kMeanValues = 4096;

struct Mean {
  quant::ChannelMean channels;
  Shape shape;  // of the last batch
  int64_t samples = 0;
  bool Suffices() const { return samples >= kMeanSamples && channels.count() >= kMeanValues; }
};

// What one lane of the sweep has seen: everything by observers, of means only the last batch.
struct LaneState {
  std::map<std::string, std::unique_ptr<quant::Observer>> observers;
  std::map<std::string, Mean> means;
};

class Observing {
 public:
  Observing(Session& session, const std::vector<std::string>& values,
            const ObservationOptions& options)
      : session_(session), values_(values), options_(options), inputs_(LayerInputs()) {
    for (const auto& [value, convolution] : inputs_) means_[value];
  }

  Result<Observation> Run() {
    RETURN_IF_ERROR(quant::MakeObserver(options_.method, options_.observer).status());
    engine::SweepOptions options{.samples = options_.samples, .label = "calibrate"};
    options.executor.tapped_values = values_;
    for (const auto& [value, unused] : inputs_) options.executor.tapped_values.push_back(value);
    const engine::SweepHooks hooks = {
        .taps = [this](int lane) { return Taps(lane); },
        .done = [this](int lane, const engine::Batch&, const auto&) { return Done(lane); },
        .explain = [this](Status error, const engine::Batch& batch) {
          return Explain(std::move(error), batch);
        }};
    Observation seen;
    // Lanes are filled in while others run: none may move.
    lanes_.resize(static_cast<size_t>(Threads()));
    ASSIGN_OR_RETURN(seen.samples, engine::Sweep(session_.model, options, *session_.data, hooks));
    if (seen.samples == 0) return DataError("the calibration data has no samples");
    for (const auto& [value, mean] : means_)
      if (mean.samples > 0) session_.input_means[value] = {mean.channels.mean(), mean.shape};
    RETURN_IF_ERROR(Merge(&seen));
    return seen;
  }

 private:
  // Inputs of layers with weights, and whether their channels lie on axis 1.
  std::map<std::string, bool> LayerInputs() const {
    std::map<std::string, bool> inputs;
    if (!session_.wants_input_means) return inputs;
    const graph::Graph& graph = *session_.model.graph;
    for (const graph::NodePtr& node : graph.nodes())
      if (graph::IsLayerOp(*node) && graph.Constant(node->input(1)) &&
          !graph.Constant(node->input(0)))
        inputs.emplace(node->input(0), node->Is("Conv") || node->Is("ConvTranspose"));
    return inputs;
  }

  std::vector<engine::Tap> Taps(int lane) {
    LaneState& state = lanes_[static_cast<size_t>(lane)];
    std::vector<engine::Tap> taps;
    for (const std::string& value : values_) {
      auto& observer = state.observers[value];
      observer = std::move(quant::MakeObserver(options_.method, options_.observer).value());
      taps.push_back(RangeTap(value, observer.get()));
    }
    for (const auto& [value, convolution] : inputs_)
      taps.push_back(MeanTap(value, convolution, &state.means[value]));
    return taps;
  }

  // What a Clip has bounded on both sides need not be looked at any more once it has touched both:
  // min_max then stays what it is. In networks with Relu6 that is most of what flows.
  engine::Tap RangeTap(const std::string& value, quant::Observer* observer) const {
    const graph::Node* producer = session_.model.graph->Producer(value);
    std::optional<target::Clamp> bounds;
    if (producer && options_.method == "min_max")
      bounds = target::FindClamp(*session_.model.graph, *producer);
    return {value, true, [observer, bounds](const engine::TapView& view) {
              const quant::Range seen = observer->seen();
              if (bounds && observer->count() > 0 && seen.min == bounds->low &&
                  seen.max == bounds->high)
                return OkStatus();
              return observer->Observe(view.data).At(StrCat("value '", view.name, "'"));
            }};
  }

  engine::Tap MeanTap(const std::string& value, bool convolution, Mean* batch) {
    const Mean& whole = means_.at(value);
    return {value, true, [batch, &whole, convolution](const engine::TapView& view) {
              const auto rank = view.shape.size();
              // `whole` changes between batches only, when no lane runs.
              if (rank < 2 || whole.Suffices()) return OkStatus();
              const size_t axis = convolution ? 1 : rank - 1;
              const int64_t channels = view.shape[axis];
              int64_t inner = 1;
              for (size_t i = axis + 1; i < rank; ++i) inner *= view.shape[i];
              if (view.channels_last) inner = 1;
              const int64_t block = channels * inner;
              const int64_t outer = block == 0 ? 0 : std::ssize(view.data) / block;
              batch->channels.Observe(view.data, outer, channels, inner);
              batch->shape = view.shape;
              batch->samples = view.shape[0];
              return OkStatus();
            }};
  }

  // In the order of the data, whatever lane ran the batch: sums come out the same.
  Status Done(int lane) {
    for (auto& [value, batch] : lanes_[static_cast<size_t>(lane)].means) {
      Mean& whole = means_.at(value);
      if (batch.samples > 0 && !whole.Suffices()) {
        whole.channels.Add(batch.channels);
        whole.shape = batch.shape;
        whole.samples += batch.samples;
      }
      batch = {};
    }
    return OkStatus();
  }

  Status Merge(Observation* seen) {
    seen->observers = std::move(lanes_[0].observers);
    for (size_t i = 1; i < lanes_.size(); ++i)
      for (auto& [value, observer] : lanes_[i].observers) seen->observers.at(value)->Merge(*observer);
    for (const auto& [value, observer] : seen->observers)
      if (observer->count() == 0)
        return DataError(
            StrCat("value '", value, "' received no data from ", seen->samples,
                   " samples; exclude the nodes around it or add data that reaches it"));
    return OkStatus();
  }

  // Adds the sample to an error: runs the batch again in row-major order and looks which sample
  // holds the first value that is not finite.
  Status Explain(Status error, const engine::Batch& batch) const {
    if (error.kind() != ErrorKind::kData || batch.sample_names.empty()) return error;
    int64_t sample = 0;
    if (batch.size > 1) {
      sample = -1;
      std::vector<engine::Tap> taps;
      for (const std::string& value : values_)
        taps.push_back({value, false, [&](const engine::TapView& view) {
                          const auto bad =
                              std::find_if_not(view.data.begin(), view.data.end(),
                                               [](float x) { return std::isfinite(x); });
                          if (bad == view.data.end()) return OkStatus();
                          const bool by_sample = !view.shape.empty() && view.shape[0] == batch.size;
                          if (by_sample)
                            sample = (bad - view.data.begin()) * batch.size / std::ssize(view.data);
                          return DataError("found");
                        }});
      const auto executor = engine::Executor::Create(session_.model, {.tapped_values = values_});
      if (!executor.ok() || (*executor)->Run(batch.inputs, taps).ok()) return error;
    }
    const bool known = sample >= 0 && sample < std::ssize(batch.sample_names);
    return std::move(error).At(known ? StrCat("sample '", batch.sample_names[sample], "'")
                                     : StrCat("samples from '", batch.sample_names[0], "' on"));
  }

  Session& session_;
  const std::vector<std::string>& values_;
  const ObservationOptions& options_;
  const std::map<std::string, bool> inputs_;
  std::vector<LaneState> lanes_;
  std::map<std::string, Mean> means_;
};

}  // namespace

Result<Observation> Observe(Session& session, const std::vector<std::string>& values,
                            const ObservationOptions& options) {
  return Observing(session, values, options).Run();
}

}  // namespace roundel::passes
