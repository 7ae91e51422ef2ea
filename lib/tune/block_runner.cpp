#include <algorithm>
#include <atomic>

#include "lib/base/interrupt.h"
#include "lib/tune/block_trainer.h"

namespace roundel::tune {
namespace {

// Elements of the largest input or target of a chunk: values of this size stay in the caches.
constexpr int64_t kChunkElements = 400000;

int64_t ChunkSize(const BlockSamples& samples, int64_t batch) {
  if (!samples.joinable()) return 1;
  // At least four chunks, for as many lanes.
  const int64_t most = std::max<int64_t>(1, batch / 4);
  return std::clamp<int64_t>(kChunkElements / std::max<int64_t>(1, samples.largest()), 1, most);
}

// Elements of the largest input or target in a mini-batch.
constexpr int64_t kBatchElements = int64_t{1} << 22;

}  // namespace

int64_t BatchSize(const BlockSamples& samples, int64_t batch) {
  const int64_t fit = kBatchElements / std::max<int64_t>(1, samples.largest());
  return std::min(batch, std::max<int64_t>(fit, 8));
}

Result<BlockRunner> BlockRunner::Create(const graph::Model& training, const graph::Model& judging,
                                        const BlockSamples& samples, int64_t batch, Lanes* lanes) {
  BlockRunner runner;
  runner.samples_ = &samples;
  runner.lanes_ = lanes;
  runner.chunk_ = ChunkSize(samples, batch);
  const engine::ExecutorOptions options{.part_bytes = 0};
  for (int lane = 0; lane < lanes->count(); ++lane) {
    ASSIGN_OR_RETURN(auto trains, engine::Executor::Create(training, options));
    runner.training_.push_back(std::move(trains));
    ASSIGN_OR_RETURN(auto judges, engine::Executor::Create(judging, options));
    runner.judging_.push_back(std::move(judges));
  }
  return runner;
}

Result<std::vector<std::vector<Tensor>>> BlockRunner::Run(Runs& runs,
                                                          const std::vector<Tensor>& values,
                                                          std::span<const int64_t> units,
                                                          std::optional<uint64_t> seed) {
  const int64_t count = (std::ssize(units) + chunk_ - 1) / chunk_;
  std::vector<std::vector<Tensor>> results(static_cast<size_t>(count));
  std::vector<Status> errors(static_cast<size_t>(count));
  std::atomic<int64_t> next = 0;
  const auto run = [&](int lane, int64_t i) -> Status {
    if (Interrupted()) return InterruptedError();
    const int64_t first = i * chunk_, size = std::min(chunk_, std::ssize(units) - first);
    ASSIGN_OR_RETURN(
        std::vector<Tensor> inputs,
        samples_->Load(units.subspan(static_cast<size_t>(first), static_cast<size_t>(size))));
    inputs.insert(inputs.end(), values.begin(), values.end());
    if (seed)
      inputs.push_back(Tensor::Scalar(static_cast<int64_t>(*seed + static_cast<uint64_t>(i))));
    ASSIGN_OR_RETURN(results[static_cast<size_t>(i)], runs[static_cast<size_t>(lane)]->Run(inputs));
    return OkStatus();
  };
  const int lanes = static_cast<int>(std::min<int64_t>(lanes_->count(), count));
  lanes_->Run(lanes, [&](int lane) {
    for (int64_t i = next++; i < count; i = next++) errors[static_cast<size_t>(i)] = run(lane, i);
  });
  for (Status& error : errors)
    if (!error.ok()) return std::move(error);
  return results;
}

Result<double> BlockRunner::Loss(const std::vector<Tensor>& values,
                                 std::span<const int64_t> units) {
  ASSIGN_OR_RETURN(const auto results, Run(judging_, values, units, std::nullopt));
  double sum = 0;
  int64_t left = std::ssize(units);
  for (const std::vector<Tensor>& result : results) {
    const int64_t size = std::min(chunk_, left);
    sum += static_cast<double>(size) * result[0].data<float>()[0];
    left -= size;
  }
  return sum / static_cast<double>(units.size());
}

Result<BlockRunner::Step> BlockRunner::Gradients(const std::vector<Tensor>& values,
                                                 std::span<const int64_t> units,
                                                 std::optional<uint64_t> seed) {
  ASSIGN_OR_RETURN(auto results, Run(training_, values, units, seed));
  Step step;
  int64_t left = std::ssize(units);
  for (std::vector<Tensor>& result : results) {
    const int64_t size = std::min(chunk_, left);
    const auto share =
        static_cast<float>(static_cast<double>(size) / static_cast<double>(units.size()));
    left -= size;
    step.loss += share * static_cast<double>(result[0].data<float>()[0]);
    for (size_t g = 1; g < result.size(); ++g) {
      if (step.gradients.size() < g)
        step.gradients.push_back(Tensor::Zeros(DType::kFloat, result[g].shape()));
      float* to = step.gradients[g - 1].mutable_data<float>();
      const float* from = result[g].data<float>();
      for (int64_t k = 0; k < result[g].size(); ++k) to[k] += share * from[k];
    }
  }
  return step;
}

}  // namespace roundel::tune
