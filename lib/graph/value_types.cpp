#include "lib/graph/value_types.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "lib/graph/constant_nodes.h"
#include "lib/graph/operators.h"

namespace roundel::graph {
namespace {

// The type of a value; a sequence has the type of its elements.
struct Known {
  DType type = DType::kUndefined;
  bool is_sequence = false;
};

// The attribute with the output type of some operators; nullptr for others.
const char* TypeAttribute(const std::string& op) {
  if (op == "Cast") return "to";
  if (op.starts_with("Random") || op == "EyeLike" || op == "Multinomial" || op == "Bernoulli" ||
      op == "SequenceEmpty")
    return "dtype";
  if (op.ends_with("Window") || op == "MelWeightMatrix") return "output_datatype";
  if (op == "QuantizeLinear" || op == "DequantizeLinear") return "output_dtype";
  return nullptr;
}

class Inference {
 public:
  // `outer`: of the graph around this one, or nullptr.
  Inference(const Graph& graph, const Inference* outer) : graph_(graph), outer_(outer) {}

  void Declare(const std::string& value, Known known) {
    if (!value.empty() && known.type != DType::kUndefined) known_.emplace(value, known);
  }

  void Run() {
    for (const auto* infos : {&graph_.inputs, &graph_.outputs, &graph_.value_info})
      for (const ValueInfo& info : *infos) Declare(info.name, {info.dtype});
    for (const Initializer& initializer : graph_.initializers())
      known_[initializer.name] = {initializer.value.dtype()};
    // Repeats: later readers, and producers that come after their readers, add information.
    constexpr int kMaxRounds = 8;
    size_t before = 0;
    for (int round = 0; round < kMaxRounds && (round == 0 || known_.size() > before); ++round) {
      before = known_.size();
      Forwards();
      for (auto node = graph_.nodes().rbegin(); node != graph_.nodes().rend(); ++node)
        if (Has(**node, Fact::kOneType)) MakeUniform(**node);
    }
  }

  Known Of(const std::string& value) const {
    for (const Inference* at = this; at; at = at->outer_)
      if (const auto it = at->known_.find(value); it != at->known_.end()) return it->second;
    return {};
  }

  // The types of all tensors here, and in bodies if no outer value has the same name.
  void Collect(std::unordered_map<std::string, DType>* types) const {
    for (const auto& [name, known] : known_)
      if (!known.is_sequence) types->emplace(name, known.type);
    for (const auto& [name, type] : inner_) types->emplace(name, type);
  }

 private:
  void Forwards() {
    inner_.clear();
    for (const NodePtr& node : graph_.nodes()) InferNode(*node);
  }

  void InferNode(const Node& node) {
    if (RunBodies(node)) return;
    if (Has(node, Fact::kOneType)) MakeUniform(node);
    const OperatorRow* row = FindOperator(node.domain, node.op_type);
    if (!row && !node.domain.empty()) return;
    static const OperatorRow kPlain{""};
    const std::vector<TypeSource>& sources = (row ? row : &kPlain)->types;
    for (size_t i = 0; i < node.outputs.size(); ++i)
      Declare(node.outputs[i], OutputType(node, sources[std::min(i, sources.size() - 1)]));
  }

  Known OutputType(const Node& node, TypeSource source) const {
    const std::string& op = node.op_type;
    if (op == "Constant") {
      const std::optional<Tensor> value = ConstantNodeValue(node);
      return {value ? value->dtype() : DType::kUndefined};
    }
    if (op == "ConstantOfShape") {
      const Tensor* value = node.TensorAttribute("value");
      return {value ? value->dtype() : DType::kFloat};
    }
    // A zero point takes precedence over the attribute.
    const bool quantizes = op == "QuantizeLinear";
    if (quantizes && !node.input(2).empty()) return Of(node.input(2));
    const bool is_sequence = op == "SequenceEmpty";
    if (const char* attribute = TypeAttribute(op); attribute && node.FindAttribute(attribute))
      return {static_cast<DType>(node.Int(attribute, 1)), is_sequence};
    if (quantizes) return {DType::kUint8};
    if (op == "DequantizeLinear") return Of(node.input(1));
    if (op == "Multinomial") return {DType::kInt32};
    if (TypeAttribute(op) && !op.ends_with("Like") && op != "Bernoulli")
      return {DType::kFloat, is_sequence};
    if (source < 0) return {static_cast<DType>(-1 - source)};
    if (op == "QGemm" && node.input(8).empty()) return {DType::kFloat};
    return {Of(node.input(static_cast<size_t>(source))).type, MakesSequence(node)};
  }

