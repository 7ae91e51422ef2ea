#pragma once
// One function per format; image.cpp picks by signature.

#include "lib/io/images/image.h"

namespace roundel::io {

Result<Image> DecodeJpeg(std::span<const std::byte> file);
Result<Image> DecodePng(std::span<const std::byte> file);

// kData for a size that no image of ours has, or that `file_bytes` bytes cannot hold (decompression
// bombs): called with what the header says, before anything is allocated.
Status CheckImageSize(uint64_t width, uint64_t height, size_t file_bytes);

}  // namespace roundel::io
