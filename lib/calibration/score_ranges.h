#pragma once
// Ranges of values that only exponentials read: attention scores and additive masks
// (lib/targets/score_values.h). The range of scores ends a little below the least unmasked score.
// The range of a mask, however large its values, reaches only so far that the largest score plus
// the mask is at that end: a wider range would lose the scores in the sum.

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

  explicit ScoreRanges(const graph::Graph& graph) : values_(graph) {}

  // Whether the group holds only scores or masks.
  bool Covers(const Group& group) const;

  // Finds the masks in `seen`. Requires: histograms of the values of all covered groups.
  void FindMasks(const std::map<std::string, quant::ValueStatistics>& seen);

  // The least and largest unmasked value, on the sides that have masked values.
  struct Unmasked {
    std::optional<double> least, most;
    bool none = false;  // every value is masked
  };
  Unmasked Cut(const Group& group, const quant::Distribution& values) const;

  // Records the unmasked range of scores, for the masks that are added to them.
  void Note(const Group& group, const Unmasked& unmasked, const quant::Grid& grid,
            const quant::Range& range);
  // `range` widened for masked values. Requires: the ranges of all scores are recorded.
  quant::Range WithMask(const Group& group, const Unmasked& unmasked, const quant::Grid& grid,
                        quant::Range range) const;

  bool IsMask(const std::string& value, const Tensor& constant) const {
    return values_.Contains(value) && target::IsMaskConstant(constant);
  }
  // The unmasked range of a constant that IsMask; with `room`, widened for its masked values.
  quant::Range ConstantRange(const std::string& value, const Tensor& constant, bool room) const;

 private:
  double WidthOf(const std::string& sink) const;
  // The reach of a mask below the scores; 0 for values that nothing is added to, unless `always`.
  double Drop(const std::string& value, bool always) const;
  bool IsSwitch(const std::string& value) const;
  bool IsSubtracted(const std::string& value) const;

  const target::ScoreValues values_;
  std::set<std::string> masked_;         // values with an added mask
  std::map<std::string, double> width_;  // widths of the ranges of values that exponentials read
};

}  // namespace roundel::calibration
