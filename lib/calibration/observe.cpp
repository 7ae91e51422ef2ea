#include "lib/calibration/observe.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "lib/graph/layer.h"
#include "lib/quant/channel_mean.h"
#include "lib/quant/scan.h"
#include "lib/targets/op_facts.h"
#include "lib/walk/sweep.h"

namespace roundel::calibration {
namespace {

// Enough for the mean of a channel.
constexpr int64_t kMeanSamples = 32, kMeanValues = 4096;

struct Mean {
  quant::ChannelMean channels;
  Shape shape;  // of the last batch
  int64_t samples = 0;
  bool Suffices() const { return samples >= kMeanSamples && channels.count() >= kMeanValues; }
};

// What one lane of the sweep has observed: statistics of everything, but for means and for the
// extremes of single samples only the last batch.
struct LaneState {
  std::map<std::string, quant::ValueStatistics> values;
  std::map<std::string, Mean> means;
};

class Observing {
 public:
  Observing(Session& session, const std::vector<std::string>& values,
            const ObservationOptions& options)
      : session_(session), values_(values), options_(options), inputs_(LayerInputs()) {
    for (const auto& [value, convolution] : inputs_) means_[value];
  }

  Result<quant::CalibrationStatistics> Run() {
    walk::SweepOptions options{.samples = options_.samples, .label = "calibrate"};
    options.executor.tapped_values = values_;
    for (const auto& [value, unused] : inputs_) options.executor.tapped_values.push_back(value);
    const walk::SweepHooks hooks = {
        .taps = [this](int lane) { return Taps(lane); },
        .done = [this](int lane, const Batch& batch,
                       const auto&) { return Done(lane, batch.size); },
        .explain = [this](Status error,
                          const Batch& batch) { return Explain(std::move(error), batch); }};
    quant::CalibrationStatistics seen;
    // Lanes are filled while others run, so that their addresses must not change.
    lanes_.resize(static_cast<size_t>(Threads()));
    ASSIGN_OR_RETURN(seen.samples, walk::Sweep(session_.model, options, *session_.data, hooks));
    if (seen.samples == 0) return DataError("the calibration data has no samples");
    for (const auto& [value, mean] : means_)
      if (mean.samples > 0)
        seen.input_means[value] = {mean.channels.mean(), mean.shape, mean.channels.count()};
    RETURN_IF_ERROR(Merge(&seen));
    return seen;
  }

 private:
  // Inputs of layers with weights, and whether their channels lie on axis 1.
  std::map<std::string, bool> LayerInputs() const {
    std::map<std::string, bool> inputs;
    if (!options_.input_means) return inputs;
    const auto graph_of_all = graph::WithBodies(session_.model);
    const graph::Graph& graph = *graph_of_all;
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
      quant::StatisticsNeeds needs = options_.needs;
      if (options_.scores.contains(value)) needs.histogram = true;
      const auto made = state.values.emplace(value, quant::ValueStatistics(needs));
      taps.push_back(RangeTap(value, &made.first->second));
    }
    for (const auto& [value, convolution] : inputs_)
      taps.push_back(MeanTap(value, convolution, &state.means[value]));
    return taps;
  }

  // A Clip on both sides bounds the range: once both bounds have been seen, minimum and maximum
  // cannot change, and further values are skipped. In networks with Relu6 these are most of the
  // values.
  engine::Tap RangeTap(const std::string& value, quant::ValueStatistics* statistics) const {
    const graph::Node* producer = session_.model.graph->Producer(value);
    const bool score = options_.scores.contains(value);
    std::optional<target::Clamp> bounds;
    if (producer && statistics->needs() == quant::StatisticsNeeds{})
      bounds = target::FindClamp(*session_.model.graph, *producer);
    return {value, true, [this, statistics, bounds, score](const engine::TapView& view) {
              const quant::Range seen = statistics->seen();
              if (bounds && statistics->count() > 0 && seen.min == bounds->low &&
                  seen.max == bounds->high)
                return OkStatus();
              // Whether these are samples is known at the end of the batch.
              constexpr int64_t kMaxParts = 1 << 16;
              int64_t parts = view.shape.empty() ? 1 : view.shape[0];
              if (parts < 1 || parts > kMaxParts) parts = 1;
              std::vector<float> bounded;
              std::span<const float> data = view.data;
              if (score && !quant::ScanFinite(data).ok()) {
                bounded = Bounded(data);
                data = bounded;
              }
              const Status seen_well = statistics->Observe(data, parts);
              if (seen_well.ok()) return seen_well;
              const bool nan =
                  std::any_of(data.begin(), data.end(), [](float x) { return x != x; });
              return DataError(StrCat(Describe(view.name), ": ", seen_well.message(),
                                      nan ? "" : ExcludeHint(view.name)));
            }};
  }

