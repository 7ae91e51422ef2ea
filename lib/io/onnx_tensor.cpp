#include "lib/io/onnx_tensor.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "lib/base/text.h"

namespace roundel::io {
namespace {

// Reading another byte as a bool is undefined behavior.
Result<Tensor> CheckBools(Result<Tensor> tensor) {
  if (!tensor.ok() || tensor->dtype() != DType::kBool) return tensor;
  const auto* bytes = static_cast<const uint8_t*>(tensor->raw());
  if (std::all_of(bytes, bytes + tensor->byte_size(), [](uint8_t byte) { return byte < 2; }))
    return tensor;
  return ModelError("a bool is neither 0 nor 1");
}

// The note: bit 0 = the data was in a typed field, bit 1 = the initializer was sparse; the element
// type above, because the note is void once a pass has changed the type.
constexpr uint64_t kTyped = 1, kSparse = 2;
constexpr int kTypeShift = 8;

uint64_t MakeNote(DType type, uint64_t bits) {
  return static_cast<uint64_t>(type) << kTypeShift | bits;
}

// Which of TensorProto's typed fields holds a type (the comments of onnx.proto).
enum class Field { kFloat, kInt32, kInt64, kDouble, kUint64 };

Field FieldOf(DType type) {
  switch (type) {
    case DType::kFloat:
    case DType::kComplex64: return Field::kFloat;
    case DType::kDouble:
    case DType::kComplex128: return Field::kDouble;
    case DType::kInt64: return Field::kInt64;
    case DType::kUint32:
    case DType::kUint64: return Field::kUint64;
    default: return Field::kInt32;  // everything of up to 16 bits, and int32
  }
}

// Bytes of one entry of the typed field: complex numbers take two entries, types under 8 bits are
// packed, one byte per entry.
int64_t EntryBytes(DType type) {
  const int bytes = BitWidth(type) / 8;
  if (type == DType::kComplex64 || type == DType::kComplex128) return bytes / 2;
  return bytes == 0 ? 1 : bytes;
}

template <typename To, typename From>
Status Narrow(const From& entries, const std::string& field, std::string* bytes) {
  // An entry may be the value or its bit pattern: -1 and 255 are the same int8.
  using Wide = typename std::decay_t<From>::value_type;
  constexpr bool kSame = sizeof(To) == sizeof(Wide);
  auto* to = bytes->data();
  for (const Wide entry : entries) {
    if constexpr (!kSame) {
      constexpr int kBits = static_cast<int>(sizeof(To)) * 8;
      constexpr int64_t kLow = std::is_signed_v<Wide> ? -(int64_t{1} << (kBits - 1)) : 0;
      if (entry < static_cast<Wide>(kLow) || entry > static_cast<Wide>((uint64_t{1} << kBits) - 1))
        return ModelError(StrCat("value ", entry, " in ", field, " does not fit the element type"));
    }
    const To narrow = static_cast<To>(entry);
    std::memcpy(to, &narrow, sizeof narrow);
    to += sizeof narrow;
  }
  return OkStatus();
}

template <typename Entries>
Status CheckCount(const Entries& entries, const std::string& field, int64_t expected) {
  if (entries.size() == expected) return OkStatus();
  return ModelError(
      StrCat(field, " holds ", entries.size(), " values where ", expected, " are needed"));
}

Result<Tensor> TakeTyped(DType type, const Shape& shape, int64_t count, onnx::TensorProto* proto) {
  const int64_t bytes = ByteSize(type, count), entries = bytes / EntryBytes(type);
  std::string data;
  // The field is moved out of the message, so that its memory is freed after reading.
  const auto take = [&]<typename To>(To, auto* message_field, const char* name) -> Status {
    const auto field = std::move(*message_field);
    RETURN_IF_ERROR(CheckCount(field, name, entries));  // before allocating
    data.resize(static_cast<size_t>(bytes));
    return Narrow<To>(field, name, &data);
  };
  Status status;
  switch (FieldOf(type)) {
    case Field::kFloat: status = take(float{}, proto->mutable_float_data(), "float_data"); break;
    case Field::kDouble:
      status = take(double{}, proto->mutable_double_data(), "double_data");
      break;
    case Field::kInt64: status = take(int64_t{}, proto->mutable_int64_data(), "int64_data"); break;
    case Field::kUint64:
      status = type == DType::kUint64
                   ? take(uint64_t{}, proto->mutable_uint64_data(), "uint64_data")
                   : take(uint32_t{}, proto->mutable_uint64_data(), "uint64_data");
      break;
    case Field::kInt32:
      status = EntryBytes(type) == 4   ? take(int32_t{}, proto->mutable_int32_data(), "int32_data")
               : EntryBytes(type) == 2 ? take(uint16_t{}, proto->mutable_int32_data(), "int32_data")
                                       : take(uint8_t{}, proto->mutable_int32_data(), "int32_data");
      break;
  }
  RETURN_IF_ERROR(std::move(status));
  return CheckBools(Tensor::FromBytes(type, shape, std::move(data)));
}

Result<Tensor> TakeStrings(const Shape& shape, int64_t count, onnx::TensorProto* proto) {
  RETURN_IF_ERROR(CheckCount(proto->string_data(), "string_data", count));
  std::vector<std::string> strings;
  strings.reserve(static_cast<size_t>(count));
  for (std::string& text : *proto->mutable_string_data()) strings.push_back(std::move(text));
  proto->clear_string_data();
  return Tensor::Strings(shape, std::move(strings));
}

struct ExternalEntry {
  std::string location;
  int64_t offset = 0;
  std::optional<int64_t> length;
};

Result<ExternalEntry> ReadEntry(const onnx::TensorProto& proto) {
  ExternalEntry entry;
  for (const auto& pair : proto.external_data()) {
    int64_t number = 0;
    if (pair.key() == "location") {
      entry.location = pair.value();
    } else if (pair.key() == "offset" || pair.key() == "length") {
      if (!ParseSize(pair.value(), &number))
        return ModelError(StrCat("external data ", pair.key(), " '", Printable(pair.value()),
                                 "' is not a number of bytes"));
      if (pair.key() == "offset")
        entry.offset = number;
      else
        entry.length = number;
    }
  }
  return entry;
}

Result<Tensor> TakeExternal(DType type, const Shape& shape, int64_t count, onnx::TensorProto* proto,
                            ExternalFiles* files) {
  if (type == DType::kString) return ModelError("strings cannot be external data");
  if (BitWidth(type) == 0)
    return ModelError(StrCat("external data of unknown element type ", static_cast<int>(type)));
  ASSIGN_OR_RETURN(const ExternalEntry entry, ReadEntry(*proto));
  const int64_t bytes = ByteSize(type, count);
  const std::string shown = StrCat("external data file '", Printable(entry.location), "'");
  if (entry.length && *entry.length != bytes)
    return ModelError(StrCat("external data of ", *entry.length, " bytes for shape ",
                             ShapeString(shape), " of ", DTypeName(type), ", which needs ", bytes));
  ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, files->Open(entry.location));
  const auto size = static_cast<int64_t>(file->bytes().size());
  if (entry.offset > size || bytes > size - entry.offset)
    return ModelError(
        StrCat(shown, " is too short: ", bytes, " bytes at offset ", entry.offset, " of ", size));
  proto->clear_external_data();
  proto->clear_data_location();
  return Tensor::Mapped(type, shape, file, entry.offset);
}

}  // namespace

