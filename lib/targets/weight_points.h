#pragma once
// The constants of a placement: weights of layers and constant operands of element-wise ops.

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/targets/placing.h"

namespace roundel::target {

class WeightPoints {
 public:
  explicit WeightPoints(Placing& placing) : p_(placing) {}

  // Records the axes along which layers use each weight: a weight that is used along different axes
  // can only have one scale. Requires: plans are made; called before the first Add.
  void CollectAxes();
  void Add(const graph::Node& node, size_t index);
  // A constant operand of an element-wise op or Concat is quantized like the other operand: integer
  // kernels require the same type on both sides. `shares`: it shares the range, too.
  void AddOperand(const graph::Node& node, size_t index, bool shares);
  // nullptr: the constant stays float.
  const QuantPoint* Find(const std::string& value) const;
  // Appends the points to the placement.
  void Emit();

 private:
  // The quantization of a layer's constant.
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
  // Whether the target does not support per-channel scales for such a weight; records that.
  bool HasOneScale(const graph::Node& node, const std::string& value);
  void Check(const graph::Node& node, const Choice& choice);
  void AddPoint(const QuantPoint& point);

  Placing& p_;
  std::unordered_map<std::string, Axes> axes_;
  std::set<std::string> operands_;  // constants that are operands next to activations
  std::vector<QuantPoint> points_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace roundel::target
