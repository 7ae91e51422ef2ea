#pragma GCC optimize("O3")

#include "lib/tune/optimizer.h"

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"

namespace roundel::tune {
namespace {

constexpr double kFirstDecay = 0.9, kSecondDecay = 0.999;
constexpr float kEpsilon = 1e-8f;
constexpr int64_t kGrain = 16384;  // elements of a chunk

}  // namespace

Optimizer::Optimizer(std::vector<Learned> learned) : learned_(std::move(learned)) {
  for (const Learned& one : learned_) {
    values_.push_back(one.start);
    moments_.emplace_back();
    if (one.rule == Rule::kSign) continue;
    moments_.back().first.resize(static_cast<size_t>(one.start.size()));
    if (one.rule == Rule::kMomentum) continue;
    moments_.back().second.resize(static_cast<size_t>(one.start.size()));
  }
}

void Optimizer::Step(const std::vector<Tensor>& gradients, double schedule) {
  INVARIANT(gradients.size() == learned_.size(), "a gradient for every learned tensor");
  ++steps_;
  const auto steps = static_cast<double>(steps_);
  const auto first_share = static_cast<float>(1 / (1 - std::pow(kFirstDecay, steps)));
  const auto second_share = static_cast<float>(1 / (1 - std::pow(kSecondDecay, steps)));
  for (size_t i = 0; i < learned_.size(); ++i) {
    const Learned& one = learned_[i];
    INVARIANT(gradients[i].shape() == values_[i].shape(), "a gradient of the tensor's shape");
    const auto rate = static_cast<float>(one.decays ? one.rate * schedule : one.rate);
    const float* g = gradients[i].data<float>();
    float* p = values_[i].mutable_data<float>();
    Moments& moments = moments_[i];
    ParallelFor(values_[i].size(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        float step = g[k] > 0 ? 1.0f : g[k] < 0 ? -1.0f : 0.0f;
        if (one.rule == Rule::kAdam) {
          float& m = moments.first[static_cast<size_t>(k)];
          float& v = moments.second[static_cast<size_t>(k)];
          m = static_cast<float>(kFirstDecay) * m + static_cast<float>(1 - kFirstDecay) * g[k];
          v = static_cast<float>(kSecondDecay) * v +
              static_cast<float>(1 - kSecondDecay) * g[k] * g[k];
          step = m * first_share / (std::sqrt(v * second_share) + kEpsilon);
        }
        if (one.rule == Rule::kMomentum) {
          float& m = moments.first[static_cast<size_t>(k)];
          m = static_cast<float>(kFirstDecay) * m + g[k];
          step = m;
        }
        p[k] = std::clamp(p[k] - rate * step, one.low, one.high);
      }
    });
  }
}

}  // namespace roundel::tune