  bool MakesSequence(const Node& node) const {
    const std::string& op = node.op_type;
    if (op == "SequenceAt" || op == "ConcatFromSequence") return false;
    if (op == "SequenceConstruct" || op == "SplitToSequence") return true;
    return Of(node.input(0)).is_sequence;
  }

  void MakeUniform(const Node& node) {
    Known common = Of(node.output(0));
    for (size_t i = 0; i < node.inputs.size() && common.type == DType::kUndefined; ++i)
      common = Of(node.inputs[i]);
    if (common.is_sequence) return;
    for (const std::string& input : node.inputs)
      if (Of(input).type == DType::kUndefined) Declare(input, common);
    Declare(node.output(0), common);
  }

  // False: it is no operator with bodies.
  bool RunBodies(const Node& node) {
    bool any = node.Is("If") || node.Is("Loop") || node.Is("Scan") || node.Is("SequenceMap");
    for (const Attribute& attribute : node.attributes) {
      const auto* body = std::get_if<GraphPtr>(&attribute.value);
      if (!body) continue;
      any = true;
      Inference inside(**body, this);
      DeclareBodyInputs(node, **body, &inside);
      inside.Run();
      inside.Collect(&inner_);
      DeclareOutputs(node, **body, inside);
    }
    return any;
  }

  // Iteration and condition of a Loop; what is carried or scanned has the operand's type.
  void DeclareBodyInputs(const Node& node, const Graph& body, Inference* inside) const {
    if (body.inputs.size() > node.inputs.size() + 2) return;
    const bool loop = node.Is("Loop");
    // Scan had one more operand in front up to opset 8.
    const size_t skip = node.inputs.size() - std::min(node.inputs.size(), body.inputs.size());
    for (size_t i = 0; i < body.inputs.size(); ++i) {
      const std::string& name = body.inputs[i].name;
      if (body.inputs[i].dtype != DType::kUndefined) continue;
      if (loop && i < 2)
        inside->Declare(name, {i == 0 ? DType::kInt64 : DType::kBool});
      else if (loop)
        inside->Declare(name, Of(node.input(i)));
      else
        inside->Declare(name, {Of(node.input(i + (node.Is("Scan") ? skip : 0))).type});
    }
  }

  void DeclareOutputs(const Node& node, const Graph& body, const Inference& inside) {
    const size_t skip = node.Is("Loop") ? 1 : 0;  // the condition
    for (size_t i = 0; i < node.outputs.size() && i + skip < body.outputs.size(); ++i) {
      Known known = inside.Of(body.outputs[i + skip].name);
      known.is_sequence |= node.Is("SequenceMap");
      Declare(node.outputs[i], known);
    }
  }

  const Graph& graph_;
  const Inference* outer_;
  std::unordered_map<std::string, Known> known_;
  std::unordered_map<std::string, DType> inner_;
};

}  // namespace

std::unordered_map<std::string, DType> InferValueTypes(const Model& model) {
  Inference inference(*model.graph, nullptr);
  inference.Run();
  std::unordered_map<std::string, DType> types;
  inference.Collect(&types);
  return types;
}

bool HasTypeRule(const std::string& domain, const std::string& op_type) {
  return domain.empty() || FindOperator(domain, op_type);
}

}  // namespace roundel::graph
