#include "lib/engine/quantizer_pairs.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace roundel::engine {
namespace {

using graph::Node;

bool IsQuantizer(const Node& node, const char* type) {
  return node.op_type == type && (node.domain.empty() || node.domain == "com.microsoft");
}

// Whether two constants are equal, by name or by content; two absent ones are equal.
bool SameConstant(const ConstantsByName& constants, const std::string& a, const std::string& b) {
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
      : keep_(keep), nodes_(*nodes), constants_(ConstantsOf(graph, *nodes)) {
    for (const graph::ValueInfo& input : graph.inputs)
      if (input.dtype == DType::kFloat && !graph.FindInitializer(input.name))
        float_inputs_.insert(input.name);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const Node& node = nodes_[i].node;
      for (const std::string& output : node.outputs) producer_[output] = i;
      for (const std::string& input : node.inputs)
        if (!input.empty()) readers_[input].push_back(i);
    }
  }

  std::map<std::string, quant::Encoding> Take() {
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (IsQuantizer(nodes_[i].node, "DequantizeLinear")) TakePair(i);
    RenameReads();
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (!gone_.contains(i)) {
        MarkFloats(nodes_[i].node);
        MarkSource(nodes_[i].node);
      }
    std::vector<FlatNode> left;
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (!gone_.contains(i)) left.push_back(std::move(nodes_[i]));
    nodes_ = std::move(left);
    return std::move(encodings_);
  }

 private:
  // Scale and zero point of a per-tensor pair.
  std::optional<quant::Encoding> ReadPair(const Node& quantize, const Node& dequantize) const {
    if (!SameConstant(constants_, quantize.input(1), dequantize.input(1)) ||
        !SameConstant(constants_, quantize.input(2), dequantize.input(2)))
      return std::nullopt;
    return ReadGrid(quantize);
  }

  // The per-tensor grid that the constants of a quantizer give.
  std::optional<quant::Encoding> ReadGrid(const Node& quantizer) const {
    const auto scale = constants_.find(quantizer.input(1));
    if (scale == constants_.end() || scale->second->dtype() != DType::kFloat ||
        scale->second->size() != 1)
      return std::nullopt;
    quant::Encoding encoding;
    quant::QParams params{.scale = scale->second->data<float>()[0]};
    auto type = static_cast<DType>(quantizer.Int("output_dtype", 0));
    if (type == DType::kUndefined) type = DType::kUint8;
    if (!quantizer.input(2).empty()) {
      const auto zero_point = constants_.find(quantizer.input(2));
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

  // The result of a DequantizeLinear without its pair, from 8-bit codes (a graph input, or codes of
  // a value that others read as floats), lies on their grid.
  void MarkFloats(const Node& node) {
    if (!IsQuantizer(node, "DequantizeLinear") || constants_.contains(node.input(0)) ||
        node.input(2).empty() || keep_.contains(node.output(0)))
      return;
    const std::optional<quant::Encoding> encoding = ReadGrid(node);
    if (encoding && encoding->grid.bits == 8) encodings_.try_emplace(node.output(0), *encoding);
  }

  // A value whose only reader is a QuantizeLinear without its pair (its codes are an output) also
  // lies on its grid.
  void MarkSource(const Node& node) {
    const std::string& from = node.input(0);
    const auto producer = producer_.find(from);
    if (!IsQuantizer(node, "QuantizeLinear") || producer == producer_.end() ||
        readers_[from].size() != 1 || keep_.contains(from) ||
        !MakesFloats(nodes_[producer->second]))
      return;
    const std::optional<quant::Encoding> encoding = ReadGrid(node);
    if (encoding && encoding->grid.bits == 8) encodings_.try_emplace(from, *encoding);
  }

  // Removes the pairs of one QuantizeLinear with all DequantizeLinear nodes that read its codes.
  void TakePair(size_t index) {
    if (gone_.contains(index)) return;
    const auto found = producer_.find(nodes_[index].node.input(0));
    if (found == producer_.end()) return;
    const size_t quantizer = found->second;
    const Node& quantize = nodes_[quantizer].node;
    if (!IsQuantizer(quantize, "QuantizeLinear") || gone_.contains(quantizer)) return;
    const std::string codes = quantize.output(0), from = quantize.input(0);
    if (readers_[from].size() != 1 || keep_.contains(codes) || keep_.contains(from)) return;
    std::optional<quant::Encoding> encoding = ReadPair(quantize, nodes_[index].node);
    const std::optional<std::string> kept = NameOf(codes, quantize);
    if (!encoding || !kept) return;
    const auto producer = producer_.find(from);
    // A value has one grid: a second pair in sequence is kept.
    if (encodings_.contains(from) ||
        (producer != producer_.end() && gone_.contains(producer->second)))
      return;
    std::string to = from;
    if (producer != producer_.end()) {
      if (!MakesFloats(nodes_[producer->second])) return;
      to = *kept;
      auto& outputs = nodes_[producer->second].node.outputs;
      std::replace(outputs.begin(), outputs.end(), from, to);
      producer_[to] = producer->second;
    } else if (!float_inputs_.contains(from) || keep_.contains(*kept)) {
      return;
    }
    encodings_[to] = std::move(*encoding);
    gone_.insert(quantizer);
    for (size_t reader : readers_[codes]) {
      const std::string& name = nodes_[reader].node.output(0);
      if (name != to) renamed_[name] = to;
      gone_.insert(reader);
    }
  }

  // One name for the results of all readers of the codes; nullopt if there are readers other than
  // DequantizeLinear on the grid of `quantize`, or several names that are needed.
  std::optional<std::string> NameOf(const std::string& codes, const Node& quantize) const {
    const std::vector<size_t>& readers = readers_.at(codes);
    std::string name = nodes_[readers[0]].node.output(0);
    for (size_t reader : readers) {
      const Node& node = nodes_[reader].node;
      if (!IsQuantizer(node, "DequantizeLinear") || node.input(0) != codes ||
          !ReadPair(quantize, node))
        return std::nullopt;
      if (!keep_.contains(node.output(0)) || node.output(0) == name) continue;
      if (keep_.contains(name)) return std::nullopt;
      name = node.output(0);
    }
    return name;
  }

  // QuantizeLinear also accepts int32, which only these nodes compute or pass on.
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
  const ConstantsByName constants_;
  std::unordered_set<std::string> float_inputs_;
  std::unordered_map<std::string, size_t> producer_;
  std::unordered_map<std::string, std::vector<size_t>> readers_;  // one entry per use
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
