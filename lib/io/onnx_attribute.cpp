#include "lib/io/onnx_attribute.h"

#include "lib/base/text.h"
#include "lib/io/onnx_tensor.h"

namespace roundel::io {
namespace {

using onnx::AttributeProto;
using Type = AttributeProto::AttributeType;

// The note: bit 0 = `type` was absent, bit 1 = the value's field was absent (a default that proto3
// writers leave out), bit 2 = fields of other kinds were present; the kind above.
constexpr uint64_t kNoType = 1, kNoValue = 2, kOthers = 4;
constexpr int kKindShift = 8;

// IR version 1 had no `type`.
Type InferType(const AttributeProto& proto) {
  if (proto.has_f()) return AttributeProto::FLOAT;
  if (proto.has_i()) return AttributeProto::INT;
  if (proto.has_s()) return AttributeProto::STRING;
  if (proto.has_t()) return AttributeProto::TENSOR;
  if (proto.has_g()) return AttributeProto::GRAPH;
  if (proto.floats_size() > 0) return AttributeProto::FLOATS;
  if (proto.ints_size() > 0) return AttributeProto::INTS;
  if (proto.strings_size() > 0) return AttributeProto::STRINGS;
  if (proto.tensors_size() > 0) return AttributeProto::TENSORS;
  if (proto.graphs_size() > 0) return AttributeProto::GRAPHS;
  return AttributeProto::UNDEFINED;
}

bool IsModeled(Type type) {
  return type >= AttributeProto::FLOAT && type <= AttributeProto::GRAPHS;
}

// Value fields present, apart from the leftovers of the tensors of `kind`.
bool HasOtherValues(const AttributeProto& proto, Type kind) {
  return proto.has_f() || proto.has_i() || proto.has_s() || proto.has_g() || proto.has_tp() ||
         proto.has_sparse_tensor() || (proto.has_t() && kind != AttributeProto::TENSOR) ||
         (proto.tensors_size() > 0 && kind != AttributeProto::TENSORS) ||
         proto.floats_size() + proto.ints_size() + proto.strings_size() + proto.graphs_size() +
                 proto.sparse_tensors_size() + proto.type_protos_size() >
             0;
}

void ClearValues(AttributeProto* proto, Type kind) {
  proto->clear_f();
  proto->clear_i();
  proto->clear_s();
  proto->clear_g();
  proto->clear_tp();
  proto->clear_sparse_tensor();
  proto->clear_floats();
  proto->clear_ints();
  proto->clear_strings();
  proto->clear_graphs();
  proto->clear_sparse_tensors();
  proto->clear_type_protos();
  if (kind != AttributeProto::TENSOR) proto->clear_t();
  if (kind != AttributeProto::TENSORS) proto->clear_tensors();
}

Result<graph::GraphPtr> TakeSubgraph(onnx::GraphProto* proto, ReadContext* context) {
  auto graph = std::make_shared<graph::Graph>();
  RETURN_IF_ERROR(TakeGraph(proto, context, graph.get()));
  return graph;
}

Status TakeTensorValue(AttributeProto* proto, ReadContext* context, graph::Attribute* attribute) {
  if (!proto->has_t()) return ModelError("no tensor");
  ASSIGN_OR_RETURN(attribute->value, TakeTensor(proto->mutable_t(), &context->files));
  if (proto->t().ByteSizeLong() == 0) proto->clear_t();
  return OkStatus();
}

Status TakeTensorValues(AttributeProto* proto, ReadContext* context, graph::Attribute* attribute) {
  std::vector<Tensor> tensors;
  bool leftovers = false;
  for (onnx::TensorProto& tensor : *proto->mutable_tensors()) {
    ASSIGN_OR_RETURN(Tensor taken, TakeTensor(&tensor, &context->files));
    tensors.push_back(std::move(taken));
    leftovers |= tensor.ByteSizeLong() > 0;
  }
  if (!leftovers) proto->clear_tensors();
  attribute->value = std::move(tensors);
  return OkStatus();
}

Status TakeGraphValues(AttributeProto* proto, ReadContext* context, graph::Attribute* attribute) {
  std::vector<graph::GraphPtr> graphs;
  for (onnx::GraphProto& graph : *proto->mutable_graphs()) {
    ASSIGN_OR_RETURN(graph::GraphPtr taken, TakeSubgraph(&graph, context));
    graphs.push_back(std::move(taken));
  }
  proto->clear_graphs();
  attribute->value = std::move(graphs);
  return OkStatus();
}

// Sets attribute->value; *absent tells that a scalar's field was missing.
Status TakeValue(Type kind, AttributeProto* proto, ReadContext* context,
                 graph::Attribute* attribute, bool* absent) {
  switch (kind) {
    case AttributeProto::FLOAT:
      *absent = !proto->has_f();
      attribute->value = proto->f();
      proto->clear_f();
      return OkStatus();
    case AttributeProto::INT:
      *absent = !proto->has_i();
      attribute->value = static_cast<int64_t>(proto->i());
      proto->clear_i();
      return OkStatus();
    case AttributeProto::STRING:
      *absent = !proto->has_s();
      attribute->value = std::move(*proto->mutable_s());
      proto->clear_s();
      return OkStatus();
    case AttributeProto::FLOATS:
      attribute->value = std::vector<float>(proto->floats().begin(), proto->floats().end());
      proto->clear_floats();
      return OkStatus();
    case AttributeProto::INTS:
      attribute->value = std::vector<int64_t>(proto->ints().begin(), proto->ints().end());
      proto->clear_ints();
      return OkStatus();
    case AttributeProto::STRINGS:
      attribute->value = std::vector<std::string>(proto->strings().begin(), proto->strings().end());
      proto->clear_strings();
      return OkStatus();
    case AttributeProto::TENSOR: return TakeTensorValue(proto, context, attribute);
    case AttributeProto::TENSORS: return TakeTensorValues(proto, context, attribute);
    case AttributeProto::GRAPHS: return TakeGraphValues(proto, context, attribute);
    case AttributeProto::GRAPH: {
      if (!proto->has_g()) return ModelError("no graph");
      ASSIGN_OR_RETURN(attribute->value, TakeSubgraph(proto->mutable_g(), context));
      proto->clear_g();
      return OkStatus();
    }
    default: INVARIANT(false, "attribute kind"); return OkStatus();
  }
}

// ---- writing

Type TypeOf(const graph::Attribute::Value& value) {
  // In the order of the variant's alternatives.
  static constexpr Type kTypes[] = {
      AttributeProto::UNDEFINED, AttributeProto::FLOAT,  AttributeProto::INT,
      AttributeProto::STRING,    AttributeProto::TENSOR, AttributeProto::GRAPH,
      AttributeProto::FLOATS,    AttributeProto::INTS,   AttributeProto::STRINGS,
      AttributeProto::TENSORS,   AttributeProto::GRAPHS};
  return kTypes[value.index()];
}

struct ValueWriter {
  AttributeProto* proto;
  bool skip_default;

