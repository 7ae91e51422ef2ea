#pragma once
// The recursion of LDLQ for many rows at once: each row (or each row with one candidate scale) is a
// vector lane. Without feedback it is rounding to nearest, with its exact error.

#include <vector>

#include "lib/solver/factor.h"
#include "lib/solver/levels.h"

namespace roundel::solver {

inline constexpr int64_t kVectorLanes = 64;

// Scales and bounds of all vector lanes.
struct VectorLevels {
  float scale[kVectorLanes], low[kVectorLanes], high[kVectorLanes];
  VectorLevels();
  void Set(int64_t lane, const Levels& levels);
};

// Up to kVectorLanes rows on one factor. Positions follow the factor's order and are rounded from
// first to last, in pieces. Vector lanes that are not set hold zeros.
class VectorBatch {
 public:
  VectorBatch(const Factor& factor, bool feedback);

  // Sets the target row [n], in the order of columns.
  void SetTarget(int64_t lane, const float* target);

  // Begins the piece [begin, end), which must follow the previous piece: adds the feedback of the
  // errors so far to its targets.
  void Begin(int64_t begin, int64_t end);
  // Rounds the piece, but returns only loss[kVectorLanes], its part of the error.
  void Try(const VectorLevels& levels, float* loss);
  // Rounds the piece; position begin + i has levels *by_position[i].
  void Round(const std::vector<const VectorLevels*>& by_position);
  // Rounds all positions with the same levels.
  void RoundAll(const VectorLevels& levels);

  float loss(int64_t lane) const { return loss_[lane]; }  // sum of T eps^2 of rounded positions
  float level(int64_t position, int64_t lane) const {
    return levels_[position * kVectorLanes + lane];
  }

 private:
  void BeginLowRank(int64_t begin, int64_t end);
  float Feedback(int64_t from, int64_t to) const {  // S of two positions of the piece
    return factor_.low_rank() ? within_[(from - begin_) * (end_ - begin_) + to - begin_]
                              : factor_.S[from * factor_.n + to];
  }

  const Factor& factor_;
  const bool feedback_;
  int64_t begin_ = 0, end_ = 0;
  std::vector<float> target_, error_, levels_;                     // [n, kVectorLanes]
  std::vector<float> value_, trial_, trial_error_, trial_levels_;  // [end - begin, kVectorLanes]
  std::vector<float> loss_;
  // Low rank: the errors before `summed_` times u, [columns, kVectorLanes]; S inside the
  // piece.
  std::vector<float> sums_, within_;
  int64_t summed_ = 0;
};

}  // namespace roundel::solver
