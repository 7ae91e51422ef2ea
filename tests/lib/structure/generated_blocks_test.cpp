// Properties of blocks over generated networks, checked by brute force from the graph.

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "lib/structure/blocks.h"
#include "lib/structure/regions.h"
#include "tests/support/catch.h"

namespace roundel::structure {
namespace {

using graph::Node;

// Draws networks: chains, branches that join or do not, side inputs, sizes, operators without a
// gradient, several outputs.
class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  graph::Model Draw() {
    const int count = 1 + Below(40);
    reach_ = 1 + Below(12);  // how far back an operator reads
    values_ = {"x"};
    if (Below(3) == 0) values_.push_back("side");
    for (int n = 0; n < count; ++n) AddNode(n);
    const std::string text = StrCat(R"(opset 17, com.x 1
      graph g (float32[?] x, float32[?] side, int64[?] ids) => (float32[?] )",
                                    values_.back(), ExtraOutput(), R"() {
      float32[4,4] w = ones
      float32[9,4] table = ones
      )",
                                    nodes_, "}");
    INFO(text);
    const auto model = graph::Parse(text);
    INFO(model.status().message());
    REQUIRE(model.ok());
    return graph::Clone(*model);
  }

 private:
  int Below(int n) { return static_cast<int>(random_.Next() % static_cast<uint64_t>(n)); }

  std::string Value() {
    const int count = static_cast<int>(values_.size());
    return values_[std::max(0, count - 1 - Below(std::min(reach_, count)))];
  }

  void AddNode(int n) {
    const std::string y = StrCat("v", n);
    const int kind = Below(20);
    std::string node = StrCat(y, " = MatMul(", Value(), ", w)");
    if (kind >= 7) node = StrCat(y, " = Relu(", Value(), ")");
    if (kind >= 9) node = StrCat(y, " = Add(", Value(), ", ", Value(), ")");
    if (kind >= 12)
      node = StrCat(y, " = Concat<axis=0>(", Value(), ", ", Value(), ", ", Value(), ")");
    if (kind == 13) node = StrCat(y, " = Mul(", Value(), ", ", Value(), ")");
    if (kind == 14) node = StrCat(y, " = com.x.Opaque(", Value(), ")");
    if (kind == 15)
      node = StrCat("s", n, " = Shape(", Value(), ") ", y, " = Reshape(", Value(), ", s", n, ")");
    if (kind == 16)
      node = StrCat("i", n, " = ArgMax(", Value(), ") ", y, " = Gather(table, i", n, ")");
    if (kind == 17) node = StrCat(y, ", ", y, "b = Split<num_outputs=2>(", Value(), ")");
    if (kind == 18) node = StrCat(y, " = Gather(table, ids)");
    if (kind == 19) node = StrCat(y, " = Softmax(", Value(), ")");
    nodes_ += StrCat("      ", node, "\n");
    values_.push_back(y);
    if (kind == 17) values_.push_back(y + "b");
  }

  std::string ExtraOutput() {
    const std::string value = Value();
    return value == values_.back() || value == "x" || value == "side" || Below(2)
               ? ""
               : StrCat(", float32[?] ", value);
  }

  Random random_;
  std::vector<std::string> values_;
  std::string nodes_;
  int reach_ = 1;
};

std::string WhyNot(const Node& node) {
  return node.op_type == "Opaque" ? "no rule" : std::string();
}

// What the checks below know of a network, straight from its nodes.
struct Facts {
  explicit Facts(const graph::Model& model) : graph(*model.graph) {
    for (const graph::NodePtr& node : graph.nodes()) nodes.push_back(node.get());
    for (size_t n = 0; n < nodes.size(); ++n)
      for (const std::string& value : nodes[n]->outputs) producer[value] = n;
  }

  static bool IsFloat(const std::string& value) { return value[0] != 's' && value[0] != 'i'; }
  bool IsConstant(const std::string& value) const { return value == "w" || value == "table"; }
  bool IsLayer(size_t n) const { return nodes[n]->Is("MatMul"); }
  // Nodes that read a float of node n.
  bool FeedsFloat(size_t n, size_t reader) const {
    for (const std::string& value : nodes[reader]->inputs)
      if (producer.contains(value) && producer.at(value) == n && IsFloat(value)) return true;
    return false;
  }
  // From each node of `starts` along floats, within `allowed`; starts excluded.
  std::set<size_t> After(const std::set<size_t>& starts, const std::set<size_t>& allowed) const {
    std::set<size_t> seen = starts, after;
    for (size_t n = 0; n < nodes.size(); ++n)
      for (size_t before = 0; before < n; ++before)
        if (seen.contains(before) && allowed.contains(n) && FeedsFloat(before, n)) {
          seen.insert(n);
          after.insert(n);
        }
    return after;
  }

