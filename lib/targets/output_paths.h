#pragma once
// On which ways values reach the outputs of a graph: whether a rare value still counts there.

#include <string>
#include <unordered_set>

#include "lib/graph/graph.h"

namespace roundel::target {

struct OutputPaths {
  // Reach a graph output through nothing but operators that move values, keep their order,
  // normalise them or combine them one by one; graph outputs are among them. What is rarest among
  // these values (the few anchors of a score map that are detections, the word that is certain) is
  // what the output is looked at for.
  std::unordered_set<std::string> direct;
  // Reach one through layers as well, but through no average over places: what a rare value says is
  // still there at its place in the output (detectors, segmentation, sound, tokens). In classifiers
  // with a mean over the image, or with layers behind a Flatten, the same share of a tensor hardly
  // counts. Holds `direct`.
  std::unordered_set<std::string> local;
};

OutputPaths FindOutputPaths(const graph::Graph& graph);

}  // namespace roundel::target
