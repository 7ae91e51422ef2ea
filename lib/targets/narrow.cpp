#include "lib/targets/narrow.h"

#include <algorithm>
#include <map>
#include <optional>

#include "lib/base/text.h"
#include "lib/graph/opset.h"
#include "lib/graph/value_types.h"
#include "lib/graph/widen.h"
#include "lib/targets/float_slots.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/half_range.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Model;
using graph::Node;

// Constants that are held twice rather than cast in every run.
constexpr int64_t kSmall = 64;
constexpr int64_t kHalfScales = 19;  // opset of QuantizeLinear with scales of 16 bits

struct Context {
  const FloatTypes& types;
  const NodeTypes::Types now;  // of the float32 model
  const NarrowOptions& options;
  const int64_t opset;
  NameSet names;
};

// Rebuilds one graph; those in its nodes have a Narrower of their own.
class Narrower {
 public:
  Narrower(const Graph& g, Narrower* outer, Context* context)
      : g_(g),
        outer_(outer),
        context_(*context),
        nodes_(g, outer != nullptr, context->types, context->now, context->options, context->opset),
        made_(EmptyCopy(g)) {}

  // `wanted`: the types of the outputs of a body, as the node around it has them.
  std::shared_ptr<Graph> Run(const std::vector<DType>& wanted = {}) {
    for (graph::ValueInfo& info : made_->inputs) {
      if (!IsFloat(info.name)) continue;
      info.dtype = Declared(info.name);
      Hold(info.name, info.dtype);
    }
    for (const graph::Initializer& initializer : g_.initializers()) TakeInitializer(initializer);
    for (const auto& node : g_.nodes()) CopyNode(*node);
    for (size_t i = 0; i < made_->outputs.size(); ++i)
      SettleOutput(&made_->outputs[i], i < wanted.size() ? wanted[i] : DType::kUndefined);
    CopyValueInfo(g_, made_.get());
    for (graph::ValueInfo& info : made_->value_info)
      if (const auto type = made_types_.find(info.name); type != made_types_.end())
        info.dtype = type->second;
    return made_;
  }

 private:
  using Names =
      std::map<DType, std::string>;  // of one value, by type; the first made is the exact one

  bool IsFloat(const std::string& value) const {
    const auto type = context_.now.find(value);
    return !value.empty() && type != context_.now.end() && type->second == DType::kFloat;
  }
  // The type of an input or output of the graph: as it was outside, as the runtime computes inside.
  DType Declared(const std::string& value) const {
    const auto own = outer_ ? context_.types.end() : context_.types.find(InterfaceKey(value));
    if (own != context_.types.end()) return own->second;
    const auto type = context_.types.find(value);
    if (type == context_.types.end()) return DType::kFloat;
    return outer_ ? nodes_.Wanted(value) : type->second;
  }

  void TakeInitializer(const graph::Initializer& initializer) {
    if (!IsFloat(initializer.name)) return made_->AddInitializer(initializer);
    const bool open = g_.IsInput(initializer.name) || (g_.IsOutput(initializer.name) && !outer_);
    if (!open) {
      constants_[initializer.name] = initializer.value;
      return;
    }
    const DType type = Declared(initializer.name);
    graph::Initializer made = initializer;
    made.value = initializer.value.FromFloatTo(type);
    made_->AddInitializer(std::move(made));
    Hold(initializer.name, type);
  }

  void Hold(const std::string& value, DType type) {
    held_[value] = {{type, value}};
    own_[value] = made_types_[value] = type;
  }

  // ---- values as a reader wants them

  Narrower* Owner(const std::string& value) {
    Narrower* at = this;
    while (at && !at->held_.contains(value) && !at->constants_.contains(value)) at = at->outer_;
    return at;
  }

  // The value's name in `type`, for `reader`; kUndefined: in whatever type it has.
  std::string Read(const std::string& value, DType type, const Node& reader) {
    Narrower* owner = Owner(value);
    return owner ? owner->As(value, type, reader) : value;
  }

  std::string As(const std::string& value, DType type, const Node& reader) {
    if (const auto constant = constants_.find(value); constant != constants_.end())
      return AsConstant(value, constant->second,
                        type == DType::kUndefined ? nodes_.Wanted(value) : type, reader);
    Names& names = held_.at(value);
    const std::string own = names.at(own_.at(value));
    if (type == DType::kUndefined) return own;
    if (const auto name = names.find(type); name != names.end()) return name->second;
    const std::string cast = context_.names.Fresh(NarrowName(value, type));
    AddCast(own, cast, type);
    return names[type] = cast;
  }

