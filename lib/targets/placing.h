#pragma once
// What the steps of a placement share.

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
  std::map<int, quant::Grid> group_grids;  // where a rule says so
  Placement placement;
  Status problem;  // the first one

  // Keeps the first problem that a rule or an op's own limits have with a choice.
  void Require(Status status) {
    if (problem.ok() && !status.ok()) problem = std::move(status);
  }
  // What the reader of a constant wants of it.
  void AddUse(const graph::Node& node, size_t index, std::string form) {
    placement.constant_uses.push_back(
        {node.input(index), MainOutput(node), static_cast<int>(index), std::move(form)});
  }
  // The grid that a rule gives to an activation.
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
