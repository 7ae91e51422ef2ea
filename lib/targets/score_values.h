#pragma once
// Attention masks, found by structure. Scores that are to be ignored have a large negative number
// or -infinity added to them or put in their place; the exponentials of a Softmax then are zero.
// What only exponentials see may lie anywhere below the scores: such values need not be finite, and
// a grid for them need not reach down to them (lib/quant/masking.h).

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
    double factor = 1;   // by which constants scale it on the way
    bool added = false;  // something is added to it on the way, or it is one of several operands
  };
  using Sinks = std::map<std::string, Path>;  // by the value that the exponential reads

  explicit ScoreValues(const graph::Graph& graph);

  // Whether nothing but exponentials (Softmax, Exp and their like, and maxima) read what becomes of
  // `value` by adding, choosing, scaling by constants and moving.
  bool Contains(const std::string& value) const { return sinks_.contains(value); }
  const Sinks& SinksOf(const std::string& value) const { return sinks_.at(value); }
  // The same, or the maximum of such a value, which has its range.
  bool HasRangeOfScores(const std::string& value) const;

  // Values that Contains() and that `sources` or constants of a mask's size enter; these included.
  std::set<std::string> MaskedBy(const std::set<std::string>& sources) const;

 private:
  void Visit(const std::string& value);
  bool FromMaskConstant(const graph::Node& node, size_t input) const;

  const graph::Graph& graph_;
  std::unordered_map<std::string, Sinks> sinks_;
};

// Whether a constant among scores holds what a mask consists of: infinity, magnitudes beyond any
// score's, or a value far below all others.
bool IsMaskConstant(const Tensor& constant);

}  // namespace roundel::target