int DataFields(const onnx::TensorProto& proto) {
  return proto.has_raw_data() + (proto.float_data_size() > 0) + (proto.int32_data_size() > 0) +
         (proto.int64_data_size() > 0) + (proto.double_data_size() > 0) +
         (proto.uint64_data_size() > 0) + (proto.string_data_size() > 0);
}

void ParseLeftover(const std::string& leftover, google::protobuf::MessageLite* message) {
  if (leftover.empty()) return;
  INVARIANT(message->ParsePartialFromString(leftover), "a leftover is not a message");
}

Result<Tensor> TakeTensor(onnx::TensorProto* proto, TensorFiles* files) {
  TakeNote(proto->mutable_unknown_fields());
  const auto type = static_cast<DType>(proto->data_type());
  if (type == DType::kUndefined) return ModelError("the tensor has no element type");
  if (proto->has_segment()) return ModelError("tensor segments are not supported");
  const Shape shape(proto->dims().begin(), proto->dims().end());
  ASSIGN_OR_RETURN(const int64_t count, CheckedNumElements(shape, type));
  const bool external = proto->data_location() == onnx::TensorProto::EXTERNAL;
  if (DataFields(*proto) + external > 1) return ModelError("the tensor holds its data twice");
  proto->clear_dims();
  proto->clear_data_type();
  if (external) return CheckBools(TakeExternal(type, shape, count, proto, &files->external));
  if (const CutTensors::Place* place = files->cut.Find(*proto))
    return Tensor::Mapped(type, shape, place->file, place->offset);
  if (type == DType::kString && !proto->has_raw_data()) return TakeStrings(shape, count, proto);
  if (BitWidth(type) == 0 && type != DType::kString)
    return Tensor::Empty(type, shape);  // a newer type: its data stays in the leftover
  if (!proto->has_raw_data()) {
    SetNote(proto->mutable_unknown_fields(), MakeNote(type, kTyped));
    return TakeTyped(type, shape, count, proto);
  }
  if (type == DType::kString) return ModelError("strings cannot be raw data");
  const int64_t bytes = ByteSize(type, count);
  if (static_cast<int64_t>(proto->raw_data().size()) != bytes)
    return ModelError(StrCat("raw_data has ", proto->raw_data().size(), " bytes where shape ",
                             ShapeString(shape), " of ", DTypeName(type), " needs ", bytes));
  std::string data = std::move(*proto->mutable_raw_data());
  proto->clear_raw_data();
  return CheckBools(Tensor::FromBytes(type, shape, std::move(data)));
}