  std::string AsConstant(const std::string& value, const Tensor& floats, DType type,
                         const Node& reader) {
    Names& names = held_constants_[value];
    if (const auto name = names.find(type); name != names.end()) return name->second;
    const std::string name = names.empty() ? value : context_.names.Fresh(NarrowName(value, type));
    const DType stored = StoredType(value, floats, type);
    if (stored == type) {
      made_->AddInitializer({.name = name, .value = ClampedTo(reader, floats, type)});
      made_types_[name] = type;
    } else {
      const auto other = names.find(stored);
      const std::string from =
          other != names.end() ? other->second : context_.names.Fresh(NarrowName(value, stored));
      if (other == names.end())
        made_->AddInitializer({.name = from, .value = floats.FromFloatTo(stored)});
      made_types_[from] = stored;
      names[stored] = from;
      AddCast(from, name, type);
    }
    return names[type] = name;
  }

  // Large constants of 16 bits stay in them where float32 is read: a Cast costs no bytes.
  DType StoredType(const std::string& value, const Tensor& floats, DType type) const {
    const auto outside = context_.types.find(value);
    if (type != DType::kFloat || floats.size() <= kSmall || outside == context_.types.end() ||
        !graph::IsHalf(outside->second))
      return type;
    return floats.FromFloatTo(outside->second).ToFloat() == floats ? outside->second : type;
  }

  void AddCast(const std::string& from, const std::string& to, DType type) {
    Node node{.name = context_.names.Fresh(to + "_Cast"),
              .op_type = "Cast",
              .inputs = {from},
              .outputs = {to}};
    node.SetAttribute("to", static_cast<int64_t>(type));
    made_->AddNode(std::move(node));
    made_types_[to] = type;
  }

  // ---- nodes

  void CopyNode(const Node& node) {
    if (node.Is("Constant") && TakeConstant(node)) return;
    if (nodes_.IsFloatBias(node)) return FoldBias(node);
    const DType type = nodes_.Of(node);
    Node copy = node;
    for (size_t i = 0; i < copy.inputs.size(); ++i)
      if (IsFloat(copy.inputs[i]))
        copy.inputs[i] = Read(copy.inputs[i], InputType(node, i, type), node);
    NarrowBodies(node, &copy);
    SetTypeAttributes(node, type, &copy);
    std::vector<std::pair<std::string, std::string>>
        casts;  // from what the node makes to an output
    for (size_t i = 0; i < copy.outputs.size(); ++i)
      if (IsFloat(copy.outputs[i])) MakeOutput(OutputType(node, i, type), &copy.outputs[i], &casts);
    made_->AddNode(std::move(copy));
    for (const auto& [from, to] : casts) AddCast(from, to, Declared(to));
  }

  bool TakeConstant(const Node& node) {
    const std::string& value = node.output(0);
    const Tensor* constant = g_.Constant(value);
    if (!constant || constant->dtype() != DType::kFloat || g_.IsOutput(value)) return false;
    constants_[value] = *constant;
    return true;
  }

  // The values behind the codes of a bias.
  void FoldBias(const Node& node) {
    const Tensor codes = g_.Constant(node.input(0))->ToFloat();
    const Tensor& scales = *g_.Constant(node.input(1));
    Tensor bias = Tensor::Empty(DType::kFloat, codes.shape());
    for (int64_t i = 0; i < bias.size(); ++i)
      bias.mutable_data<float>()[i] =
          codes.data<float>()[i] * scales.data<float>()[scales.size() == 1 ? 0 : i];
    constants_[node.output(0)] = std::move(bias);
  }

  DType InputType(const Node& node, size_t i, DType type) const {
    if (const Graph* body = BodyOf(node)) {
      // If has none; Loop and Scan have as many as their body, or one more or less in front.
      const size_t inputs = body->inputs.size(), operands = node.inputs.size();
      const size_t at = i + inputs - std::min(inputs + i, operands);
      return node.Is("If") || at >= inputs || !IsFloat(body->inputs[at].name)
                 ? DType::kUndefined
                 : nodes_.Wanted(body->inputs[at].name);
    }
    if (!node.domain.empty() && !MayBeHalf(node, context_.opset) &&
        !IsFloat32Only(node, context_.opset))
      return nodes_.Wanted(node.inputs[i]);  // nothing is known of it: as it was
    switch (InputSlot(node, i, context_.opset)) {
      case FloatSlot::kFloat32: return DType::kFloat;
      case FloatSlot::kFree: return DType::kUndefined;
      default: return type;
    }
  }

  DType OutputType(const Node& node, size_t i, DType type) const {
    if (BodyOf(node)) return nodes_.Wanted(node.outputs[i]);
    return OutputSlot(node, i, context_.opset) == FloatSlot::kFloat32 ? DType::kFloat : type;
  }

  static const Graph* BodyOf(const Node& node) {
    const Graph* body = nullptr;
    graph::ForEachSubgraph(node, [&body](const Graph& nested) { body = &nested; });
    return body;
  }

