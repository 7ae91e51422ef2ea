#pragma once
// Ranges of what only exponentials see: attention scores and the masks that are added to them
// (lib/target/score_values.h). Scores get a range that ends a little below the least one that is
// not masked. A mask, however large, reaches as far down as takes the largest score to that end,
// and no further: the sum of codes of very different sizes would lose the scores.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/quant/observers.h"
#include "lib/targets/profile.h"
#include "lib/targets/score_values.h"

namespace roundel::calibration {

class ScoreRanges {
 public:
  using Group = std::vector<const target::QuantPoint*>;

  explicit ScoreRanges(const graph::Graph& graph) : graph_(graph), values_(graph) {}

  // Whether the range of the group is of scores or masks, and of nothing else.
  bool Covers(const Group& group) const;

  // Finds the masks among `seen`, which must have histograms of what groups that it covers hold.
  void FindMasks(const std::map<std::string, quant::ValueStatistics>& seen);

  // Where the values that are not masked begin and end, as far as others are masked.
  struct Unmasked {
    std::optional<double> least, most;
    bool none = false;  // every value is masked
  };
  Unmasked Cut(const Group& group, const quant::Distribution& values) const;

  // Remembers the range of scores, without what is masked, for masks that are added to them.
  void Note(const Group& group, const Unmasked& unmasked, const quant::Grid& grid,
            const quant::Range& range);
  // `range` with room for what is masked, after the ranges of all scores have been noted.
  quant::Range WithMask(const Group& group, const Unmasked& unmasked, const quant::Grid& grid,
                        quant::Range range) const;

  bool IsMask(const std::string& value, const Tensor& constant) const {
    return values_.Contains(value) && target::IsMaskConstant(constant);
  }
  // Of a constant that IsMask: what of it is no mask; with `room`, and of what is.
  quant::Range ConstantRange(const std::string& value, const Tensor& constant, bool room) const;

 private:
  double WidthOf(const std::string& sink) const;
  // How far a mask must reach to outdo the scores; 0 for what nothing is added to, unless `always`.
  double Drop(const std::string& value, bool always) const;
  bool IsSwitch(const std::string& value) const;
  bool IsSubtracted(const std::string& value) const;

  const graph::Graph& graph_;
  const target::ScoreValues values_;
  std::set<std::string> masked_;         // values that a mask enters
  std::map<std::string, double> width_;  // of the ranges of what exponentials read
};

}  // namespace roundel::calibration
