#pragma once
// A dense tensor in row-major order: type, shape, and bytes that are shared until written to.
// Copies are cheap; mutable_data() detaches (copy on write), so a Tensor behaves like a value.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/file.h"
#include "lib/base/status.h"
#include "lib/tensor/dtype.h"

namespace roundel {

using Shape = std::vector<int64_t>;

// Product of the dimensions (1 for a scalar); an INVARIANT if one is negative.
int64_t NumElements(const Shape& shape);
// The same for shapes from outside: an error if a dimension is negative or the byte count of `type`
// does not fit into int64.
Result<int64_t> CheckedNumElements(const Shape& shape, DType type);
std::string ShapeString(const Shape& shape);  // "[1, 3, 224, 224]"

class Tensor {
 public:
  Tensor() = default;  // undefined: defined() is false

  // Zero-filled, 64-byte aligned.
  static Tensor Zeros(DType type, const Shape& shape);
  // Not initialized, 64-byte aligned: for outputs that are written in full.
  static Tensor Empty(DType type, const Shape& shape);
  template <typename T>
  static Tensor FromVector(const Shape& shape, const std::vector<T>& values) {
    INVARIANT(static_cast<int64_t>(values.size()) == NumElements(shape), "value count");
    Tensor t = Empty(DTypeOf<T>::value, shape);
    T* out = t.mutable_data<T>();
    for (size_t i = 0; i < values.size(); ++i) out[i] = values[i];
    return t;
  }
  template <typename T>
  static Tensor Scalar(T value) {
    return FromVector<T>({}, {value});
  }
  // Bytes of a mapped file, not read until used. `offset` and the size have been checked against
  // the file. Data may be unaligned: then the first raw() or data<T>() makes an aligned copy.
  static Tensor Mapped(DType type, const Shape& shape, std::shared_ptr<const MappedFile> file,
                       int64_t offset);
  // Takes ownership of bytes that a parser has read. Requires: `bytes` has the tensor's byte size.
  static Tensor FromBytes(DType type, const Shape& shape, std::string bytes);
  static Tensor Strings(const Shape& shape, std::vector<std::string> values);
  // A view of memory (an arena, test data). Requires: the memory outlives the tensor.
  static Tensor Borrow(DType type, const Shape& shape, void* data);

  bool defined() const { return storage_ != nullptr; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t rank() const { return static_cast<int64_t>(shape_.size()); }
  int64_t dim(int64_t axis) const { return shape_[axis < 0 ? axis + rank() : axis]; }
  int64_t size() const { return NumElements(shape_); }  // elements
  int64_t byte_size() const { return ByteSize(dtype_, size()); }
  // True if the bytes are read from a mapped file in place, which requires alignment.
  bool is_mapped() const;
  const MappedFile* mapped_file() const;  // nullptr if the bytes do not lie in a file

  const void* raw() const;
  // The stored bytes, in memory or in the file, with any alignment; for copying only.
  std::span<const std::byte> bytes() const;
  void* mutable_raw();
  template <typename T>
  const T* data() const {
    INVARIANT(DTypeOf<T>::value == dtype_, "tensor holds " + DTypeName(dtype_));
    return static_cast<const T*>(raw());
  }
  template <typename T>
  T* mutable_data() {
    INVARIANT(DTypeOf<T>::value == dtype_, "tensor holds " + DTypeName(dtype_));
    return static_cast<T*>(mutable_raw());
  }
  template <typename T>
  std::span<const T> span() const {
    return {data<T>(), static_cast<size_t>(size())};
  }
  const std::vector<std::string>& strings() const;

  // The same values, for a single read: if unaligned data needs an aligned copy, the result holds
  // it, and this tensor does not keep it.
  Tensor ReadOnce() const;
  // Releases the pages of a mapped file, for callers that have made their own copy of the data. The
  // tensor can still be read.
  void ReleasePages() const;

  // The same bytes under another shape of the same element count.
  Tensor Reshaped(const Shape& shape) const;
  // Any numeric type -> float32 (packed and small floats decoded, integers rounded to nearest).
  Tensor ToFloat() const;
  // Any integer or bool type -> int64 values; used for shapes, axes, indices.
  std::vector<int64_t> ToInt64s() const;
  // float32 -> `type` (float, double, float16, bfloat16), rounding to nearest even.
  Tensor FromFloatTo(DType type) const;

  // Same type, shape and bytes (strings: same texts).
  friend bool operator==(const Tensor& a, const Tensor& b);

 private:
  struct Storage;
  DType dtype_ = DType::kUndefined;
  Shape shape_;
  std::shared_ptr<Storage> storage_;
};

}  // namespace roundel
