#include "lib/io/images/image.h"

#include <cstring>

#include "lib/base/input_file.h"
#include "lib/base/text.h"
#include "lib/io/images/codecs.h"

namespace roundel::io {

Status CheckImageSize(uint64_t width, uint64_t height, size_t file_bytes) {
  constexpr uint64_t kMaxSide = 65535, kMaxPixels = 178'000'000;
  // A flat Huffman-coded JPEG needs 1 bit for 8x8 pixels, 512 per byte; a flat 1-bit PNG 8 * 1032.
  // Only sizes that would need much memory are rejected.
  constexpr uint64_t kPixelsPerByte = 8 * 1032, kSmall = 16'000'000;
  const uint64_t pixels = width * height;
  if (width == 0 || height == 0) return DataError("corrupt image: it has no pixels");
  if (width > kMaxSide || height > kMaxSide || pixels > kMaxPixels)
    return DataError(StrCat("image of ", width, "x", height, " is too large (at most ", kMaxSide,
                            " a side and ", kMaxPixels / 1'000'000, " megapixels)"));
  if (pixels > kSmall && pixels / kPixelsPerByte > file_bytes)
    return DataError(StrCat("corrupt image: ", file_bytes, " bytes cannot hold ", width, "x",
                            height, " pixels"));
  return OkStatus();
}

Result<Image> DecodeImage(std::span<const std::byte> file) {
  constexpr unsigned char kPng[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  constexpr unsigned char kJpeg[] = {0xff, 0xd8, 0xff};
  if (file.empty()) return DataError("empty file");
  if (file.size() >= sizeof kPng && std::memcmp(file.data(), kPng, sizeof kPng) == 0)
    return DecodePng(file);
  if (file.size() >= sizeof kJpeg && std::memcmp(file.data(), kJpeg, sizeof kJpeg) == 0)
    return DecodeJpeg(file);
  return DataError("neither a JPEG nor a PNG image");
}

Result<Image> ReadImage(const std::string& path) {
  ASSIGN_OR_RETURN(const auto file, OpenInput(path, ErrorKind::kData));
  Result<Image> image = DecodeImage(file->bytes());
  if (!image.ok()) return std::move(image).status().At(path);
  return image;
}

}  // namespace roundel::io