  const graph::Graph& graph;
  std::vector<const Node*> nodes;
  std::map<std::string, size_t> producer;
};

std::set<size_t> All(const Facts& facts) {
  std::set<size_t> all;
  for (size_t n = 0; n < facts.nodes.size(); ++n) all.insert(n);
  return all;
}

void CheckCover(const Facts& facts, const std::vector<Block>& blocks) {
  std::map<size_t, int> times;
  for (const Block& block : blocks) {
    CHECK(std::is_sorted(block.nodes.begin(), block.nodes.end()));
    CHECK_FALSE(block.layers.empty());
    CHECK(block.weights.size() == block.layers.size());
    for (const size_t n : block.nodes) ++times[n];
    for (const size_t n : block.layers) CHECK(facts.IsLayer(n));
    CHECK(std::count_if(block.nodes.begin(), block.nodes.end(), [&](size_t n) {
            return facts.IsLayer(n);
          }) == static_cast<std::ptrdiff_t>(block.layers.size()));
  }
  std::set<size_t> layers;
  for (size_t n = 0; n < facts.nodes.size(); ++n)
    if (facts.IsLayer(n)) layers.insert(n);
  const std::set<size_t> all = All(facts), after = facts.After(layers, all);
  for (size_t n = 0; n < facts.nodes.size(); ++n) {
    CHECK(times[n] <= 1);
    if (facts.IsLayer(n)) CHECK(times[n] == 1);
    bool before = false;  // on a way from a layer to a layer
    for (const size_t later : facts.After({n}, all)) before |= facts.IsLayer(later);
    if (after.contains(n) && before) CHECK(times[n] == 1);
  }
}

void CheckInterfaces(const Facts& facts, const std::vector<Block>& blocks) {
  std::map<size_t, size_t> block_of;
  for (size_t b = 0; b < blocks.size(); ++b)
    for (const size_t n : blocks[b].nodes) block_of[n] = b;
  for (size_t b = 0; b < blocks.size(); ++b) {
    std::set<std::string> inputs, outputs;
    const auto inside = [&](size_t n) { return block_of.contains(n) && block_of[n] == b; };
    for (const size_t n : blocks[b].nodes)
      for (const std::string& value : facts.nodes[n]->inputs) {
        if (facts.IsConstant(value)) continue;
        const auto source = facts.producer.find(value);
        if (source != facts.producer.end() && inside(source->second)) continue;
        inputs.insert(value);
        if (source != facts.producer.end() && block_of.contains(source->second))
          CHECK(block_of[source->second] < b);
      }
    for (size_t n = 0; n < facts.nodes.size(); ++n)
      for (const std::string& value : facts.nodes[n]->inputs)
        if (facts.producer.contains(value) && inside(facts.producer.at(value)) && !inside(n))
          outputs.insert(value);
    for (const size_t n : blocks[b].nodes)
      for (const std::string& value : facts.nodes[n]->outputs)
        if (facts.graph.IsOutput(value)) outputs.insert(value);
    CHECK(std::set<std::string>(blocks[b].inputs.begin(), blocks[b].inputs.end()) == inputs);
    CHECK(blocks[b].inputs.size() == inputs.size());
    const std::set<std::string> found(blocks[b].outputs.begin(), blocks[b].outputs.end());
    CHECK(found.size() == blocks[b].outputs.size());
    CHECK(std::includes(found.begin(), found.end(), outputs.begin(), outputs.end()));
    // More are results of layers that end within the block.
    for (const std::string& value : found)
      if (!outputs.contains(value)) CHECK(inside(facts.producer.at(value)));
  }
}

// Nodes outside of blocks do not depend on a later block than their readers.
void CheckOrder(const Facts& facts, const std::vector<Block>& blocks) {
  std::vector<int> level(facts.nodes.size(), -1);
  for (size_t b = 0; b < blocks.size(); ++b)
    for (const size_t n : blocks[b].nodes) level[n] = static_cast<int>(b);
  std::vector<int> needs(facts.nodes.size(), -1);
  for (size_t n = 0; n < facts.nodes.size(); ++n) {
    for (const std::string& value : facts.nodes[n]->inputs)
      if (facts.producer.contains(value))
        needs[n] = std::max(needs[n], needs[facts.producer.at(value)]);
    if (level[n] >= 0) {
      CHECK(needs[n] <= level[n]);
      needs[n] = level[n];
    }
  }
}

