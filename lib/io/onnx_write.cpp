// Writing ONNX files: graph::Model -> protobuf. The main graph's initializers, most of a
// model's bytes, are never put into a message: the bytes before and after them are
// serialized, and weights are written directly from the tensors, in the order that protobuf
// would write.

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>
#include <unordered_map>

#include "lib/base/commit_group.h"
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/io/onnx.h"
#include "lib/io/onnx_attribute.h"
#include "lib/io/onnx_message.h"
#include "lib/io/onnx_tensor.h"

namespace roundel::io {
namespace {

using google::protobuf::io::CodedOutputStream;

void PutImports(const std::vector<std::pair<std::string, int64_t>>& imports,
                google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>* field) {
  while (field->size() > static_cast<int>(imports.size())) field->RemoveLast();
  for (size_t i = 0; i < imports.size(); ++i) {
    const int at = static_cast<int>(i);
    onnx::OperatorSetIdProto* entry = at < field->size() ? field->Mutable(at) : field->Add();
    ROUNDEL_PUT_STRING(entry, domain, imports[i].first);
    ROUNDEL_PUT_INT(entry, version, imports[i].second);
  }
}

void PutDim(const graph::Dim& dim, onnx::TensorShapeProto::Dimension* proto) {
  ParseLeftover(dim.unknown, proto);
  if (dim.value)
    proto->set_dim_value(*dim.value);
  else
    ROUNDEL_PUT_STRING(proto, dim_param, dim.symbol);
}

void PutValueInfo(const graph::ValueInfo& info, onnx::ValueInfoProto* proto) {
  ParseLeftover(info.unknown, proto);
  ROUNDEL_PUT_STRING(proto, name, info.name);
  ROUNDEL_PUT_STRING(proto, doc_string, info.doc_string);
  if (info.dtype == DType::kUndefined && !info.shape) {
    if (!info.type_bytes.empty()) ParseLeftover(info.type_bytes, proto->mutable_type());
    return;
  }
  onnx::TypeProto::Tensor* tensor = proto->mutable_type()->mutable_tensor_type();
  ROUNDEL_PUT_INT(tensor, elem_type, static_cast<int32_t>(info.dtype));
  if (!info.shape) return;
  for (const graph::Dim& dim : *info.shape) PutDim(dim, tensor->mutable_shape()->add_dim());
  tensor->mutable_shape();  // a scalar's shape has no dimensions, but is there
}

void PutNode(const graph::Node& node, onnx::NodeProto* proto) {
  ParseLeftover(node.unknown, proto);
  ROUNDEL_PUT_STRING(proto, name, node.name);
  ROUNDEL_PUT_STRING(proto, op_type, node.op_type);
  ROUNDEL_PUT_STRING(proto, domain, node.domain);
  ROUNDEL_PUT_STRING(proto, doc_string, node.doc_string);
  for (const std::string& input : node.inputs) proto->add_input(input);
  for (const std::string& output : node.outputs) proto->add_output(output);
  for (const graph::Attribute& attribute : node.attributes)
    PutAttribute(attribute, proto->add_attribute());
}

void PutFunction(const graph::Function& function, onnx::FunctionProto* proto) {
  ParseLeftover(function.unknown, proto);
  ROUNDEL_PUT_STRING(proto, name, function.name);
  ROUNDEL_PUT_STRING(proto, domain, function.domain);
  ROUNDEL_PUT_STRING(proto, doc_string, function.doc_string);
  for (const std::string& input : function.inputs) proto->add_input(input);
  for (const std::string& output : function.outputs) proto->add_output(output);
  for (const std::string& attribute : function.attributes) proto->add_attribute(attribute);
  // Before the fields with higher numbers, where protobuf itself would put them.
  google::protobuf::UnknownFieldSet others;
  others.Swap(proto->mutable_unknown_fields());
  for (const graph::Attribute& attribute : function.defaults) {
    onnx::AttributeProto made;
    PutAttribute(attribute, &made);
    proto->mutable_unknown_fields()->AddLengthDelimited(kFunctionDefaultsField,
                                                        made.SerializePartialAsString());
  }
  proto->mutable_unknown_fields()->MergeFrom(others);
  PutImports(function.opset_imports, proto->mutable_opset_import());
  for (const graph::NodePtr& node : function.nodes) PutNode(*node, proto->add_node());
}

// All but the model's graph.
void PutModel(const graph::Model& model, onnx::ModelProto* proto) {
  ParseLeftover(model.unknown, proto);
  ROUNDEL_PUT_INT(proto, ir_version, model.ir_version);
  ROUNDEL_PUT_STRING(proto, producer_name, model.producer_name);
  ROUNDEL_PUT_STRING(proto, producer_version, model.producer_version);
  ROUNDEL_PUT_STRING(proto, domain, model.domain);
  ROUNDEL_PUT_STRING(proto, doc_string, model.doc_string);
  ROUNDEL_PUT_INT(proto, model_version, model.model_version);
  PutImports(model.opset_imports, proto->mutable_opset_import());
  auto* metadata = proto->mutable_metadata_props();
  while (metadata->size() > static_cast<int>(model.metadata.size())) metadata->RemoveLast();
  for (size_t i = 0; i < model.metadata.size(); ++i) {
    const int at = static_cast<int>(i);
    onnx::StringStringEntryProto* entry =
        at < metadata->size() ? metadata->Mutable(at) : metadata->Add();
    ROUNDEL_PUT_STRING(entry, key, model.metadata[i].first);
    ROUNDEL_PUT_STRING(entry, value, model.metadata[i].second);
  }
  for (const graph::Function& function : model.functions)
    PutFunction(function, proto->add_functions());
}

// Name, doc string, leftover and value (raw bytes only with kSet). See PutTensor for the result.
bool PutInitializer(const graph::Initializer& initializer, RawData raw, onnx::TensorProto* proto) {
  ParseLeftover(initializer.unknown, proto);
  TakeSparseMark(proto);
  ROUNDEL_PUT_STRING(proto, name, initializer.name);
  ROUNDEL_PUT_STRING(proto, doc_string, initializer.doc_string);
  return PutTensor(initializer.value, raw, proto);
}

bool IsMarkedSparse(const graph::Initializer& initializer) {
  if (initializer.unknown.empty()) return false;
  onnx::TensorProto proto;
  ParseLeftover(initializer.unknown, &proto);
  return TakeSparseMark(&proto);
}

// Keeps sparse messages in `proto` (the leftover) that still describe their initializer, and
// removes others. Returns for each initializer of `graph` whether such a message writes it.
std::vector<bool> KeepSparse(const graph::Graph& graph, onnx::GraphProto* proto) {
  std::vector<bool> written(graph.initializers().size(), false);
  if (proto->sparse_initializer_size() == 0) return written;
  std::unordered_map<std::string_view, size_t> index;
  for (size_t i = 0; i < written.size(); ++i)
    if (IsMarkedSparse(graph.initializers()[i])) index[graph.initializers()[i].name] = i;
  google::protobuf::RepeatedPtrField<onnx::SparseTensorProto> kept;
  for (const onnx::SparseTensorProto& sparse : proto->sparse_initializer()) {
    const auto found = index.find(sparse.values().name());
    if (found == index.end()) continue;
    TensorFiles no_files("");
    int64_t budget = INT64_MAX;
    const auto dense = Densify(sparse, &no_files, &budget);
    if (!dense.ok() || !(*dense == graph.initializers()[found->second].value)) continue;
    written[found->second] = true;
    *kept.Add() = sparse;
  }
  *proto->mutable_sparse_initializer() = std::move(kept);
  return written;
}

// All but the dense initializers.
std::vector<bool> PutGraphHead(const graph::Graph& graph, onnx::GraphProto* proto) {
  ParseLeftover(graph.unknown, proto);
  ROUNDEL_PUT_STRING(proto, name, graph.name);
  ROUNDEL_PUT_STRING(proto, doc_string, graph.doc_string);
  for (const graph::ValueInfo& info : graph.inputs) PutValueInfo(info, proto->add_input());
  for (const graph::ValueInfo& info : graph.outputs) PutValueInfo(info, proto->add_output());
  for (const graph::ValueInfo& info : graph.value_info) PutValueInfo(info, proto->add_value_info());
  for (const graph::NodePtr& node : graph.nodes()) PutNode(*node, proto->add_node());
  return KeepSparse(graph, proto);
}

// Moves the fields of `message` whose number is less than `number` into `front`.
template <typename Message>
void SplitFields(int number, Message* message, Message* front) {
  const auto* reflection = message->GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  std::erase_if(fields, [&](const auto* field) { return field->number() >= number; });
  reflection->SwapFields(message, front, fields);
}

// ---- the stream

using Sink = std::function<Status(const void*, size_t)>;

Status PutBytes(const Tensor& value, const Sink& sink) {
  RETURN_IF_ERROR(sink(value.bytes().data(), value.bytes().size()));
  value.ReleasePages();
  return OkStatus();
}

std::string Header(int field, uint64_t length) {
  constexpr int kLengthDelimited = 2;
  uint8_t buffer[20];
  uint8_t* end = CodedOutputStream::WriteVarint32ToArray(
      static_cast<uint32_t>(field << 3 | kLengthDelimited), buffer);
  end = CodedOutputStream::WriteVarint64ToArray(length, end);
  return {reinterpret_cast<char*>(buffer), static_cast<size_t>(end - buffer)};
}

constexpr int kGraphField = 7, kInitializerField = 5, kRawDataField = 9;

// Location of the external bytes of an initializer; offset -1: inside the model.
struct Place {
  int64_t offset = -1;
};

// One initializer as bytes: `front`, raw data if any, `back`.
struct InitializerBytes {
  std::string front, back;
  const Tensor* raw = nullptr;
  int64_t size() const {
    return static_cast<int64_t>(front.size() + back.size()) + (raw ? raw->byte_size() : 0);
  }
};

InitializerBytes Encode(const graph::Initializer& initializer, Place place,
                        const std::string& data_file) {
  InitializerBytes bytes;
  onnx::TensorProto proto, front;
  const bool external = place.offset >= 0;
  const bool has_raw =
      PutInitializer(initializer, external ? RawData::kExternal : RawData::kLeave, &proto);
  if (external) {
    const auto add = [&](const char* key, std::string value) {
      onnx::StringStringEntryProto* entry = proto.add_external_data();
      entry->set_key(key);
      entry->set_value(std::move(value));
    };
    proto.set_data_location(onnx::TensorProto::EXTERNAL);
    add("location", data_file);
    add("offset", std::to_string(place.offset));
    add("length", std::to_string(initializer.value.byte_size()));
  } else if (has_raw) {
    bytes.raw = &initializer.value;
    SplitFields(kRawDataField, &proto, &front);
    bytes.front = front.SerializePartialAsString() +
                  Header(kRawDataField, static_cast<uint64_t>(bytes.raw->byte_size()));
  }
  bytes.back = proto.SerializePartialAsString();
  return bytes;
}

// The layout of a model for streaming: sizes are known, weights are not copied.
class Layout {
 public:
  // Weights with an offset in `places` are omitted; they go to `data_file`.
  Layout(const graph::Model& model, std::vector<Place> places, std::string data_file)
      : graph_(*model.graph), places_(std::move(places)), data_file_(std::move(data_file)) {
    onnx::ModelProto back, front;
    PutModel(model, &back);
    SplitFields(kGraphField, &back, &front);
    onnx::GraphProto graph_back, graph_front;
    is_sparse_ = PutGraphHead(graph_, &graph_back);
    SplitFields(kInitializerField, &graph_back, &graph_front);
    // Protobuf cannot serialize a message of 2 GB; the sizes are checked first.
    too_large_ = back.ByteSizeLong() > INT_MAX || graph_back.ByteSizeLong() > INT_MAX ||
                 graph_front.ByteSizeLong() > INT_MAX;
    if (too_large_) return;
    front_ = front.SerializePartialAsString();
    back_ = back.SerializePartialAsString();
    graph_front_ = graph_front.SerializePartialAsString();
    graph_back_ = graph_back.SerializePartialAsString();
    graph_size_ = static_cast<int64_t>(graph_front_.size() + graph_back_.size());
    places_.resize(graph_.initializers().size());
    for (size_t i = 0; i < places_.size(); ++i) {
      if (is_sparse_[i]) continue;
      const int64_t size = Encode(graph_.initializers()[i], places_[i], data_file_).size();
      graph_size_ +=
          static_cast<int64_t>(Header(kInitializerField, static_cast<uint64_t>(size)).size()) +
          size;
    }
  }

