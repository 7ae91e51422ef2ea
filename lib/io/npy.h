#pragma once
// NumPy .npy (format 1-3) and .npz (stored or deflated) files.

#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::io {

// The array, mapped where its layout allows (C order, little endian); Fortran order and big endian are
// converted. kData for anything malformed.
Result<Tensor> ReadNpy(const std::string& path);
Result<Tensor> ParseNpy(const void* data, size_t bytes);

// Arrays of an archive under their names without ".npy", in file order. Stored arrays are mapped where
// alignment allows, deflated ones are checked against their CRC-32.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
Result<NamedTensors> ReadNpz(const std::string& path);
Result<NamedTensors> ParseNpz(const void* data, size_t bytes);

// kUsage for types that NumPy does not have (bfloat16, int4 ...).
Status WriteNpy(const Tensor& tensor, const std::string& path);

}  // namespace roundel::io
