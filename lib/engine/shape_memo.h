#pragma once
// Memoization of values that a plan computes from shapes alone. Exporters compute sizes with chains
// of Shape, Gather, Concat and similar nodes, with the same results in every run. A step with the
// same inputs as in the last run returns the last results instead of running.

#include <cstdint>
#include <vector>

#include "lib/engine/plan.h"

namespace roundel::engine {

class ShapeMemo {
 public:
  explicit ShapeMemo(const Plan& plan);

  // Whether step `i` reads only shapes, constants and results of other such steps.
  bool Covers(size_t i) const { return !steps_.empty() && steps_[i].covered; }
  // Whether it reads the shape of a value rather than the value.
  bool ReadsShape(size_t i) const { return steps_[i].reads_shape; }
  // The step's results, by output of the node; nullptr if it must run. `shape`: of what it reads,
  // where it reads a shape.
  const std::vector<Tensor>* Recall(size_t i, const Shape& shape);
  // Stores its results after a run; undefined tensors for those that must not be kept.
  void Keep(size_t i, const Shape& shape, std::vector<Tensor> results);

 private:
  struct Memo {
    bool covered = false, reads_shape = false;
    bool known = false;  // `results` belong to `shape` or `versions`
    Shape shape;
    std::vector<int64_t> versions;  // of the inputs that are computed
    std::vector<Tensor> results;
  };
  std::vector<int64_t> Versions(size_t i) const;

  const Plan& plan_;
  std::vector<Memo> steps_;        // empty if none is covered
  std::vector<int64_t> versions_;  // by slot: grows when the value becomes another one
};

}  // namespace roundel::engine
