#include "lib/structure/blocks.h"

#include <algorithm>
#include <set>

#include "lib/graph/operators.h"
#include "lib/structure/flow.h"
#include "lib/structure/partition.h"
#include "lib/structure/regions.h"

namespace roundel::structure {
namespace {

using graph::Fact;

class Builder {
 public:
  Builder(const Flow& flow, const graph::Graph& graph, const BlockOptions& options,
          const std::vector<Piece>& pieces)
      : flow_(flow), graph_(graph), options_(options), block_of_(flow.nodes.size(), Flow::kNone) {
    blocks_.resize(pieces.size());
    for (size_t b = 0; b < pieces.size(); ++b) {
      blocks_[b].boundary = pieces[b].boundary;
      for (const int node : pieces[b].nodes) block_of_[node] = static_cast<int>(b);
    }
  }

  std::vector<Block> Run() {
    AddTails();
    AddSides();
    for (size_t n = 0; n < flow_.nodes.size(); ++n)
      if (block_of_[n] != Flow::kNone) AddNode(n, &blocks_[block_of_[n]]);
    FindReaders();
    for (size_t b = 0; b < blocks_.size(); ++b) {
      AddInputs(static_cast<int>(b));
      AddOutputs(static_cast<int>(b));
    }
    return std::move(blocks_);
  }

 private:
  // What follows the last layers, as far as a loss can be taken there: a distribution says less than
  // the logits.
  bool IsTail(size_t n) const {
    const graph::Node& node = *flow_.nodes[n];
    if (flow_.core[n] || !flow_.trained[n] || flow_.from[n].empty()) return false;
    if (graph::Has(node, Fact::kNormalizes | Fact::kHasBodies)) return false;
    return !options_.why_no_gradient || options_.why_no_gradient(node).empty();
  }

  void AddTails() {
    // The block after which a node can be computed, though it may be in none.
    std::vector<int> earliest = block_of_;
    for (size_t n = 0; n < flow_.nodes.size(); ++n) {
      for (const int source : flow_.sources[n])
        earliest[n] = std::max(earliest[n], earliest[source]);
      if (!IsTail(n)) continue;
      const int block = block_of_[flow_.from[n][0]];
      const bool from_one = std::all_of(flow_.from[n].begin(), flow_.from[n].end(),
                                        [&](int source) { return block_of_[source] == block; });
      if (from_one && earliest[n] <= block) block_of_[n] = block;
    }
  }

  // Computations of sizes, masks and other things of the results of layers, for layers after them.
  // They join the block that needs them if that reads their sources anyway, else they are made as
  // early as possible.
  void AddSides() {
    std::set<std::pair<int, std::string>> read;
    for (size_t n = 0; n < flow_.nodes.size(); ++n)
      if (block_of_[n] != Flow::kNone)
        for (const std::string& value : flow_.reads[n]) read.emplace(block_of_[n], value);
    const std::vector<int> user = FindUsers();
    for (size_t n = 0; n < flow_.nodes.size(); ++n) {
      if (user[n] == Flow::kNone || block_of_[n] != Flow::kNone) continue;
      int earliest = Flow::kNone;
      bool at_hand = user[n] != kSeveral;
      for (const std::string& value : flow_.reads[n]) {
        const int source = flow_.Producer(value);
        const int block = source == Flow::kNone ? Flow::kNone : block_of_[source];
        earliest = std::max(earliest, block);
        at_hand = at_hand && (block == user[n] || read.contains({user[n], value}));
      }
      if (earliest == Flow::kNone) continue;
      block_of_[n] = at_hand ? user[n] : earliest;
      side_.insert(n);
    }
  }

  // The block that needs each node outside of blocks.
  std::vector<int> FindUsers() const {
    std::vector<int> user = block_of_;
    for (size_t n = user.size(); n-- > 0;)
      for (const int source : flow_.sources[n])
        if (user[n] != Flow::kNone && block_of_[source] == Flow::kNone)
          user[source] =
              user[source] == Flow::kNone || user[source] == user[n] ? user[n] : kSeveral;
    return user;
  }

