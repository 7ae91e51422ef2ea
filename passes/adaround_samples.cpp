#pragma GCC optimize("O3")

#include "passes/adaround_samples.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/interrupt.h"
#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/engine/kernels_onednn/sgemm.h"

namespace roundel::passes {
namespace {

using solver::kSoftOffset;
using solver::kSoftStretch;

// What happens to the layer's output behind it: the identity, or values below and above are cut off.
struct Activation {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

Activation ActivationBehind(const graph::Graph& graph, const graph::WeightedLayer& layer) {
  const graph::Node* next = graph.OnlyConsumer(layer.output());
  Activation activation;
  if (!next) return activation;
  if (next->Is("Relu")) activation.low = 0;
  if (!next->Is("Clip")) return activation;
  const auto bound = [&](size_t input, const char* attribute, float* value) {
    if (const Tensor* t = graph.Constant(next->input(input)); t && t->dtype() == DType::kFloat && t->size() == 1)
      *value = t->data<float>()[0];
    else
      *value = next->Float(attribute, *value);
  };
  bound(1, "min", &activation.low);
  bound(2, "max", &activation.high);
  return activation;
}

// Columns of one group, all that were gathered.
struct Samples {
  std::vector<float> x, y;  // [rows, n], [rows, m]
  int64_t rows = 0;
};

class Learner {
 public:
  Learner(const LayerTask& task, int64_t group, const Samples& samples,
          const std::vector<double>& bias, Activation activation, const solver::Params& params,
          const solver::AdaRoundOptions& options, int64_t batch)
      : layer_(task.layer),
        samples_(samples),
        activation_(activation),
        options_(options),
        m_(layer_.m),
        n_(layer_.n),
        batch_(std::min(batch, std::max<int64_t>(1, samples.rows))),
        random_(static_cast<uint64_t>(group) + 1) {
    const auto size = static_cast<size_t>(m_ * n_);
    for (auto* v : {&scale_, &low_, &high_, &floor_, &v_, &first_, &second_, &weight_, &gradient_})
      v->assign(size, 0.0f);
    for (int64_t o = 0; o < m_; ++o)
      bias_.push_back(static_cast<float>(bias[static_cast<size_t>(group * m_ + o)]));
    x_.resize(static_cast<size_t>(batch_ * n_));
    x_transposed_ = x_;
    out_.resize(static_cast<size_t>(batch_ * m_));
    slope_ = out_;
    Start(group, params);
  }

  void Iterate(int iteration) {
    SoftWeights();
    if (samples_.rows > 0) WeightGradient();
    Step(solver::AdaRoundStepAt(options_, iteration));
  }

  void ReadCodes(int32_t* codes) const {
    for (size_t i = 0; i < v_.size(); ++i) {
      const float up = Soft(v_[i]) >= 0.5f ? 1.0f : 0.0f;
      codes[i] = static_cast<int32_t>(std::clamp(floor_[i] + up, low_[i], high_[i])) + zero_[i];
    }
  }

 private:
  static float Sigmoid(float v) { return 1.0f / (1.0f + std::exp(-v)); }
  static float Soft(float v) { return std::clamp(kSoftStretch * Sigmoid(v) + kSoftOffset, 0.0f, 1.0f); }

  // Levels count from the zero point. V such that the soft weight is the weight itself.
  void Start(int64_t group, const solver::Params& params) {
    const solver::GridSpec& spec = layer_.spec;
    const int64_t blocks = spec.Blocks(n_), wide = spec.ColumnsPerBlock(n_);
    const std::vector<float>& w = layer_.weight[static_cast<size_t>(group)];
    zero_.resize(v_.size());
    for (int64_t o = 0; o < m_; ++o)
      for (int64_t c = 0; c < n_; ++c) {
        const auto i = static_cast<size_t>(o * n_ + c);
        const quant::QParams p =
            params[params.size() == 1 ? 0 : static_cast<size_t>((group * m_ + o) * blocks + c / wide)];
        scale_[i] = p.scale;
        zero_[i] = p.zero_point;
        low_[i] = static_cast<float>(spec.grid.qmin() - p.zero_point);
        high_[i] = static_cast<float>(spec.grid.qmax() - p.zero_point);
        const float level = std::clamp(w[i] / p.scale, low_[i], high_[i]);
        floor_[i] = std::floor(level);
        const float share = std::clamp((level - floor_[i] - kSoftOffset) / kSoftStretch, 1e-4f, 1 - 1e-4f);
        v_[i] = std::log(share / (1 - share));
      }
  }

  void SoftWeights() {
    for (size_t i = 0; i < v_.size(); ++i)
      weight_[i] = scale_[i] * std::clamp(floor_[i] + Soft(v_[i]), low_[i], high_[i]);
  }

