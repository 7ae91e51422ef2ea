#pragma once
// The file format of the safetensors library: 8 bytes with the length of a JSON header (little-endian),
// the header, then the elements of all tensors, little-endian.

#include <map>
#include <string>

#include "lib/tensor/tensor.h"

namespace roundel {

// The contents of a file with these tensors. Requires: float32.
std::string SafetensorsText(const std::map<std::string, Tensor>& tensors);

}  // namespace roundel
