#include "lib/graph/text_tensor.h"

#include <charconv>
#include <cstring>
#include <limits>

#include "lib/base/random.h"
#include "lib/base/text.h"

namespace roundel::graph {
namespace {

template <typename T>
std::optional<T> ParseNumber(const std::string& word) {
  const char* begin = word.data();
  const char* const end = begin + word.size();
  if (word.size() > 1 && *begin == '+' && begin[1] != '-')
    ++begin;  // from_chars knows no plus sign
  T value{};
  const auto result = std::from_chars(begin, end, value);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

// Text is for tests and dumps; larger sizes are an error.
constexpr int64_t kMaxElements = int64_t{1} << 28;

Result<int64_t> ElementCount(DType type, const Shape& shape) {
  ASSIGN_OR_RETURN(const int64_t count, CheckedNumElements(shape, type));
  if (count > kMaxElements)
    return ModelError(StrCat("a tensor of shape ", ShapeString(shape), " is too large for text"));
  return count;
}

template <typename T>
bool FillFrom(const std::vector<std::string>& literals, Tensor* out) {
  T* to = out->mutable_data<T>();
  for (size_t i = 0; i < literals.size(); ++i) {
    const std::optional<T> value = ParseNumber<T>(literals[i]);
    if (!value) return false;
    to[i] = *value;
  }
  return true;
}

bool FillBool(const std::vector<std::string>& literals, Tensor* out) {
  bool* to = out->mutable_data<bool>();
  for (size_t i = 0; i < literals.size(); ++i) {
    to[i] = literals[i] == "1" || literals[i] == "true";
    if (!to[i] && literals[i] != "0" && literals[i] != "false") return false;
  }
  return true;
}

bool FillHalf(const std::vector<std::string>& literals, DType type, Tensor* out) {
  auto* to = static_cast<uint16_t*>(out->mutable_raw());
  for (size_t i = 0; i < literals.size(); ++i) {
    const std::optional<float> value = ParseNumber<float>(literals[i]);
    if (!value) return false;
    to[i] = type == DType::kFloat16 ? FloatToHalf(*value) : FloatToBfloat16(*value);
  }
  return true;
}

// Types of 2 and 4 bits: the first element in the lowest bits (lib/tensor/dtype.h).
bool FillPacked(const std::vector<std::string>& literals, DType type, Tensor* out) {
  const int bits = BitWidth(type);
  const bool is_signed = type == DType::kInt4 || type == DType::kInt2;
  const int64_t low = is_signed ? -(1 << (bits - 1)) : 0;
  const int64_t high = low + (1 << bits) - 1;
  auto* to = static_cast<uint8_t*>(out->mutable_raw());
  const size_t per_byte = static_cast<size_t>(8 / bits);
  for (size_t i = 0; i < literals.size(); ++i) {
    const std::optional<int64_t> value = ParseInteger(literals[i]);
    if (!value || *value < low || *value > high) return false;
    const auto code = static_cast<uint8_t>(*value & ((1 << bits) - 1));
    to[i / per_byte] |= static_cast<uint8_t>(code << (i % per_byte * static_cast<size_t>(bits)));
  }
  return true;
}

bool Fill(const std::vector<std::string>& literals, DType type, Tensor* out) {
  switch (type) {
    case DType::kFloat: return FillFrom<float>(literals, out);
    case DType::kDouble: return FillFrom<double>(literals, out);
    case DType::kFloat16:
    case DType::kBfloat16: return FillHalf(literals, type, out);
    case DType::kUint8: return FillFrom<uint8_t>(literals, out);
    case DType::kInt8: return FillFrom<int8_t>(literals, out);
    case DType::kUint16: return FillFrom<uint16_t>(literals, out);
    case DType::kInt16: return FillFrom<int16_t>(literals, out);
    case DType::kUint32: return FillFrom<uint32_t>(literals, out);
    case DType::kInt32: return FillFrom<int32_t>(literals, out);
    case DType::kUint64: return FillFrom<uint64_t>(literals, out);
    case DType::kInt64: return FillFrom<int64_t>(literals, out);
    case DType::kBool: return FillBool(literals, out);
    case DType::kInt4:
    case DType::kUint4:
    case DType::kInt2:
    case DType::kUint2: return FillPacked(literals, type, out);
    default: return false;
  }
}

}  // namespace

std::optional<int64_t> ParseInteger(const std::string& word) { return ParseNumber<int64_t>(word); }
std::optional<double> ParseDouble(const std::string& word) { return ParseNumber<double>(word); }
std::optional<float> ParseFloat(const std::string& word) { return ParseNumber<float>(word); }

std::optional<std::string> ParseHex(const std::string& digits) {
  std::string out;
  if (digits.size() % 2 != 0) return std::nullopt;
  for (size_t i = 0; i < digits.size(); i += 2) {
    unsigned char byte = 0;
    const char* end = digits.data() + i + 2;
    const auto result = std::from_chars(digits.data() + i, end, byte, 16);
    if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
    out.push_back(static_cast<char>(byte));
  }
  return out;
}

Result<Tensor> TensorFromLiterals(DType type, const Shape& shape,
                                  const std::vector<std::string>& literals) {
  ASSIGN_OR_RETURN(const int64_t count, ElementCount(type, shape));
  if (static_cast<int64_t>(literals.size()) != count)
    return ModelError(StrCat("a tensor of shape ", ShapeString(shape), " needs ", count,
                             " elements, got ", literals.size()));
  if (type == DType::kString) return Tensor::Strings(shape, literals);
  Tensor out = Tensor::Zeros(type, shape);
  if (!Fill(literals, type, &out))
    return ModelError(StrCat("an element is not a literal of type ", DTypeName(type)));
  return out;
}

Result<Tensor> FilledTensor(DType type, const Shape& shape, const std::string& value) {
  ASSIGN_OR_RETURN(const int64_t count, ElementCount(type, shape));
  if (BitWidth(type) >= 8) {
    ASSIGN_OR_RETURN(const Tensor one, TensorFromLiterals(type, {}, {value}));
    Tensor out = Tensor::Empty(type, shape);
    const auto bytes = static_cast<size_t>(one.byte_size());
    auto* to = static_cast<std::byte*>(out.mutable_raw());
    for (int64_t i = 0; i < count; ++i)
      std::memcpy(to + static_cast<size_t>(i) * bytes, one.raw(), bytes);
    return out;
  }
  return TensorFromLiterals(type, shape,
                            std::vector<std::string>(static_cast<size_t>(count), value));
}

Result<Tensor> RandomTensor(DType type, const Shape& shape, uint64_t seed, double low,
                            double high) {
  ASSIGN_OR_RETURN(const int64_t count, ElementCount(type, shape));
  if (type != DType::kFloat && type != DType::kDouble && type != DType::kFloat16 &&
      type != DType::kBfloat16)
    return ModelError(StrCat("random(...) makes floating tensors, not ", DTypeName(type)));
  Random random(seed);
  Tensor out = Tensor::Empty(DType::kFloat, shape);
  float* to = out.mutable_data<float>();
  for (int64_t i = 0; i < count; ++i)
    to[i] = static_cast<float>(low + (high - low) * random.Uniform());
  return out.FromFloatTo(type);
}

Result<Tensor> TensorFromBytes(DType type, const Shape& shape, const std::string& bytes) {
  ASSIGN_OR_RETURN(const int64_t count, ElementCount(type, shape));
  if (BitWidth(type) == 0 || static_cast<int64_t>(bytes.size()) != ByteSize(type, count))
    return ModelError(StrCat("a ", DTypeName(type), " tensor of shape ", ShapeString(shape),
                             " cannot be made of ", bytes.size(), " bytes"));
  Tensor out = Tensor::Empty(type, shape);
  std::memcpy(out.mutable_raw(), bytes.data(), bytes.size());
  return out;
}

}  // namespace roundel::graph