  void NarrowBodies(const Node& node, Node* copy) {
    const size_t skip = node.Is("Loop") ? 1 : 0;  // the condition
    for (graph::Attribute& attribute : copy->attributes) {
      auto* body = std::get_if<graph::GraphPtr>(&attribute.value);
      if (!body) continue;
      std::vector<DType> wanted((*body)->outputs.size(), DType::kUndefined);
      for (size_t i = skip; i < wanted.size(); ++i)
        if (const std::string& output = node.output(i - skip); IsFloat(output))
          wanted[i] = nodes_.Wanted(output);
      *body = Narrower(**body, this, &context_).Run(wanted);
    }
  }

  void SetTypeAttributes(const Node& node, DType type, Node* copy) const {
    if (node.outputs.empty() || !IsFloat(node.output(0))) return;
    if (const std::string name = TypeAttribute(node); !name.empty())
      copy->SetAttribute(name, static_cast<int64_t>(type));
    if (node.Is("ConstantOfShape")) {
      const Tensor* value = node.TensorAttribute("value");
      const Tensor fill = value ? *value : Tensor::Zeros(DType::kFloat, {1});
      copy->SetAttribute("value", ClampedTo(node, fill, type));
    }
    if (!node.Is("Identity")) return;
    // A Cast between floats that nothing could take the place of.
    const DType from = TypeNow(copy->input(0));
    if (from == DType::kUndefined || from == type) return;
    copy->op_type = "Cast";
    copy->SetAttribute("to", static_cast<int64_t>(type));
  }

  DType TypeNow(const std::string& value) const {
    for (const Narrower* at = this; at; at = at->outer_)
      if (const auto type = at->made_types_.find(value); type != at->made_types_.end())
        return type->second;
    return DType::kUndefined;
  }

  void MakeOutput(DType type, std::string* output,
                  std::vector<std::pair<std::string, std::string>>* casts) {
    const std::string value = *output;
    Hold(value, type);
    if (outer_ || !g_.IsOutput(value) || Declared(value) == type) return;
    *output = context_.names.Fresh(NarrowName(value, type));
    casts->emplace_back(*output, value);
    held_[value] = {{type, *output}, {Declared(value), value}};
    made_types_[*output] = type;
  }

  // A body's outputs go by their place and may be renamed.
  void SettleOutput(graph::ValueInfo* info, DType wanted) {
    if (!IsFloat(info->name)) return;
    const DType type = wanted == DType::kUndefined ? Declared(info->name) : wanted;
    if (outer_) info->name = Read(info->name, type, Node{.op_type = "Identity"});
    info->dtype = type;
  }

  const Graph& g_;
  Narrower* const outer_;
  Context& context_;
  NodeTypes nodes_;
  std::shared_ptr<Graph> made_;
  std::unordered_map<std::string, Tensor> constants_;  // float32 ones, made as readers want them
  std::unordered_map<std::string, Names> held_, held_constants_;
  std::unordered_map<std::string, DType> own_;         // as which type a value was made
  std::unordered_map<std::string, DType> made_types_;  // of the new graph
};

// Some quantizer has a type that it only has from opset 19 on.
bool HasHalfQuantizers(const Graph& g, const NodeTypes& nodes) {
  return std::any_of(g.nodes().begin(), g.nodes().end(), [&](const graph::NodePtr& node) {
    return (IsQuantizeNode(*node) || IsDequantizeNode(*node)) && nodes.Of(*node) != DType::kFloat;
  });
}

void RaiseForScales(const FloatTypes& types, const NarrowOptions& options, Model* model) {
  if (model->Opset() >= kHalfScales || (options.max_opset > 0 && options.max_opset < kHalfScales))
    return;
  const NodeTypes::Types now = graph::InferValueTypes(*model);
  const NodeTypes nodes(*model->graph, false, types, now, options, kHalfScales);
  // Without it, quantizers and what reads them compute in float32.
  if (HasHalfQuantizers(*model->graph, nodes)) (void)graph::RaiseOpset(model, kHalfScales);
}

}  // namespace

Status NarrowTypes(const FloatTypes& types, const NarrowOptions& options, Model* model) {
  if (types.empty()) return OkStatus();
  if (const DType only = OnlyType(*model, types); only != DType::kUndefined)
    model->SetMetadata(kFloatTypeKey, DTypeName(only));
  RaiseForScales(types, options, model);
  Context context{types, graph::InferValueTypes(*model), options, model->Opset(),
                  NameSet(*model->graph)};
  const auto old_graph = model->graph;  // outlives the narrower, which reads from it
  model->graph = Narrower(*old_graph, nullptr, &context).Run();
  model->graph->RemoveUnusedInitializers();
  return OkStatus();
}

}  // namespace roundel::target
