#include "cmd/sample_histograms.h"

#include <deque>
#include <set>
#include <string>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/calibration/range_facts.h"
#include "lib/engine/executor.h"
#include "lib/tensor/first_samples.h"

namespace roundel::cmd {
namespace {

// A range without a histogram, and the input of a layer that it belongs to.
struct Missing {
  report::RangeFacts* range;
  std::string value;
  quant::ValueStatistics seen{quant::StatisticsNeeds{.histogram = true}};
};

// Elements stay where they are: taps hold their addresses.
std::deque<Missing> FindMissing(const CheckSubject& subject, const graph::Model& equivalent,
                                report::Report* report) {
  std::set<std::string> inputs;
  for (const report::LayerFacts& layer : report->layers) inputs.insert(layer.input);
  std::deque<Missing> missing;
  for (report::PassReport& pass : report->passes)
    for (report::RangeFacts& range : pass.ranges) {
      if (!range.histogram.empty()) continue;
      for (const std::string& value : range.values) {
        const bool known =
            equivalent.graph->Producer(value) != nullptr || equivalent.graph->IsInput(value);
        if (!known || !inputs.contains(value) || !subject.session.encodings.contains(value))
          continue;
        missing.push_back({.range = &range, .value = value});
        break;
      }
    }
  return missing;
}

Result<int64_t> Observe(const CheckSubject& subject, const graph::Model& equivalent,
                        int64_t samples, std::deque<Missing>* missing) {
  engine::ExecutorOptions options;
  std::vector<engine::Tap> taps;
  for (Missing& one : *missing) {
    options.tapped_values.push_back(one.value);
    taps.push_back({one.value, true,
                    [&one](const engine::TapView& view) { return one.seen.Observe(view.data); }});
  }
  ASSIGN_OR_RETURN(const auto executor, engine::Executor::Create(equivalent, options));
  FirstSamples data(*subject.session.data, samples);
  RETURN_IF_ERROR(data.Rewind());
  int64_t count = 0;
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<Batch> batch, data.Next());
    if (!batch) return count;
    RETURN_IF_ERROR(executor->Run(batch->inputs, taps).status());
    count += batch->size;
  }
}

}  // namespace

Status AddSampleHistograms(const CheckSubject& subject, const graph::Model& equivalent,
                           int64_t samples, report::Report* report) {
  if (samples == 0 || subject.session.data == nullptr) return OkStatus();
  std::deque<Missing> missing = FindMissing(subject, equivalent, report);
  if (missing.empty()) return OkStatus();
  const Result<int64_t> count = Observe(subject, equivalent, samples, &missing);
  if (count.status().kind() == ErrorKind::kInterrupted) return count.status();
  if (!count.ok()) {
    LogDebug(StrCat("no histograms of samples: ", count.status().message()));
    return OkStatus();
  }
  for (Missing& one : missing) {
    const quant::Encoding& encoding = subject.session.encodings.at(one.value);
    calibration::AddDistribution(one.seen, encoding.params.at(0), encoding.grid, one.range);
    if (*count < subject.session.data->size()) one.range->histogram_samples = *count;
  }
  return OkStatus();
}

}  // namespace roundel::cmd