  // d/dw^ of the mean over the batch of ||a(W^ x + b) - a(y + b)||^2.
  void WeightGradient() {
    std::vector<int64_t> chosen(static_cast<size_t>(batch_));
    for (int64_t& row : chosen) row = static_cast<int64_t>(random_.Below(static_cast<uint64_t>(samples_.rows)));
    for (int64_t r = 0; r < batch_; ++r)
      for (int64_t c = 0; c < n_; ++c)
        x_transposed_[static_cast<size_t>(c * batch_ + r)] = x_[static_cast<size_t>(r * n_ + c)] =
            samples_.x[static_cast<size_t>(chosen[static_cast<size_t>(r)] * n_ + c)];
    engine::MultiplyTransposed(batch_, m_, n_, x_.data(), weight_.data(), out_.data());
    for (int64_t r = 0; r < batch_; ++r)
      for (int64_t o = 0; o < m_; ++o) {
        const float b = bias_[static_cast<size_t>(o)];
        const float z = out_[static_cast<size_t>(r * m_ + o)] + b;
        const float y = samples_.y[static_cast<size_t>(chosen[static_cast<size_t>(r)] * m_ + o)] + b;
        const float error = std::clamp(z, activation_.low, activation_.high) -
                            std::clamp(y, activation_.low, activation_.high);
        const bool passes = z > activation_.low && z < activation_.high;
        slope_[static_cast<size_t>(o * batch_ + r)] =
            passes ? 2 * error / static_cast<float>(batch_) : 0.0f;
      }
    engine::MultiplyTransposed(m_, n_, batch_, slope_.data(), x_transposed_.data(), gradient_.data());
  }

  void Step(const solver::AdaRoundStep& step) {
    const auto [lambda, beta, rate, root] = step;
    for (size_t i = 0; i < v_.size(); ++i) {
      const float sigmoid = Sigmoid(v_[i]), stretched = kSoftStretch * sigmoid + kSoftOffset;
      const float h = std::clamp(stretched, 0.0f, 1.0f), soft = floor_[i] + h;
      const float slope =
          stretched > 0 && stretched < 1 ? kSoftStretch * sigmoid * (1 - sigmoid) : 0.0f;
      float down = soft >= low_[i] && soft <= high_[i] ? gradient_[i] * scale_[i] : 0.0f;
      if (lambda > 0 && slope > 0) {
        const float centred = 2 * h - 1;
        const double pull = 2 * beta * std::pow(std::fabs(static_cast<double>(centred)), beta - 1);
        down -= static_cast<float>(lambda * (centred > 0 ? pull : -pull));
      }
      const float g = slope * down;
      first_[i] = 0.9f * first_[i] + 0.1f * g;
      second_[i] = 0.999f * second_[i] + 0.001f * g * g;
      v_[i] -= static_cast<float>(rate * first_[i] / (std::sqrt(second_[i] * root) + 1e-8));
    }
  }

  const UnfoldedLayer& layer_;
  const Samples& samples_;
  const Activation activation_;
  const solver::AdaRoundOptions& options_;
  const int64_t m_, n_, batch_;
  Random random_;
  std::vector<int32_t> zero_;
  std::vector<float> bias_;                                       // [m]
  std::vector<float> scale_, low_, high_, floor_, v_, first_, second_, weight_, gradient_;  // [m, n]
  std::vector<float> x_, x_transposed_, out_, slope_;             // of a batch
};

}  // namespace

Result<solver::Solution> AdaRoundOnSamples(const Session& session, const LayerTask& task,
                                           const solver::Params& params,
                                           const solver::AdaRoundOptions& options, int64_t batch) {
  const UnfoldedLayer& layer = task.layer;
  std::vector<Samples> samples(static_cast<size_t>(layer.groups));
  StatisticsOptions all{.held_out = 0};
  RETURN_IF_ERROR(ForEachTile(layer, *task.inputs, all, [&](const Tile& tile) {
    Samples& s = samples[static_cast<size_t>(tile.group)];
    s.x.insert(s.x.end(), tile.x.begin(), tile.x.end());
    s.y.insert(s.y.end(), tile.y.begin(), tile.y.end());
    s.rows += tile.rows;
  }));
  const std::vector<double> bias = graph::ReadBias(*session.model.graph, layer.layer);
  const Activation activation = ActivationBehind(*session.model.graph, layer.layer);
  solver::Solution solution{.rows = layer.groups * layer.m, .n = layer.n, .params = params};
  solution.codes.resize(layer.place.size());
  ParallelFor(layer.groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      Learner learner(task, g, samples[static_cast<size_t>(g)], bias, activation, params, options, batch);
      for (int i = 0; i < options.iterations && !Interrupted(); ++i) learner.Iterate(i);
      learner.ReadCodes(solution.codes.data() + g * layer.m * layer.n);
    }
  });
  if (Interrupted()) return InterruptedError();
  solver::Score(task.problems, layer.spec, &solution);
  return solution;
}

}  // namespace roundel::passes