namespace {

template <typename From, typename Field>
void Widen(const Tensor& value, Field* field) {
  const int64_t entries = value.byte_size() / static_cast<int64_t>(sizeof(From));
  const auto* bytes = reinterpret_cast<const char*>(value.bytes().data());
  field->Reserve(static_cast<int>(entries));
  for (int64_t i = 0; i < entries; ++i) {
    From entry;
    std::memcpy(&entry, bytes + i * static_cast<int64_t>(sizeof entry), sizeof entry);
    field->Add(entry);
  }
}

void PutTyped(const Tensor& value, onnx::TensorProto* proto) {
  switch (FieldOf(value.dtype())) {
    case Field::kFloat: return Widen<float>(value, proto->mutable_float_data());
    case Field::kDouble: return Widen<double>(value, proto->mutable_double_data());
    case Field::kInt64: return Widen<int64_t>(value, proto->mutable_int64_data());
    case Field::kUint64:
      return value.dtype() == DType::kUint64 ? Widen<uint64_t>(value, proto->mutable_uint64_data())
                                             : Widen<uint32_t>(value, proto->mutable_uint64_data());
    case Field::kInt32: break;
  }
  auto* field = proto->mutable_int32_data();
  switch (value.dtype()) {
    case DType::kInt32: return Widen<int32_t>(value, field);
    case DType::kInt16: return Widen<int16_t>(value, field);
    case DType::kInt8: return Widen<int8_t>(value, field);
    default: break;
  }
  return EntryBytes(value.dtype()) == 2 ? Widen<uint16_t>(value, field)
                                        : Widen<uint8_t>(value, field);
}

void ClearData(onnx::TensorProto* proto) {
  proto->clear_raw_data();
  proto->clear_float_data();
  proto->clear_int32_data();
  proto->clear_int64_data();
  proto->clear_double_data();
  proto->clear_uint64_data();
  proto->clear_string_data();
}

}  // namespace

