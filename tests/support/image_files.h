#pragma once
// JPEG and PNG files that tests make from pixels.

#include <png.h>
#include <turbojpeg.h>

#include <cstdint>
#include <string>
#include <vector>

namespace roundel::support {

struct PngKind {
  int color_type = PNG_COLOR_TYPE_RGB;
  int bit_depth = 8;
  bool interlaced = false;
  std::vector<png_color> palette;
};

// `samples`: rows as the file stores them (16-bit samples big endian, palette indices one a byte).
inline std::string EncodePng(int width, int height, const std::vector<uint8_t>& samples,
                             const PngKind& kind = {}) {
  std::string out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp p, png_bytep data, size_t size) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<char*>(data), size);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height),
               kind.bit_depth, kind.color_type,
               kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
  if (!kind.palette.empty())
    png_set_PLTE(png, info, kind.palette.data(), static_cast<int>(kind.palette.size()));
  png_write_info(png, info);
  const size_t row = samples.size() / static_cast<size_t>(height);
  std::vector<png_bytep> rows;
  for (int y = 0; y < height; ++y)
    rows.push_back(const_cast<png_bytep>(samples.data() + row * static_cast<size_t>(y)));
  png_write_image(png, rows.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

// `pixels`: RGB, or what `format` (TJPF_GRAY, TJPF_CMYK) says.
inline std::string EncodeJpeg(int width, int height, const std::vector<uint8_t>& pixels,
                              int quality = 95, int format = TJPF_RGB, int flags = 0) {
  tjhandle compressor = tjInitCompress();
  unsigned char* data = nullptr;
  unsigned long size = 0;  // NOLINT: libjpeg's type
  tjCompress2(compressor, pixels.data(), width, 0, height, format, &data, &size,
              format == TJPF_GRAY ? TJSAMP_GRAY : TJSAMP_444, quality, flags);
  std::string out(reinterpret_cast<char*>(data), size);
  tjFree(data);
  tjDestroy(compressor);
  return out;
}

// Smooth colors that differ from seed to seed: JPEG keeps them within a few levels.
inline std::vector<uint8_t> SmoothPixels(int width, int height, int seed) {
  std::vector<uint8_t> pixels;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        pixels.push_back(static_cast<uint8_t>(40 + (seed * 31 + c * 50) % 100 + 60 * x / width +
                                              40 * y / height));
  return pixels;
}

// Every pixel of one color.
inline std::vector<uint8_t> FlatPixels(int width, int height, uint8_t red, uint8_t green,
                                       uint8_t blue) {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < width * height; ++i) pixels.insert(pixels.end(), {red, green, blue});
  return pixels;
}

}  // namespace roundel::support
