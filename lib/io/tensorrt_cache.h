#pragma once
// TensorRT's calibration cache: a text with one scale for every activation.

#include <string>

#include "lib/quant/encodings.h"

namespace roundel::io {

// Line "name: hex", the bits of the float32 scale: the largest magnitude that the encoding holds,
// by 127. Weights have no entry: TensorRT takes their range itself. Sorted by name.
std::string TensorRtCache(const quant::EncodingTable& table);

}  // namespace roundel::io
