#include <png.h>

#include <csetjmp>
#include <cstring>
#include <string>

#include "lib/base/limits.h"
#include "lib/base/text.h"
#include "lib/io/images/codecs.h"

namespace roundel::io {
namespace {

// Data shared with libpng's callbacks. libpng reports errors by longjmp, so that no object with a
// destructor may live in a frame that it jumps over: all of them are members here, and DecodePng()
// owns the struct.
struct Decoder {
  std::span<const std::byte> file;
  size_t position = 0;
  std::string message;
  png_structp png = nullptr;
  png_infop info = nullptr;
  Image image;
  std::vector<png_bytep> rows;

  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
};

void OnError(png_structp png, png_const_charp message) {
  static_cast<Decoder*>(png_get_error_ptr(png))->message = message;
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}

void OnRead(png_structp png, png_bytep to, size_t size) {
  auto* decoder = static_cast<Decoder*>(png_get_io_ptr(png));
  if (size > decoder->file.size() - decoder->position) png_error(png, "the file ends early");
  std::memcpy(to, decoder->file.data() + decoder->position, size);
  decoder->position += size;
}

// Runs a step that libpng may leave by longjmp: false after an error. The only frame with setjmp;
// nothing in it has a destructor.
bool Run(Decoder* decoder, void (*step)(Decoder*)) {
  if (setjmp(png_jmpbuf(decoder->png)) != 0) return false;  // NOLINT: libpng's only way
  step(decoder);
  return true;
}

void ReadHeader(Decoder* decoder) {
  png_set_read_fn(decoder->png, decoder, OnRead);
  png_set_user_limits(decoder->png, 65535, 65535);
  png_read_info(decoder->png, decoder->info);
}

// Requests 8-bit RGB for every format, without gamma or color management, and without alpha.
void RequestRgb(Decoder* decoder) {
  const png_structp png = decoder->png;
  png_set_expand(png);  // palette, 1 to 4 bit gray, transparency
  png_set_scale_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, decoder->info);
}

void ReadPixels(Decoder* decoder) { png_read_image(decoder->png, decoder->rows.data()); }

Status Corrupt(const Decoder& decoder) {
  return DataError(StrCat("corrupt PNG: ", decoder.message));
}

}  // namespace

Result<Image> DecodePng(std::span<const std::byte> file) {
  Decoder decoder;
  decoder.file = file;
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, OnError, OnWarning);
  if (decoder.png != nullptr) decoder.info = png_create_info_struct(decoder.png);
  if (decoder.info == nullptr) return OutOfMemoryError();
  if (!Run(&decoder, ReadHeader)) return Corrupt(decoder);
  const png_uint_32 width = png_get_image_width(decoder.png, decoder.info);
  const png_uint_32 height = png_get_image_height(decoder.png, decoder.info);
  RETURN_IF_ERROR(CheckImageSize(width, height, file.size()));
  if (!Run(&decoder, RequestRgb)) return Corrupt(decoder);
  decoder.image.width = static_cast<int>(width);
  decoder.image.height = static_cast<int>(height);
  const size_t stride = static_cast<size_t>(decoder.image.width) * 3;
  if (png_get_rowbytes(decoder.png, decoder.info) != stride)
    return InternalError("the PNG decoder does not give RGB");
  decoder.image.pixels.resize(stride * static_cast<size_t>(decoder.image.height));
  for (int y = 0; y < decoder.image.height; ++y)
    decoder.rows.push_back(decoder.image.pixels.data() + stride * static_cast<size_t>(y));
  if (!Run(&decoder, ReadPixels)) return Corrupt(decoder);
  return std::move(decoder.image);
}

}  // namespace roundel::io
