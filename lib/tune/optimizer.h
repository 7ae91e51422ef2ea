#pragma once
// Optimizers of learned tensors. Each tensor has its rule and rate.
//
//   Adam      Kingma and Ba 2015, algorithm 1: b1 0.9, b2 0.999, epsilon 1e-8, bias-corrected
//   momentum  m = 0.9 m + g, p -= rate * m (as LSQ is published)
//   sign      p -= rate * sign(g): no state (SignSGD; AutoRound, Cheng et al. 2023)

#include <limits>
#include <string>
#include <vector>

#include "lib/tensor/tensor.h"

namespace roundel::tune {

enum class Rule { kAdam, kSign, kMomentum };

struct Learned {
  std::string name;  // of the graph input
  Tensor start;      // float32
  Rule rule = Rule::kAdam;
  double rate = 1e-3;
  bool decays = true;  // the schedule multiplies the rate
  bool codes = false;  // decides on codes; scales, biases and ranges do not
  // Bounds of each element after a step.
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

class Optimizer {
 public:
  explicit Optimizer(std::vector<Learned> learned);

  const std::vector<Learned>& learned() const { return learned_; }
  const std::vector<Tensor>& values() const { return values_; }
  // One step against `gradients`, in the order of the learned tensors; `schedule` multiplies the
  // rates that decay. Requires: gradients of the same shapes.
  void Step(const std::vector<Tensor>& gradients, double schedule);

 private:
  struct Moments {
    std::vector<float> first, second;
  };
  std::vector<Learned> learned_;
  std::vector<Tensor> values_;
  std::vector<Moments> moments_;  // first: of Adam and momentum; second: of Adam
  int64_t steps_ = 0;
};

}  // namespace roundel::tune
