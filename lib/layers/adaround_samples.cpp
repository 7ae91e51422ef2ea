#pragma GCC optimize("O3")

#include "lib/layers/adaround_samples.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/interrupt.h"
#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/layers/layer_tiles.h"
#include "lib/matmul/sgemm.h"
#include "lib/session/session.h"

namespace roundel::layers {
namespace {

// The activation after the layer: the identity, or values below and above are clipped.
struct Activation {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

Activation ActivationAfter(const graph::Graph& graph, const graph::WeightedLayer& layer) {
  const graph::Node* next = graph.OnlyConsumer(layer.output());
  Activation activation;
  if (!next) return activation;
  if (next->Is("Relu")) activation.low = 0;
  if (!next->Is("Clip")) return activation;
  const auto bound = [&](size_t input, const char* attribute, float* value) {
    if (const Tensor* t = graph.Constant(next->input(input));
        t && t->dtype() == DType::kFloat && t->size() == 1)
      *value = t->data<float>()[0];
    else
      *value = next->Float(attribute, *value);
  };
  bound(1, "min", &activation.low);
  bound(2, "max", &activation.high);
  return activation;
}

// All gathered columns of one group.
struct Samples {
  std::vector<float> x, y;  // [rows, n], [rows, m]
  int64_t rows = 0;
};

class Learner {
 public:
  Learner(const LayerTask& task, int64_t group, const Samples& samples,
          const std::vector<double>& bias, Activation activation, const solver::Params& params,
          const solver::AdaRoundOptions& options, int64_t batch, uint64_t seed)
      : layer_(task.layer),
        samples_(samples),
        activation_(activation),
        options_(options),
        m_(layer_.m),
        n_(layer_.n),
        batch_(std::min(batch, std::max<int64_t>(1, samples.rows))),
        random_(seed + static_cast<uint64_t>(group) + 1),
        target_(layer_.weight[static_cast<size_t>(group)]),
        soft_(solver::StartSoftWeights(target_, n_, layer_.spec, params, group * m_)) {
    weight_.resize(soft_.v.size());
    gradient_.resize(soft_.v.size());
    for (int64_t o = 0; o < m_; ++o)
      bias_.push_back(static_cast<float>(bias[static_cast<size_t>(group * m_ + o)]));
    x_.resize(static_cast<size_t>(batch_ * n_));
    x_transposed_ = x_;
    out_.resize(static_cast<size_t>(batch_ * m_));
    slope_ = out_;
  }

  void Iterate(int iteration) {
    solver::SoftErrors(soft_, 0, soft_.size(), weight_.data());
    for (size_t i = 0; i < weight_.size(); ++i) weight_[i] = target_[i] - weight_[i];
    if (samples_.rows > 0) WeightGradient();
    solver::LearnStep(&soft_, 0, soft_.size(), gradient_.data(), 1.0f,
                      solver::AdaRoundStepAt(options_, iteration));
  }

  void ReadCodes(int32_t* codes) const {
    for (int64_t i = 0; i < soft_.size(); ++i) codes[i] = solver::RoundedCode(soft_, i);
  }

 private:
  // d/dw^ of the mean over the batch of ||a(W^ x + b) - a(y + b)||^2.
  void WeightGradient() {
    std::vector<int64_t> chosen(static_cast<size_t>(batch_));
    for (int64_t& row : chosen)
      row = static_cast<int64_t>(random_.Below(static_cast<uint64_t>(samples_.rows)));
    for (int64_t r = 0; r < batch_; ++r)
      for (int64_t c = 0; c < n_; ++c)
        x_transposed_[static_cast<size_t>(c * batch_ + r)] = x_[static_cast<size_t>(r * n_ + c)] =
            samples_.x[static_cast<size_t>(chosen[static_cast<size_t>(r)] * n_ + c)];
    engine::MultiplyTransposed(batch_, m_, n_, x_.data(), weight_.data(), out_.data());
    for (int64_t r = 0; r < batch_; ++r)
      for (int64_t o = 0; o < m_; ++o) {
        const float b = bias_[static_cast<size_t>(o)];
        const float z = out_[static_cast<size_t>(r * m_ + o)] + b;
        const float y =
            samples_.y[static_cast<size_t>(chosen[static_cast<size_t>(r)] * m_ + o)] + b;
        const float error = std::clamp(z, activation_.low, activation_.high) -
                            std::clamp(y, activation_.low, activation_.high);
        const bool passes = z > activation_.low && z < activation_.high;
        slope_[static_cast<size_t>(o * batch_ + r)] =
            passes ? 2 * error / static_cast<float>(batch_) : 0.0f;
      }
    engine::MultiplyTransposed(m_, n_, batch_, slope_.data(), x_transposed_.data(),
                               gradient_.data());
  }

  const UnfoldedLayer& layer_;
  const Samples& samples_;
  const Activation activation_;
  const solver::AdaRoundOptions& options_;
  const int64_t m_, n_, batch_;
  Random random_;
  const std::vector<float>& target_;  // [m, n]
  solver::SoftWeights soft_;
  std::vector<float> bias_;                            // [m]
  std::vector<float> weight_, gradient_;               // [m, n]
  std::vector<float> x_, x_transposed_, out_, slope_;  // of a batch
};

}  // namespace

Result<solver::Solution> AdaRoundOnSamples(const Session& session, const LayerTask& task,
                                           const solver::Params& params,
                                           const solver::AdaRoundOptions& options, int64_t batch) {
  const UnfoldedLayer& layer = task.layer;
  std::vector<Samples> samples(static_cast<size_t>(layer.groups));
  const uint64_t seed = SeedOf(session);
  StatisticsOptions all{.held_out = 0, .seed = seed};
  RETURN_IF_ERROR(ForEachTile(layer, *task.inputs, all, [&](const Tile& tile) {
    Samples& s = samples[static_cast<size_t>(tile.group)];
    s.x.insert(s.x.end(), tile.x.begin(), tile.x.end());
    s.y.insert(s.y.end(), tile.y.begin(), tile.y.end());
    s.rows += tile.rows;
  }));
  const std::vector<double> whole = graph::ReadBias(*session.model.graph, layer.layer);
  const auto first = whole.begin() + layer.first_row;
  const std::vector<double> bias(first, first + layer.rows());
  const Activation activation = ActivationAfter(*session.model.graph, layer.layer);
  solver::Solution solution{.rows = layer.groups * layer.m, .n = layer.n, .params = params};
  solution.codes.resize(static_cast<size_t>(layer.rows() * layer.n));
  ParallelFor(layer.groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      Learner learner(task, g, samples[static_cast<size_t>(g)], bias, activation, params, options,
                      batch, seed);
      for (int i = 0; i < options.iterations && !Interrupted(); ++i) learner.Iterate(i);
      learner.ReadCodes(solution.codes.data() + g * layer.m * layer.n);
    }
  });
  if (Interrupted()) return InterruptedError();
  solver::Score(task.problems, layer.spec, &solution);
  return solution;
}

}  // namespace roundel::layers
