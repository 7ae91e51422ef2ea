// Ranks of values, from declarations and from the rank rules of the operators that produce them.
// Exporters often declare only inputs and outputs.

#include <algorithm>
#include <unordered_map>

#include "lib/graph/match.h"
#include "lib/graph/operators.h"

namespace roundel::graph {
namespace {

// Exported models have no longer chains of nodes without any declared rank.
constexpr int kMaxRankSteps = 256;

// Recursion from a value to its producers, memoized so that diamonds cost nothing.
class RankFinder {
 public:
  explicit RankFinder(const Graph& graph) : graph_(graph) {}

  std::optional<int64_t> Find(const std::string& value, int steps) {
    const auto known = ranks_.find(value);
    if (known != ranks_.end()) return known->second;
    const auto rank = steps > 0 ? Compute(value, steps - 1) : std::nullopt;
    return ranks_[value] = rank;
  }

 private:
  std::optional<int64_t> Compute(const std::string& value, int steps) {
    if (const ValueInfo* info = FindValueInfo(graph_, value); info && info->shape)
      return static_cast<int64_t>(info->shape->size());
    if (const Tensor* constant = graph_.FindInitializer(value)) return constant->rank();
    const Node* node = graph_.Producer(value);
    if (!node || !node->domain.empty()) return std::nullopt;
    if (const Tensor* constant = graph_.Constant(value)) return constant->rank();
    if (node->Is("Split") || node->Is("TopK")) return Find(node->input(0), steps);
    return node->output(0) == value ? OfFirstOutput(*node, steps) : std::nullopt;
  }

  std::optional<int64_t> OfFirstOutput(const Node& node, int steps) {
    if (node.Is("Flatten") || node.Is("Gemm")) return 2;
    if (node.Is("Shape") || node.Is("Range")) return 1;
    if (node.Is("Transpose") && !node.Ints("perm").empty()) return std::ssize(node.Ints("perm"));
    if (node.Is("Reshape")) return Elements(node.input(1), steps);
    if (node.Is("ConstantOfShape")) return Elements(node.input(0), steps);
    if (node.Is("Conv") || node.Is("ConvTranspose"))
      if (const Tensor* weight = graph_.Constant(node.input(1))) return weight->rank();
    if (node.Is("MatMul")) return OfProduct(node, steps);
    if (node.Is("Expand")) return OfExpand(node, steps);
    if (node.Is("Gather")) return OfGather(node, steps);
    if (node.Is("Squeeze") || node.Is("Unsqueeze") || node.op_type.starts_with("Reduce"))
      return OfAxesChange(node, steps);
    if (Has(node, Fact::kBroadcasts)) return OfBroadcast(node, steps);
    const bool keeps = Has(node, Fact::kPointwise | Fact::kKeepsRank);
    return keeps ? Find(node.input(0), steps) : std::nullopt;
  }

  std::optional<int64_t> OfBroadcast(const Node& node, int steps) {
    int64_t rank = 0;
    for (const std::string& input : node.inputs) {
      const auto one = Find(input, steps);
      if (!one) return std::nullopt;
      rank = std::max(rank, *one);
    }
    return rank;
  }

  std::optional<int64_t> OfExpand(const Node& node, int steps) {
    const auto rank = Find(node.input(0), steps), target = Elements(node.input(1), steps);
    if (!rank || !target) return std::nullopt;
    return std::max(*rank, *target);
  }

  std::optional<int64_t> OfGather(const Node& node, int steps) {
    const auto data = Find(node.input(0), steps), indices = Find(node.input(1), steps);
    if (!data || !indices || *data < 1) return std::nullopt;
    return *data - 1 + *indices;
  }

  std::optional<int64_t> OfAxesChange(const Node& node, int steps) {
    const auto rank = Find(node.input(0), steps);
    const bool reduces = node.op_type.starts_with("Reduce");
    if (!rank || (reduces && node.Int("keepdims", 1) != 0)) return rank;
    const auto axes = ReadAxes(graph_, node);
    if (!axes || axes->empty()) return std::nullopt;
    const auto count = static_cast<int64_t>(axes->size());
    return node.Is("Unsqueeze") ? *rank + count : std::max<int64_t>(*rank - count, 0);
  }

  std::optional<int64_t> OfProduct(const Node& node, int steps) {
    const auto a = Find(node.input(0), steps), b = Find(node.input(1), steps);
    if (!a || !b || *a < 1 || *b < 1) return std::nullopt;
    return std::max<int64_t>({*a, *b, 2}) - (*a == 1) - (*b == 1);
  }

  // The length of a list of sizes: of constants, shapes of values, single sizes converted to lists,
  // and concatenations of these.
  std::optional<int64_t> Elements(const std::string& value, int steps) {
    if (const Tensor* constant = graph_.Constant(value)) return constant->size();
    const Node* node = graph_.Producer(value);
    if (!node || !node->domain.empty() || steps <= 0) return std::nullopt;
    if (node->Is("Shape") && !node->FindAttribute("start") && !node->FindAttribute("end"))
      return Find(node->input(0), steps - 1);
    if (node->Is("Cast") || node->Is("Identity")) return Elements(node->input(0), steps - 1);
    if (node->Is("Unsqueeze")) {
      const auto rank = Find(node->input(0), steps - 1);
      return rank == 0 ? std::optional<int64_t>(1) : std::nullopt;
    }
    if (!node->Is("Concat")) return std::nullopt;
    int64_t sum = 0;
    for (const std::string& part : node->inputs) {
      const auto count = Elements(part, steps - 1);
      if (!count) return std::nullopt;
      sum += *count;
    }
    return sum;
  }

  const Graph& graph_;
  std::unordered_map<std::string, std::optional<int64_t>> ranks_;
};

}  // namespace

std::optional<int64_t> RankOf(const Graph& graph, const std::string& value) {
  return RankFinder(graph).Find(value, kMaxRankSteps);
}

}  // namespace roundel::graph
