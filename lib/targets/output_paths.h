#pragma once
// The paths from values to the outputs of a graph: do rare values still count there?

#include <string>
#include <unordered_set>

#include "lib/graph/graph.h"

namespace roundel::target {

struct OutputPaths {
  // Values that reach a graph output only through operators that move values, keep their order,
  // normalize them or combine them element by element; includes graph outputs. The rarest of
  // these values (the few detections of a score map, the certain word) are the purpose of the
  // output.
  std::unordered_set<std::string> direct;
  // Values that reach one also through layers, but not through an average over positions: a rare
  // value still has an effect at its position of the output (detectors, segmentation, audio,
  // tokens). In classifiers with a mean over the image, or with layers after a Flatten, the same
  // share of a tensor hardly counts. Includes `direct`.
  std::unordered_set<std::string> local;
};

OutputPaths FindOutputPaths(const graph::Graph& graph);

}  // namespace roundel::target
