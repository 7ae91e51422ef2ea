#include "lib/io/npy_header.h"

#include <charconv>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/text.h"

namespace roundel::io {
namespace {

constexpr size_t kMaxRank = 64;  // of NumPy 2

// Reads the Python dictionary literal {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
// and nothing else of Python.
class DictionaryReader {
 public:
  explicit DictionaryReader(std::string_view text) : text_(text) {}

  Status Read(NpyHeader* header) {
    bool has_type = false, has_order = false, has_shape = false;
    if (!Take('{')) return Malformed("'{'");
    while (!Take('}')) {
      std::string key;
      if (!ReadString(&key) || !Take(':')) return Malformed("a key");
      bool* seen = key == "descr"           ? &has_type
                   : key == "fortran_order" ? &has_order
                   : key == "shape"         ? &has_shape
                                            : nullptr;
      if (seen == nullptr) return DataError(StrCat("unknown key '", key, "' in the .npy header"));
      if (*seen) return DataError(StrCat("key '", key, "' twice in the .npy header"));
      *seen = true;
      RETURN_IF_ERROR(ReadValue(key, header));
      if (!Take(',') && Peek() != '}') return Malformed("','");
    }
    if (Peek() != '\0') return Malformed("the end");
    if (!has_type || !has_order || !has_shape)
      return DataError("the .npy header lacks 'descr', 'fortran_order' or 'shape'");
    return OkStatus();
  }

 private:
  char Peek() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n'))
      ++position_;
    return position_ < text_.size() ? text_[position_] : '\0';
  }
  bool Take(char wanted) {
    if (Peek() != wanted) return false;
    ++position_;
    return true;
  }
  bool TakeWord(std::string_view word) {
    Peek();
    if (!text_.substr(position_).starts_with(word)) return false;
    position_ += word.size();
    return true;
  }
  bool ReadString(std::string* out) {
    const char quote = Peek();
    if (quote != '\'' && quote != '"') return false;
    const size_t end = text_.find(quote, position_ + 1);
    if (end == std::string_view::npos) return false;
    // Keys and types are short words; a message quotes nothing else.
    const std::string_view word = text_.substr(position_ + 1, end - position_ - 1);
    for (char c : word)
      if (c <= ' ' || c > '~' || c == '\\') return false;
    *out = std::string(word.substr(0, 40));
    position_ = end + 1;
    return true;
  }
  Status ReadValue(const std::string& key, NpyHeader* header) {
    if (key == "shape") return ReadShape(&header->shape);
    if (key == "fortran_order") {
      header->fortran_order = TakeWord("True");
      return header->fortran_order || TakeWord("False") ? OkStatus() : Malformed("True or False");
    }
    if (Peek() == '[') return DataError("structured arrays (several fields) are not supported");
    std::string type;
    if (!ReadString(&type)) return Malformed("a type");
    return ReadType(type, header);
  }
  static Status ReadType(const std::string& type, NpyHeader* header) {
    static const std::pair<std::string_view, DType> kTypes[] = {
        {"f2", DType::kFloat16}, {"f4", DType::kFloat},  {"f8", DType::kDouble},
        {"i1", DType::kInt8},    {"i2", DType::kInt16},  {"i4", DType::kInt32},
        {"i8", DType::kInt64},   {"u1", DType::kUint8},  {"u2", DType::kUint16},
        {"u4", DType::kUint32},  {"u8", DType::kUint64}, {"b1", DType::kBool}};
    if (type.size() == 3 && std::strchr("<>|=", type[0]) != nullptr) {
      header->big_endian = type[0] == '>';
      for (const auto& [name, dtype] : kTypes) {
        if (type.substr(1) != name) continue;
        header->dtype = dtype;
        return OkStatus();
      }
    }
    return DataError(StrCat("element type '", type, "' of the .npy file is not supported; store ",
                            "float16/32/64, bool, or (u)int8..64"));
  }
  Status ReadShape(Shape* shape) {
    if (!Take('(')) return Malformed("a shape");
    while (!Take(')')) {
      Peek();
      int64_t dim = 0;
      const char* begin = text_.data() + position_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), dim);
      if (error != std::errc() || dim < 0) return Malformed("a dimension");
      position_ += static_cast<size_t>(end - begin);
      Take('L');  // of a Python 2 long
      if (shape->size() == kMaxRank) return DataError("the .npy array has over 64 dimensions");
      shape->push_back(dim);
      if (!Take(',') && Peek() != ')') return Malformed("','");
    }
    return OkStatus();
  }
  Status Malformed(const char* expected) const {
    return DataError(
        StrCat("malformed .npy header: expected ", expected, " at character ", position_));
  }

  std::string_view text_;
  size_t position_ = 0;
};