void CheckGradients(const Facts& facts, const std::vector<Block>& blocks) {
  for (const Block& block : blocks) {
    const std::set<size_t> inside(block.nodes.begin(), block.nodes.end());
    const std::set<size_t> layers(block.layers.begin(), block.layers.end());
    const std::set<size_t> after = facts.After(layers, inside);
    std::set<size_t> before;  // what targets depend on
    for (size_t i = 0; i < block.targets; ++i) before.insert(facts.producer.at(block.outputs[i]));
    for (auto n = block.nodes.rbegin(); n != block.nodes.rend(); ++n)
      for (const size_t later : std::set<size_t>(before))
        if (facts.FeedsFloat(*n, later)) before.insert(*n);
    for (const size_t n : after)
      if (before.contains(n)) CHECK(WhyNot(*facts.nodes[n]).empty());
    for (const size_t n : layers) CHECK(before.contains(n));
    for (size_t i = 0; i < block.outputs.size(); ++i) {
      const size_t source = facts.producer.at(block.outputs[i]);
      const bool dependent = layers.contains(source) || after.contains(source);
      if (i < block.targets) CHECK((dependent && Facts::IsFloat(block.outputs[i])));
    }
  }
}

TEST_CASE("blocks of generated networks hold every layer once and read earlier ones only") {
  for (uint64_t seed = 0; seed < 600; ++seed) {
    const graph::Model model = Generator(seed).Draw();
    const Facts facts(model);
    for (const int64_t max_layers : {0, 1, 3, 1000}) {
      INFO("seed " << seed << ", layers " << max_layers << "\n" << graph::Print(model));
      const std::vector<Block> blocks =
          FindBlocks(model, {.max_layers = max_layers, .why_no_gradient = WhyNot});
      CheckCover(facts, blocks);
      CheckInterfaces(facts, blocks);
      CheckOrder(facts, blocks);
      CheckGradients(facts, blocks);
      if (max_layers > 0)
        for (const Block& block : blocks)
          CHECK(static_cast<int64_t>(block.layers.size()) <= max_layers);
    }
  }
}

// Whether `target` is reached from a node without predecessors when `removed` is taken out.
bool Reaches(const std::vector<std::vector<int>>& from, int target, int removed) {
  std::vector<bool> reached(from.size());
  for (size_t n = 0; n < from.size(); ++n) {
    reached[n] = from[n].empty();
    for (const int source : from[n]) reached[n] = reached[n] || reached[source];
    if (static_cast<int>(n) == removed) reached[n] = false;
  }
  return reached[target];
}

TEST_CASE("dominators of generated graphs are those whose removal cuts a node off") {
  Random random(7);
  const auto below = [&](size_t n) { return random.Next() % n; };
  for (int round = 0; round < 300; ++round) {
    std::vector<std::vector<int>> from(2 + below(20));
    const size_t reach = 1 + below(6), roots = 1 + below(2);
    for (size_t n = roots; n < from.size(); ++n)
      for (size_t edge = 0; edge <= below(3); ++edge)
        from[n].push_back(static_cast<int>(n - 1 - below(std::min(n, reach))));
    const std::vector<int> idom = ImmediateDominators(from);
    for (size_t n = 0; n < from.size(); ++n) {
      std::set<int> found, expected;
      for (int up = idom[n]; up != Flow::kNone; up = idom[up]) found.insert(up);
      for (int other = 0; other < static_cast<int>(n); ++other)
        if (!Reaches(from, static_cast<int>(n), other)) expected.insert(other);
      CHECK(found == expected);
    }
  }
}

// A network with one input: without its entry, nothing of a region is reached; and what depends on
// the entry lies in its region or in those below.
TEST_CASE("data enter a region through its entry alone") {
  size_t entries = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const graph::Model model = Generator(seed).Draw();
    INFO("seed " << seed << "\n" << graph::Print(model));
    const Flow flow(model);
    const Regions regions = FindRegions(flow);
    std::vector<std::vector<int>> from(flow.nodes.size());
    std::set<int> core(regions.order.begin(), regions.order.end());
    CHECK(core.size() == regions.order.size());
    bool one_source = true;  // all that is read from outside the core is x
    for (const int n : regions.order) {
      for (const int source : flow.from[n])
        if (core.contains(source)) from[n].push_back(source);
      for (const std::string& value : flow.reads[n])
        one_source &= value == "x" || !flow.IsFloat(value) || flow.Producer(value) != Flow::kNone;
      one_source &= !from[n].empty() || flow.nodes[n]->input(0) == "x";
    }
    if (!one_source) continue;
    for (size_t i = 0; i < regions.order.size(); ++i) {
      const int entry = regions.regions[regions.region[i]].entry;
      if (entry == Flow::kNone || entry == regions.order[i]) continue;
      ++entries;
      CHECK_FALSE(Reaches(from, regions.order[i], entry));
    }
  }
  CHECK(entries > 300);
}

}  // namespace
}  // namespace roundel::structure
