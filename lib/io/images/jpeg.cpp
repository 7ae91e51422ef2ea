#include <turbojpeg.h>

#include <string>

#include "lib/base/limits.h"
#include "lib/base/text.h"
#include "lib/io/images/codecs.h"

namespace roundel::io {
namespace {

// One per thread: making one costs more than decoding a thumbnail.
tjhandle& ThreadDecompressor() {
  struct Owner {
    tjhandle handle = nullptr;
    ~Owner() {
      if (handle != nullptr) tjDestroy(handle);
    }
  };
  thread_local Owner owner;
  if (owner.handle == nullptr) owner.handle = tjInitDecompress();
  return owner.handle;
}

// The error, and a new decompressor for the next file: after an error in a header, libjpeg-turbo
// 2.1 leaves the old one in a state in which every later file fails.
Status Corrupt(const std::string& message) {
  tjhandle& decompressor = ThreadDecompressor();
  tjDestroy(decompressor);
  decompressor = nullptr;
  return DataError(StrCat("corrupt JPEG: ", message));
}

// libjpeg repairs what it can and reports a warning; the repaired pixels are then gray or noise.
// Only stray bytes between whole segments are harmless, provided that the image has an end.
bool IsHarmless(const std::string& warning, std::span<const std::byte> file) {
  if (warning.find("extraneous bytes before marker") == std::string::npos) return false;
  for (size_t i = file.size() - 1; i > 0; --i)
    if (file[i - 1] == std::byte{0xff} && file[i] == std::byte{0xd9}) return true;
  return false;
}

// Adobe stores inverted CMYK, and nearly every CMYK JPEG is Adobe's: the product of the inverted
// ink and the inverted black.
void CmykToRgb(const std::vector<uint8_t>& cmyk, Image* image) {
  const size_t pixels = cmyk.size() / 4;
  for (size_t i = 0; i < pixels; ++i)
    for (size_t c = 0; c < 3; ++c)
      image->pixels[i * 3 + c] =
          static_cast<uint8_t>((cmyk[i * 4 + c] * cmyk[i * 4 + 3] + 127) / 255);
}

}  // namespace

Result<Image> DecodeJpeg(std::span<const std::byte> file) {
  const tjhandle decompressor = ThreadDecompressor();
  if (decompressor == nullptr) return OutOfMemoryError();
  const auto* data = reinterpret_cast<const unsigned char*>(file.data());
  const auto size = static_cast<unsigned long>(file.size());  // NOLINT: libjpeg's type
  int width = 0, height = 0, subsampling = 0, colorspace = 0;
  if (tjDecompressHeader3(decompressor, data, size, &width, &height, &subsampling, &colorspace) !=
      0)
    return Corrupt(tjGetErrorStr2(decompressor));
  RETURN_IF_ERROR(
      CheckImageSize(static_cast<uint64_t>(width), static_cast<uint64_t>(height), file.size()));

  const bool cmyk = colorspace == TJCS_CMYK || colorspace == TJCS_YCCK;
  Image image{width, height, 3, {}};
  const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
  image.pixels.resize(pixels * 3);
  std::vector<uint8_t> inks(cmyk ? pixels * 4 : 0);
  // The defaults of libjpeg-turbo (exact integer DCT, smooth chroma upsampling), which other tools
  // use too; a limit on scans bounds the decoding time of hostile progressive files.
  if (tjDecompress2(decompressor, data, size, cmyk ? inks.data() : image.pixels.data(), width, 0,
                    height, cmyk ? TJPF_CMYK : TJPF_RGB,
                    TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) != 0) {
    const std::string message = tjGetErrorStr2(decompressor);
    if (tjGetErrorCode(decompressor) != TJERR_WARNING || !IsHarmless(message, file))
      return Corrupt(message);
  }
  if (cmyk) CmykToRgb(inks, &image);
  return image;
}

}  // namespace roundel::io