  // Infinities as the largest floats of their sign; NaN unchanged.
  static std::vector<float> Bounded(std::span<const float> values) {
    constexpr float kLargest = std::numeric_limits<float>::max();
    std::vector<float> bounded(values.begin(), values.end());
    for (float& x : bounded) x = x < -kLargest ? -kLargest : x > kLargest ? kLargest : x;
    return bounded;
  }

  std::string Describe(const std::string& value) const {
    const graph::Node* producer = session_.model.graph->Producer(value);
    return StrCat("value '", Printable(value), "'",
                  producer ? " of " + producer->DisplayName() : "");
  }

  // The nodes next to a value; if they are excluded, it stays float.
  std::string ExcludeHint(const std::string& value) const {
    const graph::Graph& graph = *session_.model.graph;
    std::vector<std::string> names;
    const auto add = [&names](const graph::Node* node) {
      if (!node) return;
      const std::string name = Printable(node->NameOrOutput());
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    };
    add(graph.Producer(value));
    for (const graph::Use& use : graph.Uses(value)) add(use.node);
    constexpr size_t kShown = 8;
    if (names.empty() || names.size() > kShown) return "";
    return StrCat("; to leave it float: --set 'exclude=[", Join(names, ","), "]'");
  }

  engine::Tap MeanTap(const std::string& value, bool convolution, Mean* batch) {
    const Mean& whole = means_.at(value);
    return {value, true, [batch, &whole, convolution](const engine::TapView& view) {
              const auto rank = view.shape.size();
              // `whole` changes only between batches, when no lane runs.
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

  // In the order of the data, independent of the lane that ran the batch: sums are the same.
  Status Done(int lane, int64_t batch_size) {
    if (options_.needs.samples)
      for (auto& [value, statistics] : lanes_[static_cast<size_t>(lane)].values)
        AppendSamples(statistics.samples(), batch_size, &samples_[value]);
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

  // Moves the extremes along a value's first axis to `all`, one pair per sample; one for the batch
  // if that axis is not the sample axis.
  static void AppendSamples(std::vector<quant::SampleRange>& parts, int64_t batch_size,
                            std::vector<quant::SampleRange>* all) {
    const int64_t count = std::ssize(parts);
    const bool by_sample = batch_size > 0 && count % batch_size == 0;
    const int64_t per_sample = by_sample ? count / batch_size : count;
    for (int64_t i = 0; i < count; ++i) {
      const quant::SampleRange& part = parts[static_cast<size_t>(i)];
      if (i % per_sample == 0)
        all->push_back(part);
      else
        all->back() = {std::min(all->back().min, part.min), std::max(all->back().max, part.max)};
    }
    parts.clear();
  }

  Status Merge(quant::CalibrationStatistics* seen) {
    for (LaneState& lane : lanes_) {
      for (auto& [value, statistics] : lane.values) {
        const auto place = seen->values.find(value);
        if (place == seen->values.end())
          seen->values.emplace(value, std::move(statistics));
        else
          place->second.Append(statistics);
      }
    }
    std::erase_if(seen->values, [](const auto& entry) { return entry.second.count() == 0; });
    for (auto& [value, statistics] : seen->values)
      statistics.samples() = std::move(samples_[value]);
    return OkStatus();
  }

  // Adds the sample to an error: runs the batch again in row-major order and finds the sample that
  // contains the first value that is not finite.
  Status Explain(Status error, const Batch& batch) const {
    if (error.kind() != ErrorKind::kData || batch.sample_names.empty()) return error;
    int64_t sample = 0;
    if (batch.size > 1) {
      sample = -1;
      std::vector<engine::Tap> taps;
      for (const std::string& value : values_)
        taps.push_back({value, false, [&](const engine::TapView& view) {
                          const bool score = options_.scores.contains(view.name);
                          const auto bad = std::find_if_not(
                              view.data.begin(), view.data.end(),
                              [score](float x) { return score ? x == x : std::isfinite(x); });
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
  std::map<std::string, std::vector<quant::SampleRange>> samples_;
};

}  // namespace

Result<quant::CalibrationStatistics> Observe(Session& session,
                                             const std::vector<std::string>& values,
                                             const ObservationOptions& options) {
  return Observing(session, values, options).Run();
}

}  // namespace roundel::calibration
