// JPEG and PNG from hostile bytes: no crash, no hang; an image that is accepted has all of its
// pixels.

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "lib/io/images/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Sizes in the thousands are legal, but slow to fuzz; big-endian in the header of both formats.
  if (size >= 24 && std::memcmp(data + 1, "PNG", 3) == 0 &&
      (data[16] != 0 || data[17] != 0 || data[18] > 4 || data[20] != 0 || data[21] != 0 ||
       data[22] > 4))
    return 0;
  const auto image = roundel::io::DecodeImage({reinterpret_cast<const std::byte*>(data), size});
  if (!image.ok()) {
    if (image.status().kind() != roundel::ErrorKind::kData) std::abort();
    return 0;
  }
  const size_t pixels = static_cast<size_t>(image->width) * static_cast<size_t>(image->height);
  if (image->channels != 3 || image->pixels.size() != 3 * pixels || pixels == 0) std::abort();
  return 0;
}
