#pragma once
// The recursion of LDLQ for many rows at once: each row (or each row with one candidate scale) is a
// lane of the vector loops. Without feedback it is rounding to nearest, with its exact error.

#include <vector>

#include "lib/solver/factor.h"
#include "lib/solver/levels.h"

namespace roundel::solver {

inline constexpr int64_t kLanes = 64;

// Scales and bounds of all lanes.
struct LaneLevels {
  float scale[kLanes], low[kLanes], high[kLanes];
  LaneLevels();
  void Set(int64_t lane, const Levels& levels);
};

// Up to kLanes lanes on one factor. Positions are those of the factor's order, and are rounded from
// the first to the last, in pieces. Lanes that are not set hold zeros.
class LaneBatch {
 public:
  LaneBatch(const Factor& factor, bool feedback);

  // The row of targets [n], in columns.
  void SetTarget(int64_t lane, const float* target);

  // Begins the piece [begin, end), which is to follow the one before: what the errors so far ask of its
  // targets.
  void Begin(int64_t begin, int64_t end);
  // Rounds the piece and keeps nothing but loss[kLanes], its part of the error.
  void Try(const LaneLevels& levels, float* loss);
  // Rounds the piece; position begin + i has levels *by_position[i].
  void Round(const std::vector<const LaneLevels*>& by_position);
  // Everything, with the same levels at all positions.
  void RoundAll(const LaneLevels& levels);

  float loss(int64_t lane) const { return loss_[lane]; }  // sum of T eps^2 of what is rounded
  float level(int64_t position, int64_t lane) const { return levels_[position * kLanes + lane]; }

 private:
  void BeginLowRank(int64_t begin, int64_t end);
  float Feedback(int64_t from, int64_t to) const {  // S of two positions of the piece
    return factor_.low_rank() ? within_[(from - begin_) * (end_ - begin_) + to - begin_]
                              : factor_.S[from * factor_.n + to];
  }

  const Factor& factor_;
  const bool feedback_;
  int64_t begin_ = 0, end_ = 0;
  std::vector<float> target_, error_, levels_;                     // [n, kLanes]
  std::vector<float> value_, trial_, trial_error_, trial_levels_;  // [end - begin, kLanes]
  std::vector<float> loss_;
  // Of a factor in low rank: the errors before `summed_` times u, [columns, kLanes], and S within the piece.
  std::vector<float> sums_, within_;
  int64_t summed_ = 0;
};

}  // namespace roundel::solver
