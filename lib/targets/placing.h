#pragma once
// The shared state of the steps of a placement.

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "lib/targets/node_plan.h"
#include "lib/targets/op_facts.h"
#include "lib/targets/profile.h"
#include "lib/targets/range_groups.h"
#include "lib/targets/rules.h"

namespace roundel::target {

struct Placing {
  const graph::Graph& g;
  const Profile& profile;
  const GridChoice& choice;
  const RangeDecisions& joins;
  NodeSorter sorter;
  RuleSet rules;
  std::unordered_map<const graph::Node*, NodePlan> plans;
  RangeGroups groups;
  std::map<int, quant::Grid> group_grids;  // set by rules
  Placement placement;
  Status problem;  // the first error

  // Records the first violation of a rule or of an op's limits by a choice.
  void Require(Status status) {
    if (problem.ok() && !status.ok()) problem = std::move(status);
  }
  // The form in which a reader needs a constant.
  void AddUse(const graph::Node& node, size_t index, std::string form) {
    placement.constant_uses.push_back(
        {node.input(index), MainOutput(node), static_cast<int>(index), std::move(form)});
  }
  // The grid of an activation by a rule.
  std::optional<quant::Grid> OwnGrid(const std::string& value) {
    const GridRule* rule = rules.OfTensor(g.Producer(value), value);
    return rule ? rule->activations : std::nullopt;
  }
  quant::Grid GroupGrid(int group) const {
    const auto own = group_grids.find(group);
    return own == group_grids.end() ? choice.activations : own->second;
  }
};

}  // namespace roundel::target
