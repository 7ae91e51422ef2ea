#pragma once
// Detection of attention masks by structure. Ignored scores are replaced by a large negative number
// or -infinity, or have it added; the exponentials of a Softmax then are zero. Values that only
// exponentials read may lie anywhere below the scores: they need not be finite, and a grid for them
// need not cover them (lib/quant/masking.h).

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::target {

class ScoreValues {
 public:
  // How a value enters the exponential that reads `Sinks` by its name.
  struct Path {
    double factor = 1;   // product of the constants that scale it
    bool added = false;  // a value is added to it, or it is one of several operands
  };
  using Sinks = std::map<std::string, Path>;  // keyed by the input of the exponential

  explicit ScoreValues(const graph::Graph& graph);

  // Whether `value` reaches only exponentials (Softmax, Exp and similar, and maxima), through
  // additions, selections, scaling by constants and moves.
  bool Contains(const std::string& value) const { return sinks_.contains(value); }
  const Sinks& SinksOf(const std::string& value) const { return sinks_.at(value); }
  // Contains(), or the maximum of such a value, which has its range.
  bool HasRangeOfScores(const std::string& value) const;

  // `sources`, and values that Contains() with one of them or a mask-sized constant as operand.
  std::set<std::string> MaskedBy(const std::set<std::string>& sources) const;

 private:
  void Visit(const std::string& value);
  bool FromMaskConstant(const graph::Node& node, size_t input) const;

  const graph::Graph& graph_;
  std::unordered_map<std::string, Sinks> sinks_;
};

// Whether a constant among scores has values of a mask: infinity, magnitudes beyond those of
// scores, or a value far below all others.
bool IsMaskConstant(const Tensor& constant);

}  // namespace roundel::target
