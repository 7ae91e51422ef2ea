#pragma once
// The constants of a placement: weights of layers and what element-wise ops have as an operand.

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/targets/placing.h"

namespace roundel::target {

class WeightPoints {
 public:
  explicit WeightPoints(Placing& placing) : p_(placing) {}

  // Along which axes layers use each weight: one that they use along different axes can only have
  // one scale. Needs the plans; comes before the first Add.
  void CollectAxes();
  void Add(const graph::Node& node, size_t index);
  // A constant operand of an element-wise op or Concat is quantized like the activation that it
  // meets: integer kernels want the same type on both sides. `shares`: and its range.
  void AddOperand(const graph::Node& node, size_t index, bool shares);
  // nullptr: the constant stays float.
  const QuantPoint* Find(const std::string& value) const;
  // Appends the points to the placement.
  void Emit();

 private:
  // How the constant of a layer is quantized.
  struct Choice {
    quant::Grid grid;
    quant::Granularity granularity;
    int64_t block_size;
    bool is_float = false;
  };
  struct Axes {
    std::set<int64_t> channel, reduce;
  };

  Choice ChoiceOf(const graph::Node& node, const std::string& value);
  // Whether the target has no scales per channel for such a weight, which is then noted.
  bool HasOneScale(const graph::Node& node, const std::string& value);
  void Check(const graph::Node& node, const Choice& choice);
  void AddPoint(const QuantPoint& point);

  Placing& p_;
  std::unordered_map<std::string, Axes> axes_;
  std::set<std::string> operands_;  // constants that meet activations
  std::vector<QuantPoint> points_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace roundel::target
