#pragma once
// Common parts of .npy and .npz: the header, and conversion of the data to a row-major tensor.

#include <cstddef>
#include <span>
#include <string_view>

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::io {

// The dictionary of a .npy header, checked against the size of the file.
struct NpyHeader {
  DType dtype = DType::kUndefined;
  bool big_endian = false;
  bool fortran_order = false;
  Shape shape;
  size_t data_offset = 0;  // from the start of the file
};

// NumPy's own limit is 10000 characters; structured types, which need more, are not supported.
inline constexpr size_t kMaxNpyHeaderBytes = 1 << 16;

// `start` holds at least the first kMaxNpyHeaderBytes bytes of a file of `file_bytes`, or all of
// it. kData unless the array fills the file exactly.
Result<NpyHeader> ParseNpyHeader(std::span<const std::byte> start, size_t file_bytes);

// `stored` holds the array's bytes as in the file, under the header's type and shape.
Tensor FinishNpy(const NpyHeader& header, Tensor stored);

}  // namespace roundel::io
