#pragma once
// Decoding of JPEG and PNG files to 8-bit RGB.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel::io {

// Rows from top to bottom without padding, interleaved samples: 3 = RGB, 1 = luma.
struct Image {
  int width = 0, height = 0, channels = 3;
  std::vector<uint8_t> pixels;
};

// By signature, for any file name; kData for anything that is not a whole image of at
// most 65535 x 65535 and 178 million pixels. Always RGB: grayscale is spread, palettes are looked
// up, alpha is dropped, 16-bit samples are rounded to 8, CMYK is taken as Adobe's (inverted). EXIF
// orientation and color profiles are ignored.
Result<Image> DecodeImage(std::span<const std::byte> file);
Result<Image> ReadImage(const std::string& path);

}  // namespace roundel::io
