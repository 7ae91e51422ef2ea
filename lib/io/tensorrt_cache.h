#pragma once
// TensorRT's calibration cache: a text with one scale per activation.

#include <string>

#include "lib/quant/encodings.h"

namespace roundel::io {

// Lines "name: hex" with the bits of the float32 scale: the largest magnitude of the encoding
// divided by 127. Sorted by name. Weights have no entry: TensorRT computes their ranges.
std::string TensorRtCache(const quant::EncodingTable& table);

}  // namespace roundel::io