  void AddNode(size_t n, Block* block) {
    const std::string& name = flow_.nodes[n]->NameOrOutput();
    if (block->layers.empty() && (flow_.layer[n] || block->nodes.empty())) block->name = name;
    block->nodes.push_back(n);
    if (!flow_.layer[n]) return;
    block->layers.push_back(n);
    block->weights.push_back(flow_.Weight(static_cast<int>(n)));
  }

  void FindReaders() {
    for (size_t n = 0; n < flow_.nodes.size(); ++n)
      for (const std::string& value : flow_.reads[n])
        if (const int source = flow_.Producer(value);
            source != Flow::kNone && block_of_[source] != block_of_[n])
          read_outside_.insert(value);
  }

  // The main input is the last computed float that depends on a layer; of others, the last that is
  // before a layer, then the first of all.
  int RankOfInput(const std::string& value) const {
    const int source = flow_.Producer(value);
    if (source == Flow::kNone) return flow_.IsFloat(value) ? 0 : -1;
    const int count = static_cast<int>(flow_.nodes.size());
    if (!flow_.IsFloat(value)) return -1;
    return 1 + source + (flow_.core[source] ? count : 0) + (flow_.trained[source] ? count : 0);
  }

  void AddInputs(int b) {
    Block& block = blocks_[b];
    for (const size_t n : block.nodes)
      for (const std::string& value : flow_.reads[n]) {
        const int source = flow_.Producer(value);
        const bool inside = source != Flow::kNone && block_of_[source] == b;
        const bool listed =
            std::find(block.inputs.begin(), block.inputs.end(), value) != block.inputs.end();
        if (!inside && !listed) block.inputs.push_back(value);
      }
    std::stable_sort(block.inputs.begin(), block.inputs.end(),
                     [&](const std::string& a, const std::string& b) {
                       return RankOfInput(a) > RankOfInput(b);
                     });
  }

  void AddOutputs(int b) {
    Block& block = blocks_[b];
    std::vector<std::string> others;
    std::set<size_t> trained = DependOnLayers(block);
    std::set<size_t> leads;  // on a way to a target
    for (auto n = block.nodes.rbegin(); n != block.nodes.rend(); ++n) {
      const bool from_layer = trained.contains(*n);
      std::vector<std::string> inside;
      bool leads_on = leads.contains(*n);
      for (const std::string& value : flow_.nodes[*n]->outputs) {
        if (value.empty()) continue;
        const bool target = from_layer && flow_.IsFloat(value);
        if (!read_outside_.contains(value) && !graph_.IsOutput(value)) {
          if (target) inside.push_back(value);
          continue;
        }
        (target ? block.outputs : others).push_back(value);
        leads_on |= target;
      }
      if (!leads_on && !inside.empty()) block.outputs.push_back(inside[0]);
      if (!from_layer) continue;
      for (const int source : flow_.from[*n]) leads.insert(source);
    }
    block.targets = block.outputs.size();
    block.outputs.insert(block.outputs.end(), others.begin(), others.end());
  }

  // What a loss can reach the block's layers from.
  std::set<size_t> DependOnLayers(const Block& block) const {
    std::set<size_t> depend;
    for (const size_t n : block.nodes) {
      const auto& from = flow_.from[n];
      const bool after = std::any_of(from.begin(), from.end(),
                                     [&](int source) { return depend.contains(source); });
      if (flow_.layer[n] || (after && !side_.contains(n))) depend.insert(n);
    }
    return depend;
  }

  static constexpr int kSeveral = -2;

  const Flow& flow_;
  const graph::Graph& graph_;
  const BlockOptions& options_;
  std::vector<int> block_of_;
  std::set<size_t> side_;  // nodes that AddSides placed
  std::set<std::string> read_outside_;
  std::vector<Block> blocks_;
};

}  // namespace

std::vector<Block> FindBlocks(const graph::Model& model, const BlockOptions& options) {
  const Flow flow(model);
  const Regions regions = FindRegions(flow);
  return Builder(flow, *model.graph, options, Partition(flow, regions, options)).Run();
}

}  // namespace roundel::structure
