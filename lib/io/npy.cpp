#include "lib/io/npy.h"

#include <cstring>
#include <memory>

#include "lib/base/input_file.h"
#include "lib/base/text.h"
#include "lib/io/npy_header.h"

namespace roundel::io {
namespace {

const char* NpyType(DType type) {
  switch (type) {
    case DType::kFloat16: return "<f2";
    case DType::kFloat: return "<f4";
    case DType::kDouble: return "<f8";
    case DType::kInt8: return "|i1";
    case DType::kInt16: return "<i2";
    case DType::kInt32: return "<i4";
    case DType::kInt64: return "<i8";
    case DType::kUint8: return "|u1";
    case DType::kUint16: return "<u2";
    case DType::kUint32: return "<u4";
    case DType::kUint64: return "<u8";
    case DType::kBool: return "|b1";
    default: return nullptr;
  }
}

}  // namespace

Result<Tensor> ReadNpy(const std::string& path) {
  ASSIGN_OR_RETURN(auto file, OpenInput(path, ErrorKind::kData));
  Result<NpyHeader> header = ParseNpyHeader(file->bytes(), file->bytes().size());
  if (!header.ok()) return std::move(header).status().At(path);
  return FinishNpy(*header, Tensor::Mapped(header->dtype, header->shape, std::move(file),
                                           static_cast<int64_t>(header->data_offset)));
}

Result<Tensor> ParseNpy(const void* data, size_t bytes) {
  const auto* begin = static_cast<const std::byte*>(data);
  ASSIGN_OR_RETURN(const NpyHeader header, ParseNpyHeader({begin, bytes}, bytes));
  Tensor stored = Tensor::Empty(header.dtype, header.shape);
  if (stored.byte_size() > 0)
    std::memcpy(stored.mutable_raw(), begin + header.data_offset,
                static_cast<size_t>(stored.byte_size()));
  return FinishNpy(header, std::move(stored));
}

namespace {

Result<std::unique_ptr<AtomicFile>> StartNpy(const std::string& path, DType dtype,
                                             const Shape& shape) {
  const char* type = NpyType(dtype);
  if (type == nullptr)
    return UsageError(StrCat("cannot write '", path, "': .npy has no type for ", DTypeName(dtype)));
  if (shape.size() > 64)
    return UsageError(StrCat("cannot write '", path, "': .npy holds at most 64 dimensions"));
  // One-element tuples need their comma in Python.
  std::string header = StrCat("{'descr': '", type, "', 'fortran_order': False, 'shape': (",
                              Join(shape), shape.size() == 1 ? "," : "", "), }");
  // Magic, version and length take 10 bytes; the data starts at a multiple of 64 (NEP 1).
  const size_t padding = (64 - (10 + header.size() + 1) % 64) % 64;
  header += std::string(padding, ' ') + '\n';
  const auto length = static_cast<uint16_t>(header.size());  // rank <= 64: far below 65536
  const char start[10] = {'\x93',
                          'N',
                          'U',
                          'M',
                          'P',
                          'Y',
                          1,
                          0,
                          static_cast<char>(length & 0xff),
                          static_cast<char>(length >> 8)};
  ASSIGN_OR_RETURN(auto file, AtomicFile::Create(path));
  RETURN_IF_ERROR(file->Write(start, sizeof start));
  RETURN_IF_ERROR(file->Write(header));
  return file;
}

}  // namespace

Status WriteNpy(const Tensor& tensor, const std::string& path) {
  ASSIGN_OR_RETURN(auto file, StartNpy(path, tensor.dtype(), tensor.shape()));
  RETURN_IF_ERROR(file->Write(tensor.raw(), static_cast<size_t>(tensor.byte_size())));
  return file->Commit();
}

Status NpyRows::Append(const Tensor& rows) {
  if (!file_) {
    if (rows.rank() == 0) return DataError(StrCat("'", path_, "': a scalar has no rows to append"));
    dtype_ = rows.dtype();
    shape_ = rows.shape();
    shape_[0] = total_;
    ASSIGN_OR_RETURN(file_, StartNpy(path_, dtype_, shape_));
  }
  Shape expected = shape_;
  expected[0] = rows.rank() > 0 ? rows.dim(0) : 0;
  if (rows.dtype() != dtype_ || rows.shape() != expected || written_ + expected[0] > total_)
    return DataError(StrCat("'", path_, "': rows of shape ", ShapeString(rows.shape()),
                            " do not continue ", ShapeString(shape_)));
  written_ += expected[0];
  return file_->Write(rows.raw(), static_cast<size_t>(rows.byte_size()));
}

Status NpyRows::Commit() {
  if (written_ != total_)
    return DataError(
        StrCat("'", path_, "': ", written_, " rows came, ", total_, " were announced"));
  return file_ ? file_->Commit() : OkStatus();
}

}  // namespace roundel::io
