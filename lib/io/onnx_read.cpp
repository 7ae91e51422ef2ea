// Reading ONNX files: protobuf -> graph::Model. Large weights stay in the file (onnx_cut.h); other
// data is moved out of the messages, not copied. Unknown fields stay in the structs' `unknown`
// (onnx_message.h).

#include <climits>
#include <unordered_map>

#include "lib/base/file.h"
#include "lib/base/input_file.h"
#include "lib/base/text.h"
#include "lib/graph/check.h"
#include "lib/graph/forms.h"
#include "lib/graph/opset.h"
#include "lib/io/onnx.h"
#include "lib/io/onnx_attribute.h"
#include "lib/io/onnx_message.h"
#include "lib/io/onnx_tensor.h"

namespace roundel::io {
namespace {

constexpr int64_t kOldestOpset = 1, kNewestIr = 13;
// Limit on expanded sparse initializers: a few bytes can declare any size.
constexpr int64_t kSparseBudget = int64_t{1} << 28;

std::vector<std::string> TakeStrings(google::protobuf::RepeatedPtrField<std::string>* field) {
  std::vector<std::string> strings;
  strings.reserve(static_cast<size_t>(field->size()));
  for (std::string& text : *field) strings.push_back(std::move(text));
  field->Clear();
  return strings;
}

// "ai.onnx" and "" name the same domain; the longer spelling stays in the leftover.
template <typename Message>
void TakeDomain(Message* proto, std::string* domain) {
  if (proto->domain() == "ai.onnx") return;
  ROUNDEL_TAKE_STRING(proto, domain, *domain);
}

// Pairs keep their leftovers by position; if no entry has any, nothing is kept.
template <typename Entries>
void DropIfEmpty(Entries* entries) {
  for (const auto& entry : *entries)
    if (entry.ByteSizeLong() > 0) return;
  entries->Clear();
}

void TakeImports(google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>* imports,
                 std::vector<std::pair<std::string, int64_t>>* out) {
  for (onnx::OperatorSetIdProto& entry : *imports) {
    auto& [domain, version] = out->emplace_back();
    ROUNDEL_TAKE_STRING(&entry, domain, domain);
    ROUNDEL_TAKE_INT(&entry, version, version);
  }
  DropIfEmpty(imports);
}

graph::Dim TakeDim(onnx::TensorShapeProto::Dimension* proto) {
  graph::Dim dim;
  if (proto->has_dim_value() && proto->dim_value() != -1) {  // -1: "any" in some exporters
    dim.value = proto->dim_value();
    proto->clear_dim_value();
  } else if (!proto->dim_param().empty()) {
    dim.symbol = std::move(*proto->mutable_dim_param());
    proto->clear_dim_param();
  }
  dim.unknown = Leftover(*proto);
  return dim;
}

graph::ValueInfo TakeValueInfo(onnx::ValueInfoProto* proto) {
  graph::ValueInfo info;
  ROUNDEL_TAKE_STRING(proto, name, info.name);
  ROUNDEL_TAKE_STRING(proto, doc_string, info.doc_string);
  if (proto->type().has_tensor_type()) {
    onnx::TypeProto* type = proto->mutable_type();
    onnx::TypeProto::Tensor* tensor = type->mutable_tensor_type();
    int32_t elem_type = 0;
    ROUNDEL_TAKE_INT(tensor, elem_type, elem_type);
    info.dtype = static_cast<DType>(elem_type);
    if (tensor->has_shape()) {
      info.shape.emplace();
      for (auto& dim : *tensor->mutable_shape()->mutable_dim())
        info.shape->push_back(TakeDim(&dim));
      tensor->mutable_shape()->clear_dim();
      if (tensor->shape().ByteSizeLong() == 0) tensor->clear_shape();
    }
    // The writer makes these two messages again if it has something to put into them.
    const bool described = info.dtype != DType::kUndefined || info.shape.has_value();
    if (described && tensor->ByteSizeLong() == 0) type->clear_tensor_type();
    if (described && type->ByteSizeLong() == 0) proto->clear_type();
  } else if (proto->type().ByteSizeLong() > 0) {
    info.type_bytes = proto->type().SerializePartialAsString();
    proto->clear_type();
  }
  info.unknown = Leftover(*proto);
  return info;
}

std::vector<graph::ValueInfo> TakeValueInfos(
    google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>* field) {
  std::vector<graph::ValueInfo> infos;
  infos.reserve(static_cast<size_t>(field->size()));
  for (onnx::ValueInfoProto& proto : *field) infos.push_back(TakeValueInfo(&proto));
  field->Clear();
  return infos;
}

Result<graph::Initializer> TakeInitializer(onnx::TensorProto* proto, ReadContext* context) {
  graph::Initializer initializer;
  ROUNDEL_TAKE_STRING(proto, name, initializer.name);
  ROUNDEL_TAKE_STRING(proto, doc_string, initializer.doc_string);
  auto value = TakeTensor(proto, &context->files);
  if (!value.ok())
    return std::move(value).status().At(StrCat("initializer '", Printable(initializer.name), "'"));
  initializer.value = std::move(*value);
  initializer.unknown = Leftover(*proto);
  return initializer;
}

// The sparse message stays in the graph's leftover; the writer drops it if the value has changed.
Status AddSparse(const onnx::SparseTensorProto& proto, ReadContext* context, graph::Graph* graph) {
  auto value = Densify(proto, &context->files, &context->sparse_budget);
  if (!value.ok())
    return std::move(value).status().At(
        StrCat("sparse initializer '", Printable(proto.values().name()), "'"));
  onnx::TensorProto mark;
  MarkSparse(&mark);
  graph->AddInitializer(
      {.name = proto.values().name(), .value = std::move(*value), .unknown = Leftover(mark)});
  return OkStatus();
}

}  // namespace

static Result<graph::Node> TakeNode(onnx::NodeProto* proto, ReadContext* context) {
  graph::Node node;
  ROUNDEL_TAKE_STRING(proto, name, node.name);
  ROUNDEL_TAKE_STRING(proto, op_type, node.op_type);
  ROUNDEL_TAKE_STRING(proto, doc_string, node.doc_string);
  TakeDomain(proto, &node.domain);
  node.inputs = TakeStrings(proto->mutable_input());
  node.outputs = TakeStrings(proto->mutable_output());
  node.attributes.reserve(static_cast<size_t>(proto->attribute_size()));
  for (onnx::AttributeProto& attribute : *proto->mutable_attribute()) {
    auto taken = TakeAttribute(&attribute, context);
    if (!taken.ok()) return std::move(taken).status().At(StrCat("node ", node.DisplayName()));
    node.attributes.push_back(std::move(*taken));
  }
  proto->clear_attribute();
  node.unknown = Leftover(*proto);
  return node;
}

Status TakeGraph(onnx::GraphProto* proto, ReadContext* context, graph::Graph* graph) {
  ROUNDEL_TAKE_STRING(proto, name, graph->name);
  ROUNDEL_TAKE_STRING(proto, doc_string, graph->doc_string);
  graph->inputs = TakeValueInfos(proto->mutable_input());
  graph->outputs = TakeValueInfos(proto->mutable_output());
  graph->value_info = TakeValueInfos(proto->mutable_value_info());
  for (onnx::TensorProto& tensor : *proto->mutable_initializer()) {
    ASSIGN_OR_RETURN(graph::Initializer initializer, TakeInitializer(&tensor, context));
    graph->AddInitializer(std::move(initializer));
  }
  proto->clear_initializer();
  for (const onnx::SparseTensorProto& tensor : proto->sparse_initializer())
    RETURN_IF_ERROR(AddSparse(tensor, context, graph));
  for (onnx::NodeProto& node : *proto->mutable_node()) {
    ASSIGN_OR_RETURN(graph::Node taken, TakeNode(&node, context));
    graph->AddNode(std::move(taken));
  }
  proto->clear_node();
  graph->unknown = Leftover(*proto);
  return OkStatus();
}

namespace {

Status TakeDefaults(onnx::FunctionProto* proto, ReadContext* context,
                    std::vector<graph::Attribute>* defaults) {
  google::protobuf::UnknownFieldSet* fields = proto->mutable_unknown_fields();
  for (int i = 0; i < fields->field_count(); ++i) {
    const auto& field = fields->field(i);
    if (field.number() != kFunctionDefaultsField ||
        field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      continue;
    onnx::AttributeProto attribute;
    if (!ParseQuietly(field.length_delimited().data(), field.length_delimited().size(), &attribute))
      return ModelError("a default of an attribute is broken");
    ASSIGN_OR_RETURN(graph::Attribute taken, TakeAttribute(&attribute, context));
    defaults->push_back(std::move(taken));
  }
  if (!defaults->empty()) fields->DeleteByNumber(kFunctionDefaultsField);
  return OkStatus();
}

Result<graph::Function> TakeFunction(onnx::FunctionProto* proto, ReadContext* context) {
  graph::Function function;
  ROUNDEL_TAKE_STRING(proto, name, function.name);
  TakeDomain(proto, &function.domain);
  ROUNDEL_TAKE_STRING(proto, doc_string, function.doc_string);
  function.inputs = TakeStrings(proto->mutable_input());
  function.outputs = TakeStrings(proto->mutable_output());
  function.attributes = TakeStrings(proto->mutable_attribute());
  RETURN_IF_ERROR(TakeDefaults(proto, context, &function.defaults)
                      .At(StrCat("function '", Printable(function.name), "'")));
  TakeImports(proto->mutable_opset_import(), &function.opset_imports);
  for (onnx::NodeProto& node : *proto->mutable_node()) {
    auto taken = TakeNode(&node, context);
    if (!taken.ok())
      return std::move(taken).status().At(StrCat("function '", Printable(function.name), "'"));
    function.nodes.push_back(std::make_unique<graph::Node>(std::move(*taken)));
  }
  proto->clear_node();
  function.unknown = Leftover(*proto);
  return function;
}

Status CheckImports(const std::vector<std::pair<std::string, int64_t>>& imports) {
  int64_t seen = 0;
  for (const auto& [domain, version] : imports) {
    if (!domain.empty() && domain != "ai.onnx") continue;
    if (version < kOldestOpset)
      return ModelError(StrCat("opset ", version, " is not a version of ai.onnx"));
    if (version > graph::kNewestOpset)
      return ModelError(StrCat("opset ", version, " is newer than ", graph::kNewestOpset,
                               ", the newest that is supported: export an older one"));
    if (seen != 0 && seen != version)
      return ModelError(StrCat("the model imports opsets ", seen, " and ", version, " of ai.onnx"));
    seen = version;
  }
  return OkStatus();
}

Status CheckVersions(const graph::Model& model) {
  if (model.ir_version < 1) return ModelError("the model has no IR version: not an ONNX file?");
  if (model.ir_version > kNewestIr)
    return ModelError(StrCat("IR version ", model.ir_version, " is newer than ", kNewestIr,
                             ", the newest that is supported: export an older one"));
  RETURN_IF_ERROR(CheckImports(model.opset_imports));
  for (const graph::Function& function : model.functions)
    RETURN_IF_ERROR(CheckImports(function.opset_imports));
  if (model.Opset() != 0) return OkStatus();
  for (const graph::NodePtr& node : model.graph->nodes())
    if (node->domain.empty())
      return ModelError(StrCat("the model imports no ai.onnx opset, but node ", node->DisplayName(),
                               " needs one"));
  return OkStatus();
}

Result<graph::Model> TakeModel(onnx::ModelProto* proto, TensorFiles files) {
  ReadContext context{std::move(files), kSparseBudget};
  graph::Model model;
  if (!proto->has_graph()) return ModelError("the file holds no graph: not an ONNX model?");
  ROUNDEL_TAKE_INT(proto, ir_version, model.ir_version);
  ROUNDEL_TAKE_STRING(proto, producer_name, model.producer_name);
  ROUNDEL_TAKE_STRING(proto, producer_version, model.producer_version);
  ROUNDEL_TAKE_STRING(proto, domain, model.domain);
  ROUNDEL_TAKE_STRING(proto, doc_string, model.doc_string);
  ROUNDEL_TAKE_INT(proto, model_version, model.model_version);
  TakeImports(proto->mutable_opset_import(), &model.opset_imports);
  for (onnx::StringStringEntryProto& entry : *proto->mutable_metadata_props()) {
    auto& [key, value] = model.metadata.emplace_back();
    ROUNDEL_TAKE_STRING(&entry, key, key);
    ROUNDEL_TAKE_STRING(&entry, value, value);
  }
  DropIfEmpty(proto->mutable_metadata_props());
  for (onnx::FunctionProto& function : *proto->mutable_functions()) {
    ASSIGN_OR_RETURN(graph::Function taken, TakeFunction(&function, &context));
    model.functions.push_back(std::move(taken));
  }
  proto->clear_functions();
  RETURN_IF_ERROR(TakeGraph(proto->mutable_graph(), &context, model.graph.get()));
  proto->clear_graph();
  model.unknown = Leftover(*proto);
  RETURN_IF_ERROR(CheckVersions(model));
  RETURN_IF_ERROR(graph::CheckModel(&model));
  RETURN_IF_ERROR(graph::CheckForms(model));
  return model;
}

Status CheckSize(size_t bytes) {
  if (bytes == 0) return ModelError("the file is empty");
  if (bytes > INT_MAX)
    return ModelError(
        "the file is larger than 2 GB, the limit of protobuf: export the model with "
        "external data");
  return OkStatus();
}

}  // namespace

Result<graph::Model> ParseOnnx(const void* data, size_t bytes, const std::string& folder) {
  RETURN_IF_ERROR(CheckSize(bytes));
  onnx::ModelProto proto;
  const bool parses = ParseQuietly(data, bytes, &proto);
  if (!parses && SubgraphDepth({static_cast<const std::byte*>(data), bytes}) > kMaxSubgraphDepth)
    return ModelError(StrCat("sub-graphs are nested more than ", kMaxSubgraphDepth,
                             " levels deep, which protobuf does not read"));
  if (!parses) return ModelError("not an ONNX model, or truncated: it does not parse as protobuf");
  return TakeModel(&proto, TensorFiles(folder));
}

Result<graph::Model> ParseMappedOnnx(const std::shared_ptr<const MappedFile>& file,
                                     const std::string& folder, int64_t map_from) {
  const std::span<const std::byte> bytes = file->bytes();
  RETURN_IF_ERROR(CheckSize(bytes.size()));
  const CutMessage message = CutRawData(bytes, map_from);
  onnx::ModelProto proto;
  if (message.cuts.empty() || !ParseCut(message, &proto))
    return ParseOnnx(bytes.data(), bytes.size(), folder);
  TensorFiles files(folder);
  files.cut = CutTensors(message.cuts, file, proto.mutable_graph());
  auto model = TakeModel(&proto, std::move(files));
  file->ReleasePages(0, static_cast<int64_t>(bytes.size()));
  return model;
}

Result<graph::Model> ReadOnnx(const std::string& path) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file,
                   OpenInput(path, ErrorKind::kModel));
  auto model = ParseMappedOnnx(file, FolderOf(path));
  if (!model.ok()) return std::move(model).status().At(StrCat("'", path, "'"));
  return model;
}

}  // namespace roundel::io
