#pragma once
// The contract of gradient rules, one per operator: a function that emits the nodes of the gradient. A
// file of lib/grad/rules defines the rules of one family, and rules.def lists the families.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/grad/emitter.h"
#include "lib/graph/graph.h"

namespace roundel::grad {

using Rule = Status (*)(Emitter& emit);

// The inputs that a gradient can pass to, as bits.
using Inputs = uint32_t;
constexpr Inputs kNone = 0, kFirst = 1, kFirstTwo = 3, kFirstThree = 7, kAll = ~Inputs{0};

struct RuleRow {
  const char* op_type;
  const char* domain;
  Inputs inputs = kFirst;  // others are indices, sizes, conditions or frozen statistics
  Rule rule = nullptr;     // nullptr: the result does not vary with floats, or `why` says why not
  // Why this node, with its attributes and constants, has no gradient; "" if it has.
  std::string (*why)(const graph::Model& model, const graph::Node& node) = nullptr;
  uint32_t results = 1;  // the results whose gradients the rule reads, as bits
  // Whether this node's result does not vary with floats, so that paths end here.
  bool (*ends)(const graph::Node& node) = nullptr;
};

// nullptr if the operator has no row.
const RuleRow* FindRule(const graph::Node& node);
// The whole table, sorted.
const std::vector<RuleRow>& RuleTable();

#define ROUNDEL_GRADIENTS(name) std::vector<RuleRow> name##Rules();
#include "lib/grad/rules.def"
#undef ROUNDEL_GRADIENTS

}  // namespace roundel::grad