uint32_t LittleEndian(std::span<const std::byte> bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) value |= static_cast<uint32_t>(bytes[i]) << (8 * i);
  return value;
}

void SwapBytes(Tensor* tensor) {
  const int64_t width = BitWidth(tensor->dtype()) / 8, bytes = tensor->byte_size();
  auto* data = static_cast<std::byte*>(tensor->mutable_raw());
  for (int64_t begin = 0; begin < bytes; begin += width)
    for (int64_t i = 0; i < width / 2; ++i) std::swap(data[begin + i], data[begin + width - 1 - i]);
}

// Column-major to row-major: walks the output in order, the input along its strides.
Tensor FromFortranOrder(const Tensor& stored) {
  const Shape& shape = stored.shape();
  Tensor out = Tensor::Empty(stored.dtype(), shape);
  const int64_t width = BitWidth(stored.dtype()) / 8, count = stored.size();
  const auto* from = static_cast<const std::byte*>(stored.raw());
  auto* to = static_cast<std::byte*>(out.mutable_raw());
  const int64_t rank = stored.rank();
  Shape index, stride;
  for (int64_t axis = 0, step = width; axis < rank; step *= shape[axis++]) {
    index.push_back(0);
    stride.push_back(step);
  }
  int64_t offset = 0;
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * width, from + offset, static_cast<size_t>(width));
    for (int64_t axis = rank - 1; axis >= 0; --axis) {
      offset += stride[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= stride[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}

}  // namespace

Result<NpyHeader> ParseNpyHeader(std::span<const std::byte> start, size_t file_bytes) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  if (start.size() < 10 || std::memcmp(start.data(), kMagic.data(), kMagic.size()) != 0)
    return DataError("not a .npy file (no \\x93NUMPY at its start)");
  const int version = static_cast<int>(start[6]);
  if (version < 1 || version > 3)
    return DataError(StrCat(".npy format version ", version, " is not supported (1 to 3 are)"));
  const size_t length_bytes = version == 1 ? 2 : 4;
  if (start.size() < 8 + length_bytes) return DataError("truncated .npy header");
  const size_t length = LittleEndian(start.subspan(8, length_bytes));
  NpyHeader header;
  header.data_offset = 8 + length_bytes + length;
  if (header.data_offset > kMaxNpyHeaderBytes)
    return DataError(StrCat(".npy header of ", length, " bytes is too long"));
  if (header.data_offset > start.size()) return DataError("truncated .npy header");
  const auto* text = reinterpret_cast<const char*>(start.data()) + 8 + length_bytes;
  RETURN_IF_ERROR(DictionaryReader({text, length}).Read(&header));

  const Result<int64_t> count = CheckedNumElements(header.shape, header.dtype);
  if (!count.ok()) return DataError(count.status().message());
  const auto wanted = static_cast<uint64_t>(ByteSize(header.dtype, *count));
  const uint64_t present = file_bytes - header.data_offset;
  if (wanted != present)
    return DataError(StrCat("the .npy header announces ", DTypeName(header.dtype), " ",
                            ShapeString(header.shape), ", ", wanted, " bytes, but ", present,
                            wanted > present ? " are there: truncated file?"
                                             : " are there: several arrays in one file?"));
  return header;
}

Tensor FinishNpy(const NpyHeader& header, Tensor stored) {
  if (header.dtype == DType::kBool) {  // any other byte in a bool is undefined behavior
    const auto* from = static_cast<const uint8_t*>(stored.raw());
    Tensor clean = Tensor::Empty(DType::kBool, header.shape);
    auto* to = static_cast<uint8_t*>(clean.mutable_raw());
    for (int64_t i = 0; i < stored.size(); ++i) to[i] = from[i] != 0;
    stored = std::move(clean);
  }
  if (header.big_endian && BitWidth(header.dtype) > 8) SwapBytes(&stored);
  if (header.fortran_order && header.shape.size() > 1) stored = FromFortranOrder(stored);
  return stored;
}

}  // namespace roundel::io
