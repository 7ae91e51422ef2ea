#include "lib/tune/block_trainer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/tensor/held_out.h"
#include "lib/tune/batches.h"

namespace roundel::tune {
namespace {

struct Split {
  std::vector<int64_t> train, held_out;
};

// `samples`: units of each sample, which stay together.
Split SplitUnits(const std::vector<std::vector<int64_t>>& samples, double share) {
  const HeldOut held_out(share, std::ssize(samples));
  Split split;
  for (int64_t i = 0; i < std::ssize(samples); ++i) {
    std::vector<int64_t>& side = held_out(i) ? split.held_out : split.train;
    const std::vector<int64_t>& units = samples[static_cast<size_t>(i)];
    side.insert(side.end(), units.begin(), units.end());
  }
  if (split.held_out.empty()) split.held_out = split.train;
  return split;
}

// The exponent of the penalty falls linearly after the warm-up.
double Sharpness(const TrainSettings& settings, double progress) {
  const double annealed = (progress - settings.warm_up) / (1 - settings.warm_up);
  return settings.sharpest + (settings.bluntest - settings.sharpest) * std::max(0.0, annealed);
}

// Learns one block; holds the best point so far.
class Trainer {
 public:
  Trainer(BlockRunner& runner, const FormsModel& model, const TrainSettings& settings,
          const std::function<bool()>& stop, Split split)
      : runner_(runner),
        model_(model),
        settings_(settings),
        stop_(stop),
        split_(std::move(split)),
        optimizer_(model.learned()) {}

  Status Start() {
    best_.learned = optimizer_.values();
    ASSIGN_OR_RETURN(best_.loss_before,
                     runner_.Loss(model_.Finals(best_.learned), split_.held_out));
    best_.loss_after = best_.loss_before;
    return OkStatus();
  }

  Status Run(int64_t n, Random random) {
    Batches batches(split_.train, settings_.batch, random);
    for (int64_t i = 0; i < n && !stop_() && !best_.diverged; ++i) {
      const auto seed = settings_.drop > 0 ? std::optional(random.Next()) : std::nullopt;
      RETURN_IF_ERROR(
          Iterate(batches.Next(), static_cast<double>(i) / static_cast<double>(n), seed));
      if ((i + 1) * settings_.judgments / n != i * settings_.judgments / n)
        RETURN_IF_ERROR(Judge(optimizer_.values()));
    }
    return OkStatus();
  }

  // Learns scales, biases and ranges for the codes of the best point.
  Status Refine(Random random) {
    std::vector<Learned> learned = model_.learned();
    const std::vector<Tensor> settled = model_.Settled(best_.learned);
    bool any = false;
    for (size_t i = 0; i < learned.size(); ++i) {
      learned[i].start = settled[i];
      if (learned[i].codes) learned[i].rate = 0;
      any = any || learned[i].rate > 0;
    }
    if (!any) return OkStatus();
    optimizer_ = Optimizer(std::move(learned));
    return Run(settings_.codes ? settings_.iterations / kRefining : settings_.iterations, random);
  }

  Trained TakeBest() { return std::move(best_); }

 private:
  Status Iterate(std::span<const int64_t> units, double progress, std::optional<uint64_t> seed) {
    ASSIGN_OR_RETURN(const std::vector<Tensor> values, model_.Values(optimizer_.values()));
    ASSIGN_OR_RETURN(const BlockRunner::Step step, runner_.Gradients(values, units, seed));
    best_.diverged = !std::isfinite(step.loss);
    if (best_.diverged) return OkStatus();
    recent_ = best_.iterations == 0 ? step.loss : 0.9 * recent_ + 0.1 * step.loss;
    const double penalty = progress < settings_.warm_up ? 0 : settings_.penalty * best_.loss_before;
    ASSIGN_OR_RETURN(const FormsModel::Step made,
                     model_.Gradients(optimizer_.values(), step.gradients,
                                      Sharpness(settings_, progress), penalty));
    optimizer_.Step(made.gradients, 0.5 * (1 + std::cos(std::numbers::pi * progress)));
    ++best_.iterations;
    return OkStatus();
  }

  Status Judge(const std::vector<Tensor>& learned) {
    ASSIGN_OR_RETURN(const double loss, runner_.Loss(model_.Finals(learned), split_.held_out));
    LogDebug(StrFormat("iteration %lld: loss %.4g on mini-batches, %.4g on held-out samples",
                       static_cast<long long>(best_.iterations), recent_, loss));
    if (!(loss < best_.loss_after)) return OkStatus();
    best_.loss_after = loss;
    best_.learned = learned;
    best_.best = std::max<int64_t>(1, best_.iterations);
    return OkStatus();
  }

  BlockRunner& runner_;
  const FormsModel& model_;
  const TrainSettings& settings_;
  const std::function<bool()>& stop_;
  const Split split_;
  Optimizer optimizer_;
  Trained best_;
  double recent_ = 0;  // average of the last losses
};

}  // namespace

Result<Trained> Train(BlockRunner& runner, const FormsModel& model,
                      const std::vector<std::vector<int64_t>>& samples,
                      const TrainSettings& settings, Random random,
                      const std::function<bool()>& stop) {
  Split split = SplitUnits(samples, settings.held_out);
  Trainer trainer(runner, model, settings, stop, std::move(split));
  RETURN_IF_ERROR(trainer.Start());
  if (settings.codes) RETURN_IF_ERROR(trainer.Run(settings.iterations, random));
  if (settings.refine || !settings.codes) RETURN_IF_ERROR(trainer.Refine(random));
  return trainer.TakeBest();
}

}  // namespace roundel::tune
