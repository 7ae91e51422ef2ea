#pragma once

#include <memory>

#include "lib/session/session.h"

namespace roundel {

// While it lives, state.model.graph is the executable graph (ModelState::running_graph). Requires
// that the pass has not changed the graph yet, so that both compute the same values.
class RunnableGraph {
 public:
  explicit RunnableGraph(ModelState& state) : state_(state), flat_(state.model.graph) {
    if (state.running_graph) state.model.graph = state.running_graph;
  }
  ~RunnableGraph() { state_.model.graph = flat_; }
  RunnableGraph(const RunnableGraph&) = delete;
  RunnableGraph& operator=(const RunnableGraph&) = delete;

 private:
  ModelState& state_;
  const std::shared_ptr<graph::Graph> flat_;
};

}  // namespace roundel
