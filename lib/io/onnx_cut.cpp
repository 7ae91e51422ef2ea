// A scanner of protobuf's wire format (protobuf.dev/programming-guides/encoding) that descends into
// the messages on the path to weights and skips all others. Protobuf parses accepted files in the
// same way; the scanner rejects everything ambiguous (groups, numbers with redundant bytes,
// messages that occur twice and would be merged).

#include "lib/io/onnx_cut.h"

#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "lib/io/onnx_tensor.h"

namespace roundel::io {
namespace {

using Bytes = std::span<const std::byte>;

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// The messages on the way to weights, with the field numbers of onnx.proto.
enum class Kind { kModel, kGraph, kNode, kAttribute, kTensor, kRawData };

struct Child {
  Kind kind;
  bool repeated;
};
// The message in `field`; nullptr: not on the path to weights.
const Child* ChildOf(Kind message, uint32_t field) {
  static constexpr Child kGraphOf{Kind::kGraph, false}, kTensorOf{Kind::kTensor, true},
      kNodeOf{Kind::kNode, true}, kAttributeOf{Kind::kAttribute, true},
      kValueOf{Kind::kTensor, false}, kRawDataOf{Kind::kRawData, false};
  switch (message) {
    case Kind::kModel: return field == onnx::ModelProto::kGraphFieldNumber ? &kGraphOf : nullptr;
    case Kind::kGraph:
      return field == onnx::GraphProto::kInitializerFieldNumber ? &kTensorOf
             : field == onnx::GraphProto::kNodeFieldNumber      ? &kNodeOf
                                                                : nullptr;
    case Kind::kNode:
      return field == onnx::NodeProto::kAttributeFieldNumber ? &kAttributeOf : nullptr;
    case Kind::kAttribute:
      return field == onnx::AttributeProto::kTFieldNumber ? &kValueOf : nullptr;
    case Kind::kTensor:
      return field == onnx::TensorProto::kRawDataFieldNumber ? &kRawDataOf : nullptr;
    case Kind::kRawData: return nullptr;
  }
  return nullptr;
}

// Takes a number of at most `max_bytes` bytes off the front; false if it is longer, truncated, or
// has redundant bytes.
bool TakeVarint(Bytes* bytes, size_t max_bytes, uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i < std::min(max_bytes, bytes->size()); ++i) {
    const auto byte = static_cast<uint64_t>((*bytes)[i]);
    *value |= (byte & 0x7f) << (7 * i);
    if (byte >= 0x80) continue;
    if (byte == 0 && i > 0) return false;
    *bytes = bytes->subspan(i + 1);
    return true;
  }
  return false;
}

void AppendVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

struct Field {
  uint32_t number = 0;
  Bytes whole, payload;  // payload: of bytes only
  bool is_bytes = false;
};

// Takes a field off the front; false for anything unusual.
bool TakeField(Bytes* bytes, Field* field) {
  const Bytes start = *bytes;
  uint64_t tag = 0, length = 0;
  constexpr size_t kMaxTag = 4, kMaxLength = 5, kMaxValue = 10;  // bytes
  if (!TakeVarint(bytes, kMaxTag, &tag) || tag >> 3 == 0) return false;
  field->number = static_cast<uint32_t>(tag >> 3);
  field->is_bytes = (tag & 7) == kBytes;
  switch (tag & 7) {
    case kVarint:
      if (!TakeVarint(bytes, kMaxValue, &length)) return false;
      length = 0;
      break;
    case kFixed64: length = 8; break;
    case kFixed32: length = 4; break;
    case kBytes:
      if (!TakeVarint(bytes, kMaxLength, &length)) return false;
      break;
    default: return false;
  }
  if (length > bytes->size()) return false;
  field->payload = bytes->first(static_cast<size_t>(length));
  *bytes = bytes->subspan(static_cast<size_t>(length));
  field->whole = start.first(start.size() - bytes->size());
  return true;
}

class Cutter {
 public:
  Cutter(Bytes file, int64_t cut_from, CutMessage* out)
      : file_(file), cut_from_(cut_from), out_(*out) {}

  // Appends `message` without the cut fields; false if it is rejected.
  bool Append(Kind kind, Bytes message, Cut at) {
    int nodes = 0, attributes = 0, initializers = 0, singles = 0;
    for (Field field; !message.empty();) {
      if (!TakeField(&message, &field)) return false;
      const Child* child = ChildOf(kind, field.number);
      if (child == nullptr) {
        Keep(field.whole);
        continue;
      }
      if (!field.is_bytes || (!child->repeated && ++singles > 1)) return false;
      if (child->kind == Kind::kNode) at.node = nodes++;
      if (child->kind == Kind::kAttribute) at.attribute = attributes++;
      if (kind == Kind::kGraph && child->kind == Kind::kTensor) {
        at.node = -1;
        at.initializer = initializers++;
      }
      if (!(child->kind == Kind::kRawData ? CutOut(field, at)
                                          : AppendChild(child->kind, field, at)))
        return false;
    }
    return true;
  }

 private:
  void Keep(Bytes bytes) {
    size_ += bytes.size();
    auto& pieces = out_.pieces;
    if (!pieces.empty() && pieces.back().data() + pieces.back().size() == bytes.data())
      pieces.back() = {pieces.back().data(), pieces.back().size() + bytes.size()};
    else
      pieces.push_back(bytes);
  }

  bool CutOut(const Field& field, Cut at) {
    at.size = static_cast<int64_t>(field.payload.size());
    if (at.size < cut_from_) {
      Keep(field.whole);
      return true;
    }
    at.offset = field.payload.data() - file_.data();
    out_.cuts.push_back(at);
    return true;
  }