  void operator()(std::monostate) const {}
  void operator()(float value) const {
    if (!(skip_default && value == 0)) proto->set_f(value);
  }
  void operator()(int64_t value) const {
    if (!(skip_default && value == 0)) proto->set_i(value);
  }
  void operator()(const std::string& value) const {
    if (!(skip_default && value.empty())) proto->set_s(value);
  }
  void operator()(const Tensor& value) const {
    PutTensor(value, RawData::kSet, proto->mutable_t());
  }
  void operator()(const graph::GraphPtr& value) const { PutGraph(*value, proto->mutable_g()); }
  void operator()(const std::vector<float>& value) const {
    proto->mutable_floats()->Assign(value.begin(), value.end());
  }
  void operator()(const std::vector<int64_t>& value) const {
    proto->mutable_ints()->Assign(value.begin(), value.end());
  }
  void operator()(const std::vector<std::string>& value) const {
    proto->clear_strings();
    for (const std::string& text : value) proto->add_strings(text);
  }
  void operator()(const std::vector<Tensor>& value) const {
    while (proto->tensors_size() > static_cast<int>(value.size()))
      proto->mutable_tensors()->RemoveLast();
    for (size_t i = 0; i < value.size(); ++i) {
      const int at = static_cast<int>(i);
      PutTensor(value[i], RawData::kSet,
                at < proto->tensors_size() ? proto->mutable_tensors(at) : proto->add_tensors());
    }
  }
  void operator()(const std::vector<graph::GraphPtr>& value) const {
    proto->clear_graphs();
    for (const graph::GraphPtr& graph : value) PutGraph(*graph, proto->add_graphs());
  }
};

}  // namespace

Result<graph::Attribute> TakeAttribute(AttributeProto* proto, ReadContext* context) {
  graph::Attribute attribute;
  TakeNote(proto->mutable_unknown_fields());
  ROUNDEL_TAKE_STRING(proto, name, attribute.name);
  ROUNDEL_TAKE_STRING(proto, doc_string, attribute.doc_string);
  ROUNDEL_TAKE_STRING(proto, ref_attr_name, attribute.ref_name);
  const Type kind = proto->has_type() ? proto->type() : InferType(*proto);
  if (attribute.ref_name.empty() && IsModeled(kind)) {
    bool absent = false;
    auto status = TakeValue(kind, proto, context, &attribute, &absent);
    if (!status.ok())
      return std::move(status).At(StrCat("attribute '", Printable(attribute.name), "'"));
    const uint64_t note = (proto->has_type() ? 0 : kNoType) | (absent ? kNoValue : 0) |
                          (HasOtherValues(*proto, kind) ? kOthers : 0);
    proto->clear_type();
    if (note != 0)
      SetNote(proto->mutable_unknown_fields(), note | static_cast<uint64_t>(kind) << kKindShift);
  }
  attribute.unknown = Leftover(*proto);
  return attribute;
}

void PutAttribute(const graph::Attribute& attribute, AttributeProto* proto) {
  ParseLeftover(attribute.unknown, proto);
  ROUNDEL_PUT_STRING(proto, name, attribute.name);
  ROUNDEL_PUT_STRING(proto, doc_string, attribute.doc_string);
  ROUNDEL_PUT_STRING(proto, ref_attr_name, attribute.ref_name);
  uint64_t note = TakeNote(proto->mutable_unknown_fields());
  const Type kind = TypeOf(attribute.value);
  if (kind == AttributeProto::UNDEFINED) return;
  if (note >> kKindShift != static_cast<uint64_t>(kind)) note = 0;  // a pass changed the kind
  if ((note & kOthers) == 0) ClearValues(proto, kind);
  if ((note & kNoType) == 0) proto->set_type(kind);
  std::visit(ValueWriter{proto, (note & kNoValue) != 0}, attribute.value);
}

}  // namespace roundel::io
