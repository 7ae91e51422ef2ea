#pragma once
// The biases of a placement: int32 if both factors of their scale are known.

#include <set>
#include <string>
#include <vector>

#include "lib/targets/placing.h"
#include "lib/targets/weight_points.h"

namespace roundel::target {

class BiasPoints {
 public:
  BiasPoints(Placing& placing, const WeightPoints& weights) : p_(placing), weights_(weights) {}

  // `layer` has a bias and is quantized.
  void AddUse(const graph::Node& layer);
  // Appends the points to the placement, and the reasons of biases that stay float. Requires: the
  // placement holds the activation points.
  void Emit();

 private:
  struct Use {
    std::string value, input, weight;
    double factor;
    const graph::Node* layer;
  };

  // The reason why a bias stays float, apart from its other readers; "" if it can be int32.
  std::string Problem(const Use& use) const;
  // Nor can it be int32 at two scales (after PlaceSeparately no other node shares it).
  std::string SharingProblem(const std::vector<const Use*>& uses) const;
  void EmitPoint(const Use& use);

  Placing& p_;
  const WeightPoints& weights_;
  std::vector<Use> uses_;
  std::set<std::string> activations_;  // that have points
};

}  // namespace roundel::target