  bool too_large() const { return too_large_ || size() > INT_MAX; }
  int64_t size() const {
    return static_cast<int64_t>(front_.size() +
                                Header(kGraphField, static_cast<uint64_t>(graph_size_)).size() +
                                back_.size()) +
           graph_size_;
  }

  Status Stream(const Sink& sink) const {
    const auto put = [&](const std::string& bytes) { return sink(bytes.data(), bytes.size()); };
    RETURN_IF_ERROR(put(front_ + Header(kGraphField, static_cast<uint64_t>(graph_size_))));
    RETURN_IF_ERROR(put(graph_front_));
    for (size_t i = 0; i < places_.size(); ++i) {
      if (is_sparse_[i]) continue;
      const InitializerBytes bytes = Encode(graph_.initializers()[i], places_[i], data_file_);
      RETURN_IF_ERROR(
          put(Header(kInitializerField, static_cast<uint64_t>(bytes.size())) + bytes.front));
      if (bytes.raw) RETURN_IF_ERROR(PutBytes(*bytes.raw, sink));
      RETURN_IF_ERROR(put(bytes.back));
    }
    RETURN_IF_ERROR(put(graph_back_));
    return put(back_);
  }

  bool is_sparse(size_t i) const { return is_sparse_[i]; }

 private:
  const graph::Graph& graph_;
  std::vector<Place> places_;
  std::string data_file_, front_, back_, graph_front_, graph_back_;
  std::vector<bool> is_sparse_;
  int64_t graph_size_ = 0;
  bool too_large_ = false;
};

// ---- external data

constexpr int64_t kExternalFrom = 1024;  // bytes; smaller ones (shapes, scales) stay inside
constexpr int64_t kPage = 4096, kPageFrom = 1 << 16, kCacheLine = 64;

int64_t AlignUp(int64_t position, int64_t bytes) {
  // Large weights start on a page, so that a reader can map each of them.
  const int64_t alignment = bytes >= kPageFrom ? kPage : kCacheLine;
  return (position + alignment - 1) / alignment * alignment;
}

std::vector<Place> PlaceExternally(const graph::Graph& graph, const Layout& inside) {
  std::vector<Place> places(graph.initializers().size());
  int64_t position = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    const Tensor& value = graph.initializers()[i].value;
    const int64_t bytes = BitWidth(value.dtype()) > 0 ? value.byte_size() : 0;
    if (bytes < kExternalFrom || inside.is_sparse(i)) continue;
    position = AlignUp(position, bytes);
    places[i].offset = position;
    position += bytes;
  }
  return places;
}

Status WriteData(const graph::Graph& graph, const std::vector<Place>& places, AtomicFile* file) {
  for (size_t i = 0; i < places.size(); ++i) {
    if (places[i].offset < 0) continue;
    const Tensor& value = graph.initializers()[i].value;
    RETURN_IF_ERROR(file->PadTo(value.byte_size() >= kPageFrom ? kPage : kCacheLine));
    INVARIANT(file->position() == places[i].offset, "external data out of place");
    RETURN_IF_ERROR(
        PutBytes(value, [&](const void* data, size_t bytes) { return file->Write(data, bytes); }));
  }
  return OkStatus();
}

// Gathers the many small pieces between weights into fewer writes.
class Buffered {
 public:
  explicit Buffered(AtomicFile* file) : file_(file) {}
  Status Write(const void* data, size_t bytes) {
    if (buffer_.size() + bytes > kCapacity) RETURN_IF_ERROR(Flush());
    if (bytes > kCapacity) return file_->Write(data, bytes);
    buffer_.append(static_cast<const char*>(data), bytes);
    return OkStatus();
  }
  Status Flush() {
    RETURN_IF_ERROR(file_->Write(buffer_));
    buffer_.clear();
    return OkStatus();
  }

