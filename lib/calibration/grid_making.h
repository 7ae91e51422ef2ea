#pragma once
// What the steps share that make the grids of activations.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lib/calibration/score_ranges.h"
#include "lib/graph/bodies.h"
#include "lib/quant/observers.h"
#include "lib/recipe/params.h"
#include "lib/session/session.h"

namespace roundel::calibration {

using Group = ScoreRanges::Group;  // points that share a range

struct GridMaking {
  Session& session;
  const recipe::Params& params;  // of calibrate
  target::Placement* placement;  // changes with the decisions
  quant::EncodingTable* table;   // holds the encodings that earlier passes froze
  std::unique_ptr<quant::Observer> method;
  std::unique_ptr<quant::Observer> whole;  // for points whose whole range counts
  const std::shared_ptr<graph::Graph> graph = graph::WithBodies(session.model);
  ScoreRanges scores{*graph};
  target::RangeDecisions decisions = {};  // that made the placement
  std::set<std::string> asked = {};       // values whose statistics were gathered
  quant::CalibrationStatistics seen = {};
  std::map<int, Group> groups = {};  // of the placement
  int64_t samples = 0;
};

void CollectGroups(GridMaking& s);
// The encoding that an earlier pass froze for a member of the group; nullptr if there is none.
const quant::Encoding* FrozenMember(const GridMaking& s, const Group& group);

}  // namespace roundel::calibration
