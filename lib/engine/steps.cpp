// Groups nodes into units. A chain starts at a node with a fast kernel that takes post-ops, and
// grows along values that have a single reader and are not needed outside the chain.

#include "lib/engine/steps.h"

#include <algorithm>

#include "lib/engine/chain.h"
#include "lib/engine/chain_growth.h"
#include "lib/engine/fusion.h"

namespace roundel::engine {
namespace {

// A normalization that starts at node `start` becomes a chain.
bool AddNorm(Chaining& s, int start, std::vector<Chain>* chains) {
  const auto norm = MatchNorm(s.plan, start, [&s](int slot) { return s.Readers(slot); });
  if (!norm) return false;
  Chain chain{
      .nodes = norm->nodes, .inputs = {norm->x}, .outputs = s.plan.nodes[norm->last].outputs};
  // If the kernel declines, the nodes run one by one and need their own inputs.
  for (int node : norm->nodes) {
    s.taken[node] = 1;
    for (int slot : s.plan.nodes[node].inputs)
      if (slot != kNoSlot && s.plan.slots[slot].constant) chain.inputs.push_back(slot);
  }
  chain.spec.main = &s.plan.nodes[start].node;
  chain.spec.opset = s.plan.nodes[start].opset;
  chain.spec.norm = NormSpec{norm->centered, norm->epsilon, norm->gamma ? *norm->gamma : Tensor(),
                             norm->beta ? *norm->beta : Tensor()};
  DescribeValues(s.plan, &chain);
  chains->push_back(std::move(chain));
  return true;
}

std::vector<Chain> MakeChains(const Plan& plan, bool fuse) {
  Chaining s(plan);
  std::vector<Chain> chains;
  for (size_t i = 0; i < plan.nodes.size(); ++i) {
    if (s.taken[i]) continue;
    if (fuse && AddNorm(s, static_cast<int>(i), &chains)) continue;
    s.taken[i] = 1;
    chains.push_back(StartChain(plan, static_cast<int>(i)));
    if (fuse) GrowChain(s, &chains.back());
  }
  // A chain runs at the position of its last node, where all its inputs exist.
  std::stable_sort(chains.begin(), chains.end(),
                   [](const Chain& a, const Chain& b) { return a.nodes.back() < b.nodes.back(); });
  return chains;
}

}  // namespace

KernelSpec SingleSpec(const Plan& plan, int node) { return StartChain(plan, node).spec; }

std::vector<Step> MakeSteps(const Plan& plan, bool fuse, std::vector<KernelSpec>* specs) {
  std::vector<Step> steps;
  for (Chain& chain : MakeChains(plan, fuse)) {
    Step step;
    if (chain.nodes.size() > 1)
      for (int node : chain.nodes)
        step.members.push_back({.nodes = {node},
                                .inputs = plan.nodes[node].inputs,
                                .outputs = plan.nodes[node].outputs});
    step.whole = {.nodes = std::move(chain.nodes),
                  .inputs = std::move(chain.inputs),
                  .outputs = std::move(chain.outputs)};
    steps.push_back(std::move(step));
    specs->push_back(std::move(chain.spec));
  }
  return steps;
}

}  // namespace roundel::engine