 private:
  static constexpr size_t kCapacity = 1 << 16;
  AtomicFile* file_;
  std::string buffer_;
};

Status WriteModel(const Layout& layout, AtomicFile* file) {
  Buffered buffered(file);
  RETURN_IF_ERROR(
      layout.Stream([&](const void* data, size_t bytes) { return buffered.Write(data, bytes); }));
  return buffered.Flush();
}

constexpr char kTooLarge[] =
    "the model is larger than 2 GB, the limit of protobuf: write it with external data";

}  // namespace

void PutGraph(const graph::Graph& graph, onnx::GraphProto* proto) {
  const std::vector<bool> is_sparse = PutGraphHead(graph, proto);
  for (size_t i = 0; i < is_sparse.size(); ++i)
    if (!is_sparse[i])
      PutInitializer(graph.initializers()[i], RawData::kSet, proto->add_initializer());
}

Status WriteOnnx(const graph::Model& model, const std::string& path,
                 const OnnxWriteOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  const Layout inside(model, {}, "");
  if (!options.external_data && !inside.too_large()) {
    RETURN_IF_ERROR(WriteModel(inside, file.get()));
    return file->Commit();
  }
  CommitGroup group;
  const std::vector<Place> places = PlaceExternally(*model.graph, inside);
  const std::string data_path = path + ".data";
  const Layout outside(model, places, std::filesystem::path(data_path).filename().string());
  if (outside.too_large())
    return ModelError(StrCat("'", path, "': more than 2 GB remain besides the external data"));
  RETURN_IF_ERROR(WriteModel(outside, file.get()));
  const auto is_external = [](const Place& place) { return place.offset >= 0; };
  if (std::any_of(places.begin(), places.end(), is_external)) {
    ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> data, AtomicFile::Create(data_path));
    RETURN_IF_ERROR(WriteData(*model.graph, places, data.get()));
    RETURN_IF_ERROR(
        data->Commit());  // first: a model without weights is worse than weights without a model
  }
  RETURN_IF_ERROR(file->Commit());
  return group.Finish();
}

int64_t OnnxBytes(const graph::Model& model, const std::string& path,
                  const OnnxWriteOptions& options) {
  const Layout inside(model, {}, "");
  if (!options.external_data && !inside.too_large()) return inside.size();
  const std::vector<Place> places = PlaceExternally(*model.graph, inside);
  int64_t bytes = 0;
  for (size_t i = 0; i < places.size(); ++i)
    if (places[i].offset >= 0)
      bytes = places[i].offset + model.graph->initializers()[i].value.byte_size();
  return bytes +
         Layout(model, places, std::filesystem::path(path + ".data").filename().string()).size();
}

Result<std::string> SerializeOnnx(const graph::Model& model) {
  const Layout layout(model, {}, "");
  if (layout.too_large()) return ModelError(kTooLarge);
  std::string bytes;
  bytes.reserve(static_cast<size_t>(layout.size()));
  RETURN_IF_ERROR(layout.Stream([&](const void* data, size_t size) {
    bytes.append(static_cast<const char*>(data), size);
    return OkStatus();
  }));
  return bytes;
}

}  // namespace roundel::io
