#include "cmd/network_check.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cmd/tensor_errors.h"
#include "lib/base/lanes.h"
#include "lib/base/log.h"
#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/eval/evaluation.h"
#include "lib/graph/bodies.h"
#include "lib/graph/layer.h"
#include "lib/tensor/first_samples.h"

namespace roundel::cmd {
namespace {

constexpr size_t kMostValues = 600;               // of a model
constexpr size_t kMostElements = (64 << 20) / 4;  // of all values together
constexpr size_t kMostOfOne = 1 << 18;            // of one value

// One element of each stretch of the value: a fixed distance could meet one channel only.
std::vector<float> Part(std::span<const float> values, size_t most) {
  if (values.size() <= most) return {values.begin(), values.end()};
  std::vector<float> part;
  part.reserve(most);
  Random random(values.size());
  for (size_t i = 0; i < most; ++i) {
    const size_t begin = values.size() * i / most, end = values.size() * (i + 1) / most;
    part.push_back(values[begin + random.Next() % (end - begin)]);
  }
  return part;
}

// Where branches meet, such as at residual sums.
bool Joins(const graph::Graph& graph, const graph::Node& node) {
  if (!node.Is("Add") && !node.Is("Sum") && !node.Is("Concat")) return false;
  std::set<std::string> inputs;
  for (const std::string& input : node.inputs)
    if (!input.empty() && graph.Constant(input) == nullptr) inputs.insert(input);
  return inputs.size() > 1;
}

// A value whose error is measured. The side that comes first leaves its elements for the other.
struct Meeting {
  ValuePair pair;
  bool joins = false;
  std::mutex mutex = {};
  std::optional<std::vector<float>> first[2] = {};
};

class NetworkCheck {
 public:
  NetworkCheck(const CheckSubject& subject, const graph::Model& equivalent)
      : subject_(subject),
        equivalent_(equivalent),
        second_(simulated() ? subject.session.model : subject.quantized) {}

  Status Run(int64_t samples, report::Report* report) {
    ListMeetings();
    if (meetings_.empty()) return OkStatus();
    ASSIGN_OR_RETURN(report->network_samples, Measure(samples));
    for (const auto& meeting : meetings_)
      if (meeting->pair.error.count() > 0)
        report->network.push_back({.value = meeting->pair.value,
                                   .op_type = meeting->pair.op_type,
                                   .position = meeting->pair.position,
                                   .joins = meeting->joins,
                                   .sqnr = meeting->pair.error.Sqnr()});
    return OkStatus();
  }

 private:
  bool simulated() const { return subject_.format == "qoperator"; }

  // Joins first, then layers, outputs and values with a grid, as far as there is room for them.
  void ListMeetings() {
    const graph::Graph& graph = *equivalent_.graph;
    std::set<std::string> outputs;
    for (const graph::ValueInfo& output : graph.outputs) outputs.insert(output.name);
    std::vector<std::unique_ptr<Meeting>> joins, others;
    for (ValuePair& pair : MatchValues(equivalent_, second_)) {
      const graph::Node* node = graph.Producer(pair.value);
      if (node == nullptr) continue;
      auto meeting = std::make_unique<Meeting>();
      meeting->joins = Joins(graph, *node);
      const bool wanted = meeting->joins || graph::IsLayerOp(*node) ||
                          outputs.contains(pair.value) ||
                          subject_.session.encodings.contains(pair.value);
      if (!wanted) continue;
      meeting->pair = std::move(pair);
      (meeting->joins ? joins : others).push_back(std::move(meeting));
    }
    for (auto* list : {&joins, &others})
      for (auto& meeting : *list)
        if (meetings_.size() < kMostValues) meetings_.push_back(std::move(meeting));
    std::stable_sort(meetings_.begin(), meetings_.end(), [](const auto& a, const auto& b) {
      return a->pair.position < b->pair.position;
    });
  }

  engine::Tap TapOf(Meeting* meeting, int side, size_t most) {
    return {.value = side == 0 ? meeting->pair.value : meeting->pair.quantized,
            .callback = [meeting, side, most](const engine::TapView& view) {
              std::vector<float> part = Part(view.data, most);
              const std::lock_guard lock(meeting->mutex);
              std::optional<std::vector<float>>& other = meeting->first[1 - side];
              if (!other) {
                meeting->first[side] = std::move(part);
                return OkStatus();
              }
              if (other->size() == part.size())
                side == 0 ? meeting->pair.error.Add(part, *other)
                          : meeting->pair.error.Add(*other, part);
              other.reset();
              return OkStatus();
            }};
  }

  Result<int64_t> Measure(int64_t samples) {
    engine::ExecutorOptions options[2];
    eval::EvaluateOptions evaluate;
    const size_t most = std::min(kMostOfOne, kMostElements / meetings_.size());
    for (const auto& meeting : meetings_) {
      evaluate.first_taps.push_back(TapOf(meeting.get(), 0, most));
      evaluate.second_taps.push_back(TapOf(meeting.get(), 1, most));
      options[0].tapped_values.push_back(meeting->pair.value);
      options[1].tapped_values.push_back(meeting->pair.quantized);
    }
    if (simulated()) options[1].simulate = &subject_.session.encodings;
    std::optional<Result<std::unique_ptr<engine::Executor>>> made[2];
    TwoSides sides;
    sides.Run([&](int side) {
      made[side] = engine::Executor::Create(side == 0 ? equivalent_ : second_, options[side]);
    });
    for (const auto& executor : made) RETURN_IF_ERROR(executor->status());
    evaluate.sides = &sides;
    FirstSamples data(*subject_.session.data, samples);
    ASSIGN_OR_RETURN(const eval::Evaluation evaluation,
                     eval::Evaluate(***made[0], (**made[1]).get(), data, evaluate));
    return evaluation.samples;
  }

  const CheckSubject& subject_;
  const graph::Model &equivalent_, &second_;
  std::vector<std::unique_ptr<Meeting>> meetings_;  // taps hold their addresses
};

}  // namespace

Status MeasureNetwork(const CheckSubject& subject, const graph::Model& equivalent, int64_t samples,
                      report::Report* report) {
  if (samples == 0 || subject.session.data == nullptr || subject.session.encodings.empty())
    return OkStatus();
  const Status status = NetworkCheck(subject, equivalent).Run(samples, report);
  if (status.kind() == ErrorKind::kInterrupted) return status;
  if (!status.ok()) LogDebug(StrCat("no errors along the network: ", status.message()));
  return OkStatus();
}

}  // namespace roundel::cmd
