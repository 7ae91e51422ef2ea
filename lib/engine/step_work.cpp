#include "lib/engine/step_work.h"

#include <algorithm>

namespace roundel::engine {
namespace {

// The work that one core does in some tens of microseconds.
constexpr double kMinProducts = 1 << 20, kMinElements = 1 << 16;

double Elements(const Shape& shape) {
  double count = 1;
  for (int64_t dim : shape) count *= static_cast<double>(dim);
  return count;
}

}  // namespace

bool WorthThreads(const Plan& plan, const Step& step, const RunState& state) {
  double elements = 0, weights = 0;
  Shape first;
  for (int slot : step.whole.inputs) {
    if (slot == kNoSlot || !state.Has(slot)) continue;
    const Shape& shape = state.shape(slot);
    if (plan.slots[slot].constant)
      weights = std::max(weights, Elements(shape));
    else
      elements += Elements(shape);
    if (first.empty()) first = shape;
  }
  if (elements >= kMinElements) return true;
  // Every element of the input is multiplied by all weights of its channel.
  const graph::Node& node = plan.nodes[step.whole.nodes[0]].node;
  if (first.size() < 2 || weights == 0 || node.op_type.find("Norm") != std::string::npos)
    return false;
  const bool convolution = node.op_type.find("Conv") != std::string::npos;
  const auto channels =
      static_cast<double>(std::max<int64_t>(1, convolution ? first[1] : first.back()));
  return elements * weights / channels >= kMinProducts;
}

}  // namespace roundel::engine
