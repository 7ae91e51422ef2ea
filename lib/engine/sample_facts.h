#pragma once
// What is known of the values of a plan while its nodes are judged in order: each value is one of
//   common   the same for all samples (constants, positions, one mask for all),
//   batch    of a known rank, and axis 0 counts samples,
//   sizes    a small vector of integers made from shapes,
// or unknown.

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/engine/common_values.h"
#include "lib/engine/plan.h"
#include "lib/engine/sample_sizes.h"

namespace roundel::engine {

struct SampleFacts {
  static constexpr int64_t kUnknown = -1;

  const Plan& plan;
  std::vector<int64_t> ranks = std::vector<int64_t>(plan.slots.size(), kUnknown);  // of batches
  std::vector<std::optional<RankedSizes>> sizes =
      std::vector<std::optional<RankedSizes>>(plan.slots.size());
  // Neither constants nor sizes.
  std::vector<std::optional<Common>> common = std::vector<std::optional<Common>>(plan.slots.size());

  // Facts of input `i` of a node.
  bool Given(const PlanNode& n, size_t i) const;
  const Tensor* Constant(const PlanNode& n, size_t i) const;
  int64_t Rank(const PlanNode& n, size_t i) const;  // kUnknown if it is not a batch
  std::optional<RankedSizes> RankedSizesAt(const PlanNode& n, size_t i) const;
  std::optional<Sizes> SizesAt(const PlanNode& n, size_t i) const;
  std::optional<Common> CommonAt(const PlanNode& n, size_t i) const;
  // Whether all inputs from index `from` on are common.
  bool RestCommon(const PlanNode& n, size_t from = 1) const;
  // Whether a common value remains common when it is broadcast to a batch of this rank.
  bool Fits(const PlanNode& n, size_t i, int64_t rank) const;
  // Reads numbers from an attribute or constant input that names axes or sizes.
  bool Numbers(const PlanNode& n, const char* attribute, size_t input,
               std::vector<int64_t>* numbers) const;

  // Notes that the outputs of a node are batches of this rank. False if the rank is not positive.
  bool Put(const PlanNode& n, int64_t rank);
};

}  // namespace roundel::engine