  bool AppendChild(Kind kind, const Field& field, Cut at) {
    const size_t pieces = out_.pieces.size(), cuts = out_.cuts.size(), size = size_;
    out_.pieces.emplace_back();  // the header, once the length is known
    if (!Append(kind, field.payload, at)) return false;
    if (out_.cuts.size() == cuts) {  // untouched
      out_.pieces.resize(pieces);
      size_ = size;
      Keep(field.whole);
      return true;
    }
    std::string& header = out_.headers.emplace_back();
    AppendVarint(field.number << 3 | kBytes, &header);
    AppendVarint(size_ - size, &header);
    out_.pieces[pieces] = std::as_bytes(std::span(header));
    size_ += header.size();
    return true;
  }

  const Bytes file_;
  const int64_t cut_from_;
  CutMessage& out_;
  size_t size_ = 0;  // of all pieces
};

}  // namespace

CutMessage CutRawData(Bytes model, int64_t cut_from) {
  CutMessage message;
  if (!Cutter(model, cut_from, &message).Append(Kind::kModel, model, {})) message.cuts.clear();
  return message;
}

// With an explicit stack: a recursion would overflow on hostile files.
int SubgraphDepth(Bytes model) {
  enum class Message { kModel, kGraph, kNode, kAttribute };
  const auto child = [](Message message, uint32_t field) -> std::optional<Message> {
    const auto at = [&](int number) { return field == static_cast<uint32_t>(number); };
    if (message == Message::kModel && at(onnx::ModelProto::kGraphFieldNumber))
      return Message::kGraph;
    if (message == Message::kGraph && at(onnx::GraphProto::kNodeFieldNumber)) return Message::kNode;
    if (message == Message::kNode && at(onnx::NodeProto::kAttributeFieldNumber))
      return Message::kAttribute;
    if (message == Message::kAttribute &&
        (at(onnx::AttributeProto::kGFieldNumber) || at(onnx::AttributeProto::kGraphsFieldNumber)))
      return Message::kGraph;
    return std::nullopt;
  };
  std::vector<std::pair<Message, Bytes>> open = {{Message::kModel, model}};
  size_t deepest = 1;
  for (Field field; !open.empty();) {
    deepest = std::max(deepest, open.size());
    auto& [message, rest] = open.back();
    if (rest.empty()) {
      open.pop_back();
    } else if (!TakeField(&rest, &field)) {
      break;
    } else if (const auto next = field.is_bytes ? child(message, field.number) : std::nullopt) {
      open.emplace_back(*next, field.payload);
    }
  }
  return std::max(0,
                  (static_cast<int>(deepest) - 2) / 3);  // model, graph, then three for each level
}

bool ParseCut(const CutMessage& message, onnx::ModelProto* proto) {
  using google::protobuf::io::ArrayInputStream;
  std::deque<ArrayInputStream> arrays;  // not movable
  std::vector<google::protobuf::io::ZeroCopyInputStream*> streams;
  for (const Bytes piece : message.pieces)
    streams.push_back(&arrays.emplace_back(piece.data(), static_cast<int>(piece.size())));
  google::protobuf::io::ConcatenatingInputStream stream(streams.data(),
                                                        static_cast<int>(streams.size()));
  return SilenceProtobuf() && proto->ParsePartialFromZeroCopyStream(&stream);
}

namespace {

onnx::TensorProto* TensorOf(const Cut& cut, onnx::GraphProto* graph) {
  if (cut.node < 0) {
    INVARIANT(cut.initializer < graph->initializer_size(), "cut out of no initializer");
    return graph->mutable_initializer(cut.initializer);
  }
  INVARIANT(cut.node < graph->node_size(), "cut out of no node");
  onnx::NodeProto* node = graph->mutable_node(cut.node);
  INVARIANT(cut.attribute < node->attribute_size(), "cut out of no attribute");
  INVARIANT(node->attribute(cut.attribute).has_t(), "cut out of no tensor");
  return node->mutable_attribute(cut.attribute)->mutable_t();
}

// True if the reader uses the tensor, and its data is only raw bytes of the correct size.
bool IsPlain(const Cut& cut, const onnx::GraphProto& graph, const onnx::TensorProto& tensor) {
  if (cut.node >= 0) {
    const onnx::AttributeProto& attribute = graph.node(cut.node).attribute(cut.attribute);
    if (attribute.type() != onnx::AttributeProto::TENSOR || !attribute.ref_attr_name().empty())
      return false;
  }
  const auto type = static_cast<DType>(tensor.data_type());
  const Shape shape(tensor.dims().begin(), tensor.dims().end());
  const auto count = CheckedNumElements(shape, type);
  const bool elsewhere = tensor.has_segment() ||
                         tensor.data_location() == onnx::TensorProto::EXTERNAL ||
                         DataFields(tensor) > 0;
  // Bools are checked one by one while they are read.
  return !elsewhere && count.ok() && BitWidth(type) > 0 && type != DType::kBool &&
         ByteSize(type, *count) == cut.size;
}

}  // namespace

CutTensors::CutTensors(const std::vector<Cut>& cuts, const std::shared_ptr<const MappedFile>& file,
                       onnx::GraphProto* graph) {
  for (const Cut& cut : cuts) {
    onnx::TensorProto* tensor = TensorOf(cut, graph);
    if (IsPlain(cut, *graph, *tensor))
      places_[tensor] = {file, cut.offset};
    else
      tensor->set_raw_data(file->bytes().data() + cut.offset, static_cast<size_t>(cut.size));
  }
}

const CutTensors::Place* CutTensors::Find(const onnx::TensorProto& tensor) const {
  const auto found = places_.find(&tensor);
  return found == places_.end() ? nullptr : &found->second;
}

}  // namespace roundel::io