bool PutTensor(const Tensor& value, RawData raw, onnx::TensorProto* proto) {
  INVARIANT(value.defined(), "undefined tensor in a model");
  const uint64_t note = TakeNote(proto->mutable_unknown_fields());
  proto->mutable_dims()->Assign(value.shape().begin(), value.shape().end());
  proto->set_data_type(static_cast<int32_t>(value.dtype()));
  const bool is_string = value.dtype() == DType::kString;
  if (BitWidth(value.dtype()) == 0 && !is_string) return false;
  ClearData(proto);
  if (is_string) {
    for (const std::string& text : value.strings()) proto->add_string_data(text);
    return false;
  }
  if (raw != RawData::kExternal && note == MakeNote(value.dtype(), kTyped)) {
    PutTyped(value, proto);
    return false;
  }
  if (raw == RawData::kSet) proto->set_raw_data(value.bytes().data(), value.bytes().size());
  return true;
}

void MarkSparse(onnx::TensorProto* proto) {
  TakeNote(proto->mutable_unknown_fields());
  SetNote(proto->mutable_unknown_fields(), kSparse);
}

bool TakeSparseMark(onnx::TensorProto* proto) {
  const uint64_t note = TakeNote(proto->mutable_unknown_fields());
  if (note != kSparse) SetNote(proto->mutable_unknown_fields(), note);
  return note == kSparse;
}

Result<Tensor> Densify(const onnx::SparseTensorProto& proto, TensorFiles* files, int64_t* budget) {
  onnx::TensorProto values_proto = proto.values(), indices_proto = proto.indices();
  ASSIGN_OR_RETURN(const Tensor values, TakeTensor(&values_proto, files));
  ASSIGN_OR_RETURN(const Tensor indices, TakeTensor(&indices_proto, files));
  const Shape shape(proto.dims().begin(), proto.dims().end());
  ASSIGN_OR_RETURN(const int64_t count, CheckedNumElements(shape, values.dtype()));
  const int64_t element = BitWidth(values.dtype()) / 8, rank = static_cast<int64_t>(shape.size());
  if (element == 0)
    return ModelError(
        StrCat("sparse tensors of ", DTypeName(values.dtype()), " are not supported"));
  const bool linear = indices.rank() == 1;
  if (indices.dtype() != DType::kInt64 || values.rank() != 1 || indices.rank() < 1 ||
      indices.rank() > 2 || indices.dim(0) != values.dim(0) || (!linear && indices.dim(1) != rank))
    return ModelError("the indices of a sparse tensor do not fit its values");
  if (count > *budget / element)
    return ModelError(StrCat("sparse tensor of shape ", ShapeString(shape), " is too large"));
  *budget -= count * element;
  Tensor dense = Tensor::Zeros(values.dtype(), shape);
  auto* to = static_cast<std::byte*>(dense.mutable_raw());
  const auto* from = static_cast<const std::byte*>(values.raw());
  const int64_t* index = indices.data<int64_t>();
  for (int64_t i = 0; i < values.dim(0); ++i) {
    int64_t flat = linear ? index[i] : 0;
    bool inside = flat >= 0 && flat < count;
    for (int64_t axis = 0; !linear && inside && axis < rank; ++axis) {
      const int64_t at = index[i * rank + axis];
      inside = at >= 0 && at < shape[axis];
      flat = inside ? flat * shape[axis] + at : 0;
    }
    if (!inside) return ModelError("an index of a sparse tensor is out of range");
    std::memcpy(to + flat * element, from + i * element, static_cast<size_t>(element));
  }
  return dense;
}

}  // namespace roundel::io
