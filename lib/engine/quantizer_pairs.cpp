#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "lib/engine/plan.h"

namespace roundel::engine {
namespace {

using graph::Node;

bool IsQuantizer(const Node& node, const char* type) {
  return node.op_type == type && (node.domain.empty() || node.domain == "com.microsoft");
}

// Whether two constants are the same: by name, or by content; both left out counts too.
bool SameConstant(const std::unordered_map<std::string, const Tensor*>& constants,
                  const std::string& a, const std::string& b) {
  if (a == b) return true;
  const auto x = constants.find(a), y = constants.find(b);
  return x != constants.end() && y != constants.end() && *x->second == *y->second;
}

std::optional<quant::Grid> GridOf(DType type) {
  if (!IsInteger(type) || (BitWidth(type) > 16 && type != DType::kInt32)) return std::nullopt;
  const bool is_signed = type == DType::kInt2 || type == DType::kInt4 || type == DType::kInt8 ||
                         type == DType::kInt16 || type == DType::kInt32;
  return quant::Grid{.bits = BitWidth(type), .is_signed = is_signed};
}

class PairTaker {
 public:
  PairTaker(const graph::Graph& graph, const std::set<std::string>& keep,
            std::vector<FlatNode>* nodes)
      : keep_(keep), nodes_(*nodes) {
    // Not through the graph's index, which is built on demand: several threads may compile one
    // model.
    std::unordered_set<std::string> inputs;
    for (const graph::ValueInfo& input : graph.inputs) {
      inputs.insert(input.name);
      if (input.dtype == DType::kFloat && !graph.FindInitializer(input.name))
        float_inputs_.insert(input.name);
    }
    for (const graph::Initializer& initializer : graph.initializers())
      if (!inputs.contains(initializer.name)) constants_[initializer.name] = &initializer.value;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const Node& node = nodes_[i].node;
      if (node.Is("Constant") && node.TensorAttribute("value"))
        constants_[node.output(0)] = node.TensorAttribute("value");
      for (const std::string& output : node.outputs) producer_[output] = i;
      for (const std::string& input : node.inputs)
        if (!input.empty()) ++uses_[input];
    }
  }

  std::map<std::string, quant::Encoding> Take() {
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (IsQuantizer(nodes_[i].node, "DequantizeLinear")) TakePair(i);
    RenameReads();
    std::vector<FlatNode> left;
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (!gone_.contains(i)) left.push_back(std::move(nodes_[i]));
    nodes_ = std::move(left);
    return std::move(encodings_);
  }

 private:
  // Scale and zero point of a pair that works on a whole tensor.
  std::optional<quant::Encoding> ReadPair(const Node& quantize, const Node& dequantize) const {
    const auto scale = constants_.find(quantize.input(1));
    if (scale == constants_.end() || scale->second->dtype() != DType::kFloat ||
        scale->second->size() != 1 ||
        !SameConstant(constants_, quantize.input(1), dequantize.input(1)) ||
        !SameConstant(constants_, quantize.input(2), dequantize.input(2)))
      return std::nullopt;
    quant::Encoding encoding;
    quant::QParams params{.scale = scale->second->data<float>()[0]};
    auto type = static_cast<DType>(quantize.Int("output_dtype", 0));
    if (type == DType::kUndefined) type = DType::kUint8;
    if (!quantize.input(2).empty()) {
      const auto zero_point = constants_.find(quantize.input(2));
      if (zero_point == constants_.end() || zero_point->second->size() != 1) return std::nullopt;
      type = zero_point->second->dtype();
      if (!IsInteger(type)) return std::nullopt;
      params.zero_point = static_cast<int32_t>(zero_point->second->ToInt64s()[0]);
    }
    const std::optional<quant::Grid> grid = GridOf(type);
    if (!grid || grid->bits > 16 || !(params.scale > 0)) return std::nullopt;
    encoding.grid = *grid;
    encoding.params = {params};
    return encoding;
  }

