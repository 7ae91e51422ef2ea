#include "lib/engine/sample_facts.h"

namespace roundel::engine {

bool SampleFacts::Given(const PlanNode& n, size_t i) const {
  return i < n.inputs.size() && n.inputs[i] != kNoSlot;
}

const Tensor* SampleFacts::Constant(const PlanNode& n, size_t i) const {
  if (!Given(n, i)) return nullptr;
  const auto& constant = plan.slots[n.inputs[i]].constant;
  return constant ? &*constant : nullptr;
}

int64_t SampleFacts::Rank(const PlanNode& n, size_t i) const {
  return Given(n, i) && !Constant(n, i) ? ranks[n.inputs[i]] : kUnknown;
}

std::optional<RankedSizes> SampleFacts::RankedSizesAt(const PlanNode& n, size_t i) const {
  if (!Given(n, i)) return std::nullopt;
  const Tensor* constant = Constant(n, i);
  if (!constant) return sizes[static_cast<size_t>(n.inputs[i])];
  if (!IsInteger(constant->dtype()) || constant->rank() > 1 || constant->size() > kMaxSizes)
    return std::nullopt;
  return RankedSizes{constant->ToInt64s(), constant->rank()};
}

std::optional<Sizes> SampleFacts::SizesAt(const PlanNode& n, size_t i) const {
  const auto sizes = RankedSizesAt(n, i);
  return sizes ? std::optional(sizes->numbers) : std::nullopt;
}

std::optional<Common> SampleFacts::CommonAt(const PlanNode& n, size_t i) const {
  if (!Given(n, i)) return std::nullopt;
  const auto sizes = SizesAt(n, i);
  if (const Tensor* constant = Constant(n, i)) return Common{constant->shape(), sizes};
  if (!sizes) return common[static_cast<size_t>(n.inputs[i])];
  if (HaveSamples(*sizes)) return std::nullopt;
  const bool scalar = RankedSizesAt(n, i)->rank == 0;
  return Common{scalar ? Sizes{} : Sizes{std::ssize(*sizes)}, sizes};
}

bool SampleFacts::RestCommon(const PlanNode& n, size_t from) const {
  for (size_t i = from; i < n.inputs.size(); ++i)
    if (Given(n, i) && !CommonAt(n, i)) return false;
  return true;
}

bool SampleFacts::Fits(const PlanNode& n, size_t i, int64_t rank) const {
  const auto common = CommonAt(n, i);
  if (!common) return false;
  const int64_t own = std::ssize(common->dims);
  return own < rank || (own == rank && common->dims[0] == 1);
}

bool SampleFacts::Numbers(const PlanNode& n, const char* attribute, size_t input,
                          std::vector<int64_t>* numbers) const {
  if (Given(n, input)) {
    const Tensor* constant = Constant(n, input);
    if (!constant || !IsInteger(constant->dtype())) return false;
    *numbers = constant->ToInt64s();
    return true;
  }
  *numbers = n.node.Ints(attribute);
  return n.node.FindAttribute(attribute) != nullptr;
}

bool SampleFacts::Put(const PlanNode& n, int64_t rank) {
  for (int slot : n.outputs)
    if (slot != kNoSlot) ranks[slot] = rank;
  return rank > 0;
}

}  // namespace roundel::engine
