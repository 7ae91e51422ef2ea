#include <algorithm>
#include <numeric>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/tune/block_parts.h"
#include "lib/tune/tuning.h"

namespace roundel::tune {
namespace {

// Of one iteration of block `index`, from a part of a mini-batch.
Result<double> SecondsOf(Tuning& s, size_t index, const walk::Stretches::Part& part,
                         const walk::Streams& streams) {
  ASSIGN_OR_RETURN(const std::vector<FormPtr> forms, FormsOf(s, index, nullptr));
  if (forms.empty()) return 0.0;
  Workbench bench;
  RETURN_IF_ERROR(Prepare(s, index, part, streams, forms, &bench));
  const Optimizer optimizer(bench.model->learned());
  std::vector<int64_t> units(static_cast<size_t>(
      std::min(bench.samples->units(), bench.runner->chunk() * s.lanes.count())));
  std::iota(units.begin(), units.end(), 0);
  const auto seed = s.options.train.drop > 0 ? std::optional<uint64_t>(0) : std::nullopt;
  // The least of several runs: the first ones make plans on every lane.
  double block = 0, values = 0;
  for (int run = 0; run < 4; ++run) {
    const double start = SteadySeconds();
    ASSIGN_OR_RETURN(const std::vector<Tensor> made, bench.model->Values(optimizer.values()));
    const double middle = SteadySeconds();
    ASSIGN_OR_RETURN(const BlockRunner::Step step, bench.runner->Gradients(made, units, seed));
    const double end = SteadySeconds();
    RETURN_IF_ERROR(bench.model->Gradients(optimizer.values(), step.gradients, 2, 0).status());
    const double others = SteadySeconds() - end + middle - start;
    block = run == 0 ? end - middle : std::min(block, end - middle);
    values = run == 0 ? others : std::min(values, others);
  }
  return block * static_cast<double>(bench.batch) / static_cast<double>(units.size()) + values;
}

}  // namespace

Status EstimateTime(Tuning& s) {
  walk::Streams streams(s.session.model, s.session.float_model.get(), s.stream,
                        s.options.memory_bytes, SpillFolder(s));
  RETURN_IF_ERROR(streams.ReadData(*s.session.data, 1, [](const std::string&) { return true; }));
  RETURN_IF_ERROR(streams.Run(Prelude(*s.session.model.graph, s.blocks), walk::Which::kBoth));
  s.iterations = s.options.train.iterations;
  int64_t learned = 0;
  double total = 0;  // seconds of one iteration of each
  for (size_t i = 0; i < s.blocks.size(); ++i) {
    const walk::Stretches::Part part = PartOf(s.blocks, i);
    RETURN_IF_ERROR(streams.Run(part, walk::Which::kBoth));
    Result<double> seconds = s.store.Has(i) ? 0.0 : SecondsOf(s, i, part, streams);
    if (!seconds.ok()) return Status(seconds.status()).At("block " + s.blocks[i].name);
    s.seconds.push_back(*seconds);
    total += *seconds * (1 + (s.options.train.refine ? 1.0 / kRefining : 0));
    learned += *seconds > 0;
    streams.Keep([&](const std::string& value) { return ReadAfter(s.blocks, i, value); });
  }
  if (s.options.minutes > 0 && total > 0)
    s.iterations = std::min(s.iterations, static_cast<int64_t>(60 * s.options.minutes / total));
  if (s.iterations < 1)
    return UsageError(
        StrFormat("one iteration of all blocks takes about %.2g s, more than time: "
                  "%g minutes; give more time, or a smaller batch",
                  total, s.options.minutes));
  LogInfo(StrCat(s.options.pass, ": ", learned, " blocks, ", s.iterations,
                 " iterations each, about ", ClockText(total * static_cast<double>(s.iterations))));
  return OkStatus();
}

}  // namespace roundel::tune
