#pragma once
// Chains of nodes that one kernel computes, and the nodes that no chain contains yet.

#include <optional>
#include <vector>

#include "lib/engine/fusion.h"
#include "lib/engine/plan.h"

namespace roundel::engine {

struct Chain {
  std::vector<int> nodes;
  std::vector<int> inputs;   // slots
  std::vector<int> outputs;  // of the last node
  KernelSpec spec;
  int output() const { return outputs.empty() ? kNoSlot : outputs[0]; }
};

// A chain of one node.
Chain StartChain(const Plan& plan, int node);
// Sets what the spec says of the values that go in and out.
void DescribeValues(const Plan& plan, Chain* chain);

// Whether the first output of the node is the only one that it writes.
bool OneOutput(const PlanNode& node);
bool IsLinear(const graph::Node& node);
bool IsIntegerProduct(const graph::Node& node);

// What the steps share that make chains.
struct Chaining {
  const Plan& plan;
  std::vector<std::vector<Reader>> uses;  // by slot
  std::vector<char> taken;                // by node: some chain contains it

  explicit Chaining(const Plan& plan);

  // All readers of a slot, if its value need not exist by itself and none of them is in a chain;
  // otherwise none.
  std::vector<Reader> Readers(int slot) const;
  // The only reader of the first output of `node`; nullopt if there is not exactly one.
  std::optional<Reader> OnlyReader(int node) const;
  // The only reader of the chain's result, if it has one output; nullptr otherwise.
  const PlanNode* Next(const Chain& chain, Reader* reader) const;
  void Take(Chain* chain, int node);
};

}  // namespace roundel::engine
