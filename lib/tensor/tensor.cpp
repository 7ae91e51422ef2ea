#include "lib/tensor/tensor.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <new>

#include "lib/base/limits.h"
#include "lib/base/text.h"
#include "lib/tensor/half.h"

namespace roundel {

struct Tensor::Storage {
  // Owned, borrowed, or inside `file` or `bytes`; nullptr while unaligned bytes of `file` have not
  // been copied.
  std::atomic<std::byte*> data = nullptr;
  bool owned = false;
  int64_t counted = 0;                     // bytes counted as memory in use
  std::shared_ptr<const MappedFile> file;  // keeps a mapping alive
  int64_t offset = 0, mapped_size = 0;     // in `file`
  std::mutex copying;
  std::string bytes;  // storage of FromBytes
  std::vector<std::string> strings;

  Storage() = default;
  ~Storage() {
    if (owned) ::operator delete(data.load(), alignment);
    CountMemory(-counted);
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  // 64 bytes: a cache line and an AVX-512 register; large pages save most of the cost of first
  // access to new memory. Throws bad_alloc, as containers do.
  std::align_val_t alignment{64};
  std::byte* Allocate(int64_t bytes) {
    constexpr size_t kLargePage = 1 << 21;
    const auto size = static_cast<size_t>(std::max<int64_t>(bytes, 1));
    if (size >= kLargePage) alignment = std::align_val_t{kLargePage};
    auto* memory = static_cast<std::byte*>(::operator new(size, alignment));
    if (size >= kLargePage) madvise(memory, size / kLargePage * kLargePage, MADV_HUGEPAGE);
    owned = true;
    Count(bytes);
    return memory;
  }

  void Count(int64_t bytes) {
    counted = bytes;
    CountMemory(bytes);
  }

  const std::byte* in_file() const { return file->bytes().data() + offset; }
  // The aligned copy of unaligned bytes; thread-safe.
  std::byte* Copy() {
    const std::lock_guard lock(copying);
    if (data.load() == nullptr) {
      std::byte* memory = Allocate(mapped_size);
      std::memcpy(memory, in_file(), static_cast<size_t>(mapped_size));
      file->ReleasePages(offset, mapped_size);
      data.store(memory, std::memory_order_release);
    }
    return data.load();
  }
};

int64_t NumElements(const Shape& shape) {
  int64_t count = 1;
  for (int64_t dim : shape) {
    INVARIANT(dim >= 0, "negative dimension");
    count *= dim;
  }
  return count;
}

Result<int64_t> CheckedNumElements(const Shape& shape, DType type) {
  // 16 bytes (complex128) bound the element size; a zero dimension makes any product zero, but the
  // others must still be valid.
  int64_t count = 1, nonzero = 1;
  for (int64_t dim : shape) {
    if (dim < 0) return ModelError(StrCat("negative dimension in shape ", ShapeString(shape)));
    count *= dim == 0 ? 0 : 1;
    if (dim > 0 && __builtin_mul_overflow(nonzero, dim, &nonzero))
      return ModelError(StrCat("shape ", ShapeString(shape), " overflows"));
  }
  if (nonzero > std::numeric_limits<int64_t>::max() / 16)
    return ModelError(StrCat("shape ", ShapeString(shape), " of ", DTypeName(type), " overflows"));
  return count * nonzero;
}

std::string ShapeString(const Shape& shape) { return "[" + Join(shape) + "]"; }

Tensor Tensor::Empty(DType type, const Shape& shape) {
  Tensor t;
  t.dtype_ = type;
  t.shape_ = shape;
  t.storage_ = std::make_shared<Storage>();
  t.storage_->data = t.storage_->Allocate(t.byte_size());
  return t;
}

Tensor Tensor::Zeros(DType type, const Shape& shape) {
  Tensor t = Empty(type, shape);
  std::memset(t.storage_->data, 0, static_cast<size_t>(t.byte_size()));
  return t;
}

Tensor Tensor::Mapped(DType type, const Shape& shape, std::shared_ptr<const MappedFile> file,
                      int64_t offset) {
  Tensor t;
  t.dtype_ = type;
  t.shape_ = shape;
  INVARIANT(offset >= 0 && offset + t.byte_size() <= static_cast<int64_t>(file->bytes().size()),
            "mapped tensor outside of its file");
  if (t.byte_size() == 0) return Empty(type, shape);
  t.storage_ = std::make_shared<Storage>();
  t.storage_->offset = offset;
  t.storage_->mapped_size = t.byte_size();
  t.storage_->file = std::move(file);
  const std::byte* source = t.storage_->in_file();
  constexpr uintptr_t kAligned = 16;  // the largest element, complex128
  if (reinterpret_cast<uintptr_t>(source) % kAligned == 0)
    t.storage_->data = const_cast<std::byte*>(source);
  return t;
}

Tensor Tensor::FromBytes(DType type, const Shape& shape, std::string bytes) {
  Tensor t;
  t.dtype_ = type;
  t.shape_ = shape;
  t.storage_ = std::make_shared<Storage>();
  INVARIANT(static_cast<int64_t>(bytes.size()) == t.byte_size(), "byte count");
  // Small strings are stored inside the string object and move with it; they are copied, which
  // aligns them.
  constexpr size_t kWorthKeeping = 256;
  if (bytes.size() < kWorthKeeping || reinterpret_cast<uintptr_t>(bytes.data()) % 16 != 0) {
    t.storage_->data = t.storage_->Allocate(t.byte_size());
    std::memcpy(t.storage_->data, bytes.data(), bytes.size());
    return t;
  }
  t.storage_->bytes = std::move(bytes);
  t.storage_->Count(t.byte_size());
  t.storage_->data = reinterpret_cast<std::byte*>(t.storage_->bytes.data());
  return t;
}

Tensor Tensor::Strings(const Shape& shape, std::vector<std::string> values) {
  INVARIANT(static_cast<int64_t>(values.size()) == NumElements(shape), "value count");
  Tensor t;
  t.dtype_ = DType::kString;
  t.shape_ = shape;
  t.storage_ = std::make_shared<Storage>();
  t.storage_->strings = std::move(values);
  return t;
}

Tensor Tensor::Borrow(DType type, const Shape& shape, void* data) {
  Tensor t;
  t.dtype_ = type;
  t.shape_ = shape;
  t.storage_ = std::make_shared<Storage>();
  t.storage_->data = static_cast<std::byte*>(data);
  return t;
}

const MappedFile* Tensor::mapped_file() const { return storage_ ? storage_->file.get() : nullptr; }

bool Tensor::is_mapped() const { return mapped_file() && storage_->data == storage_->in_file(); }

const void* Tensor::raw() const {
  INVARIANT(defined(), "undefined tensor");
  const std::byte* data = storage_->data.load(std::memory_order_acquire);
  return data || !storage_->file ? data : storage_->Copy();
}

std::span<const std::byte> Tensor::bytes() const {
  INVARIANT(defined(), "undefined tensor");
  const auto size = static_cast<size_t>(byte_size());
  const std::byte* data = storage_->data.load(std::memory_order_acquire);
  return {data || !storage_->file ? data : storage_->in_file(), size};
}

Tensor Tensor::ReadOnce() const {
  INVARIANT(defined(), "undefined tensor");
  if (storage_->data.load() || !storage_->file) return *this;
  return Mapped(dtype_, shape_, storage_->file, storage_->offset);
}

void Tensor::ReleasePages() const {
  if (mapped_file()) storage_->file->ReleasePages(storage_->offset, storage_->mapped_size);
}

void* Tensor::mutable_raw() {
  INVARIANT(defined(), "undefined tensor");
  INVARIANT(dtype_ != DType::kString, "string tensors are not written in place");
  if (storage_.use_count() > 1 || storage_->file) {
    Tensor copy = Empty(dtype_, shape_);
    std::memcpy(copy.storage_->data, bytes().data(), static_cast<size_t>(byte_size()));
    storage_ = copy.storage_;
  }
  return storage_->data;
}

const std::vector<std::string>& Tensor::strings() const {
  INVARIANT(dtype_ == DType::kString, "tensor holds " + DTypeName(dtype_));
  return storage_->strings;
}

Tensor Tensor::Reshaped(const Shape& shape) const {
  INVARIANT(NumElements(shape) == size(), "reshape changes the element count");
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

namespace {

template <typename T>
void CopyAs(const void* from, float* to, int64_t n) {
  const T* source = static_cast<const T*>(from);
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(source[i]);
}

// Element i of a packed tensor of `bits` (2 or 4) bits, as unsigned code.
int PackedCode(const uint8_t* bytes, int64_t i, int bits) {
  const int per_byte = 8 / bits;
  return (bytes[i / per_byte] >> (i % per_byte * bits)) & ((1 << bits) - 1);
}

int64_t PackedInteger(const void* raw, int64_t i, DType type) {
  const int bits = BitWidth(type);
  const int code = PackedCode(static_cast<const uint8_t*>(raw), i, bits);
  const bool is_signed = type == DType::kInt4 || type == DType::kInt2;
  return is_signed && code >= 1 << (bits - 1) ? code - (1 << bits) : code;
}

// Small floats with `exponent_bits` and `mantissa_bits`, no infinities among the finite codes that
// the formats share (OCP 8-bit floating point specification; ONNX float8 and float4 documents).
float SmallFloat(int code, int exponent_bits, int mantissa_bits, int bias) {
  const int mantissa = code & ((1 << mantissa_bits) - 1);
  const int exponent = (code >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const bool negative = (code >> (exponent_bits + mantissa_bits)) & 1;
  const float fraction = static_cast<float>(mantissa) / static_cast<float>(1 << mantissa_bits);
  const float magnitude =
      exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return negative ? -magnitude : magnitude;
}

float DecodeFloat8(DType type, uint8_t code) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  switch (type) {
    case DType::kFloat8E4M3FN: return (code & 0x7f) == 0x7f ? kNan : SmallFloat(code, 4, 3, 7);
    case DType::kFloat8E4M3FNUZ: return code == 0x80 ? kNan : SmallFloat(code, 4, 3, 8);
    case DType::kFloat8E5M2:
      if ((code & 0x7f) > 0x7c) return kNan;
      if ((code & 0x7f) == 0x7c) return code & 0x80 ? -kInf : kInf;
      return SmallFloat(code, 5, 2, 15);
    case DType::kFloat8E5M2FNUZ: return code == 0x80 ? kNan : SmallFloat(code, 5, 2, 16);
    default:  // kFloat8E8M0: a power of two
      return code == 0xff ? kNan : std::ldexp(1.0f, code - 127);
  }
}

}  // namespace

Tensor Tensor::ToFloat() const {
  if (dtype_ == DType::kFloat) return *this;
  Tensor out = Empty(DType::kFloat, shape_);
  float* to = out.mutable_data<float>();
  const void* from = raw();
  const int64_t n = size();
  const auto* half = static_cast<const uint16_t*>(from);
  const auto* bytes = static_cast<const uint8_t*>(from);
  switch (dtype_) {
    case DType::kDouble: CopyAs<double>(from, to, n); break;
    case DType::kUint8:
    case DType::kBool: CopyAs<uint8_t>(from, to, n); break;
    case DType::kInt8: CopyAs<int8_t>(from, to, n); break;
    case DType::kUint16: CopyAs<uint16_t>(from, to, n); break;
    case DType::kInt16: CopyAs<int16_t>(from, to, n); break;
    case DType::kUint32: CopyAs<uint32_t>(from, to, n); break;
    case DType::kInt32: CopyAs<int32_t>(from, to, n); break;
    case DType::kUint64: CopyAs<uint64_t>(from, to, n); break;
    case DType::kInt64: CopyAs<int64_t>(from, to, n); break;
    case DType::kFloat16: HalvesToFloats(half, n, to); break;
    case DType::kBfloat16:
      for (int64_t i = 0; i < n; ++i) to[i] = Bfloat16ToFloat(half[i]);
      break;
    case DType::kFloat4E2M1:
      for (int64_t i = 0; i < n; ++i) to[i] = SmallFloat(PackedCode(bytes, i, 4), 2, 1, 1);
      break;
    case DType::kInt4:
    case DType::kUint4:
    case DType::kInt2:
    case DType::kUint2:
      for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(PackedInteger(from, i, dtype_));
      break;
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat8E8M0:
      for (int64_t i = 0; i < n; ++i) to[i] = DecodeFloat8(dtype_, bytes[i]);
      break;
    default: INVARIANT(false, "no float value of a " + DTypeName(dtype_));
  }
  return out;
}

std::vector<int64_t> Tensor::ToInt64s() const {
  const int64_t n = size();
  std::vector<int64_t> out(static_cast<size_t>(n));
  const auto copy = [&](auto type_tag) {
    const auto* from = static_cast<const decltype(type_tag)*>(raw());
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<int64_t>(from[i]);
  };
  switch (dtype_) {
    case DType::kInt64: copy(int64_t{}); break;
    case DType::kInt32: copy(int32_t{}); break;
    case DType::kInt16: copy(int16_t{}); break;
    case DType::kInt8: copy(int8_t{}); break;
    case DType::kUint64: copy(uint64_t{}); break;
    case DType::kUint32: copy(uint32_t{}); break;
    case DType::kUint16: copy(uint16_t{}); break;
    case DType::kUint8:
    case DType::kBool: copy(uint8_t{}); break;
    case DType::kInt4:
    case DType::kUint4:
    case DType::kInt2:
    case DType::kUint2:
      for (int64_t i = 0; i < n; ++i) out[i] = PackedInteger(raw(), i, dtype_);
      break;
    default: INVARIANT(false, "no integer value of a " + DTypeName(dtype_));
  }
  return out;
}

Tensor Tensor::FromFloatTo(DType type) const {
  const float* from = data<float>();
  if (type == DType::kFloat) return *this;
  Tensor out = Empty(type, shape_);
  const int64_t n = size();
  if (type == DType::kDouble) {
    double* to = out.mutable_data<double>();
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
    return out;
  }
  INVARIANT(type == DType::kFloat16 || type == DType::kBfloat16,
            "cannot store floats as " + DTypeName(type));
  auto* to = static_cast<uint16_t*>(out.mutable_raw());
  if (type == DType::kFloat16)
    FloatsToHalves(from, n, to);
  else
    for (int64_t i = 0; i < n; ++i) to[i] = FloatToBfloat16(from[i]);
  return out;
}

bool operator==(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  if (a.dtype_ != b.dtype_ || a.shape_ != b.shape_) return false;
  if (a.dtype_ == DType::kString) return a.strings() == b.strings();
  return std::memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()) == 0;
}

}  // namespace roundel