  void TakePair(size_t index) {
    const Node& dequantize = nodes_[index].node;
    const auto found = producer_.find(dequantize.input(0));
    if (found == producer_.end()) return;
    const Node& quantize = nodes_[found->second].node;
    if (!IsQuantizer(quantize, "QuantizeLinear") || gone_.contains(found->second)) return;
    const std::string codes = quantize.output(0), from = quantize.input(0),
                      to = dequantize.output(0);
    if (uses_[codes] != 1 || uses_[from] != 1 || keep_.contains(codes) || keep_.contains(from))
      return;
    std::optional<quant::Encoding> encoding = ReadPair(quantize, dequantize);
    if (!encoding) return;
    const auto producer = producer_.find(from);
    // A value has one grid: a pair behind a pair stays.
    if (encodings_.contains(from) || (producer != producer_.end() && gone_.contains(producer->second)))
      return;
    if (producer != producer_.end()) {
      if (!MakesFloats(nodes_[producer->second])) return;
      auto& outputs = nodes_[producer->second].node.outputs;
      std::replace(outputs.begin(), outputs.end(), from, to);
      producer_[to] = producer->second;
      encodings_[to] = std::move(*encoding);
    } else {
      if (!float_inputs_.contains(from) || keep_.contains(to)) return;
      renamed_[to] = from;
      encodings_[from] = std::move(*encoding);
    }
    gone_.insert(index);
    gone_.insert(found->second);
  }

  // QuantizeLinear takes int32 as well, which only these make, or hand on.
  static bool MakesFloats(const FlatNode& flat) {
    const OpEntry* op = FindOp(flat.node.domain, flat.node.op_type, flat.opset);
    return !flat.node.Is("Cast") && !flat.node.Is("MatMulInteger") &&
           !flat.node.Is("ConvInteger") && (!op || !op->any_kind || flat.node.Is("Identity"));
  }

  void RenameReads() {
    for (FlatNode& flat : nodes_)
      for (std::string& input : flat.node.inputs) {
        const auto it = renamed_.find(input);
        if (it != renamed_.end()) input = it->second;
      }
  }

  const std::set<std::string>& keep_;
  std::vector<FlatNode>& nodes_;
  std::unordered_set<std::string> float_inputs_;
  std::unordered_map<std::string, const Tensor*> constants_;
  std::unordered_map<std::string, size_t> producer_;
  std::unordered_map<std::string, int> uses_;
  std::unordered_map<std::string, std::string> renamed_;
  std::unordered_set<size_t> gone_;
  std::map<std::string, quant::Encoding> encodings_;
};

}  // namespace

std::optional<quant::Encoding> EncodingOfDequantize(const PlanNode& node,
                                                    const std::vector<const Tensor*>& inputs) {
  if (!IsQuantizer(node.node, "DequantizeLinear") || inputs.size() < 2 || !inputs[0] ||
      !inputs[1] || inputs[1]->dtype() != DType::kFloat || node.node.Int("block_size", 0) != 0)
    return std::nullopt;
  const Tensor &codes = *inputs[0], &scales = *inputs[1];
  const Tensor* zero_points = inputs.size() > 2 ? inputs[2] : nullptr;
  const std::optional<quant::Grid> grid = GridOf(codes.dtype());
  if (!grid || (grid->bits != 8 && grid->bits != 32) ||
      (zero_points &&
       (zero_points->size() != scales.size() || zero_points->dtype() != codes.dtype())))
    return std::nullopt;
  quant::Encoding encoding{.grid = *grid, .codes = codes};
  if (scales.size() != 1) {
    encoding.granularity = quant::Granularity::kChannel;
    encoding.axis = node.node.Int("axis", 1);
    encoding.axis += encoding.axis < 0 ? codes.rank() : 0;
  }
  const std::vector<int64_t> zeros = zero_points ? zero_points->ToInt64s() : std::vector<int64_t>();
  for (int64_t i = 0; i < scales.size(); ++i)
    encoding.params.push_back(
        {scales.data<float>()[i],
         zero_points ? static_cast<int32_t>(zeros[static_cast<size_t>(i)]) : 0});
  if (!quant::CheckEncoding(encoding, codes.shape()).ok()) return std::nullopt;
  return encoding;
}

std::map<std::string, quant::Encoding> TakeQuantizerPairs(const graph::Graph& graph,
                                                          const std::set<std::string>& keep,
                                                          std::vector<FlatNode>* nodes) {
  return PairTaker(graph, keep, nodes).Take();
}

}  // namespace roundel::engine
