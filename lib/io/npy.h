#pragma once
// NumPy .npy (format 1-3) and .npz (stored or deflated) files.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/file.h"
#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::io {

// Reads an array. It is mapped if its layout allows (C order, little endian); Fortran order and big
// endian are converted. Errors: kData for malformed files.
Result<Tensor> ReadNpy(const std::string& path);
Result<Tensor> ParseNpy(const void* data, size_t bytes);

// Arrays of an archive by their names without ".npy", in file order. Stored arrays are mapped if
// aligned; deflated ones are checked against their CRC-32.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
Result<NamedTensors> ReadNpz(const std::string& path);
Result<NamedTensors> ParseNpz(const void* data, size_t bytes);

// Errors: kUsage for types that NumPy does not have (bfloat16, int4 ...).
Status WriteNpy(const Tensor& tensor, const std::string& path);

// An .npy file that grows along axis 0, with one piece in memory. The first piece determines type
// and row shape. Errors: kData if a later one differs or the total is not met.
class NpyRows {
 public:
  NpyRows(std::string path, int64_t total_rows) : path_(std::move(path)), total_(total_rows) {}
  Status Append(const Tensor& rows);
  Status Commit();

 private:
  std::string path_;
  int64_t total_, written_ = 0;
  DType dtype_ = DType::kUndefined;
  Shape shape_;
  std::unique_ptr<AtomicFile> file_;
};

}  // namespace roundel::io
