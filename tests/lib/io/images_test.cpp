#include "lib/io/images/image.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "tests/support/catch.h"
#include "tests/support/image_files.h"
#include "tests/support/temp_folder.h"

namespace roundel::io {
namespace {

using support::EncodeJpeg;
using support::EncodePng;
using support::PngKind;
using Pixels = std::vector<uint8_t>;

Result<Image> Decode(const std::string& file) {
  return DecodeImage({reinterpret_cast<const std::byte*>(file.data()), file.size()});
}

void CheckPixels(const std::string& file, int width, int height, const Pixels& wanted) {
  const auto image = Decode(file);
  REQUIRE(image.ok());
  CHECK(image->width == width);
  CHECK(image->height == height);
  CHECK(image->channels == 3);
  CHECK(image->pixels == wanted);
}

void CheckError(const std::string& file, const std::string& part) {
  const auto image = Decode(file);
  REQUIRE_FALSE(image.ok());
  INFO(image.status().message());
  CHECK(image.status().kind() == ErrorKind::kData);
  CHECK(image.status().message().find(part) != std::string::npos);
}

int MaxDifference(const Pixels& a, const Pixels& b) {
  REQUIRE(a.size() == b.size());
  int worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

}  // namespace

TEST_CASE("png: color and gray at every depth, palette, alpha, interlacing") {
  const Pixels rgb = {1, 2, 3, 250, 128, 0, 9, 8, 7, 255, 255, 254};
  CheckPixels(EncodePng(2, 2, rgb), 2, 2, rgb);
  PngKind interlaced;
  interlaced.interlaced = true;
  const Pixels smooth = support::SmoothPixels(13, 11, 3);
  CheckPixels(EncodePng(13, 11, smooth, interlaced), 13, 11, smooth);
  CheckPixels(EncodePng(2, 1, {7, 200}, {PNG_COLOR_TYPE_GRAY, 8, false, {}}), 2, 1,
              {7, 7, 7, 200, 200, 200});
  // 0b10100000: 1-bit pixels 1 0 1; 0x4f: 4-bit pixels 4 and 15.
  CheckPixels(EncodePng(3, 1, {0xa0}, {PNG_COLOR_TYPE_GRAY, 1, false, {}}), 3, 1,
              {255, 255, 255, 0, 0, 0, 255, 255, 255});
  CheckPixels(EncodePng(2, 1, {0x4f}, {PNG_COLOR_TYPE_GRAY, 4, false, {}}), 2, 1,
              {68, 68, 68, 255, 255, 255});
  // 16 bits: round(v / 257). 0x80ff = 33023 -> 128.49, 0x8100 = 33024 -> 128.498, 0x8180 -> 129.
  CheckPixels(
      EncodePng(3, 1, {0x80, 0xff, 0x81, 0x00, 0x81, 0x80}, {PNG_COLOR_TYPE_GRAY, 16, false, {}}),
      3, 1, {128, 128, 128, 128, 128, 128, 129, 129, 129});
  CheckPixels(EncodePng(2, 1, {1, 2, 3, 0, 4, 5, 6, 128}, {PNG_COLOR_TYPE_RGB_ALPHA, 8, false, {}}),
              2, 1, {1, 2, 3, 4, 5, 6});
  CheckPixels(EncodePng(1, 1, {77, 0}, {PNG_COLOR_TYPE_GRAY_ALPHA, 8, false, {}}), 1, 1,
              {77, 77, 77});
  CheckPixels(
      EncodePng(3, 1, {1, 0, 1}, {PNG_COLOR_TYPE_PALETTE, 8, false, {{9, 8, 7}, {1, 2, 3}}}), 3, 1,
      {1, 2, 3, 9, 8, 7, 1, 2, 3});
}

TEST_CASE("jpeg: color, gray and Adobe CMYK") {
  const Pixels smooth = support::SmoothPixels(40, 24, 1);
  const auto color = Decode(EncodeJpeg(40, 24, smooth, 98));
  REQUIRE(color.ok());
  CHECK(color->width == 40);
  CHECK(color->height == 24);
  CHECK(MaxDifference(color->pixels, smooth) <= 6);

  const auto gray = Decode(EncodeJpeg(8, 8, Pixels(64, 90), 95, TJPF_GRAY));
  REQUIRE(gray.ok());
  CHECK(MaxDifference(gray->pixels, Pixels(192, 90)) <= 1);

  // Inverted inks: 255 = none. Cyan plate at 51 (80 % ink), black plate at 255: red = 51.
  Pixels inks;
  for (int i = 0; i < 64; ++i) inks.insert(inks.end(), {51, 255, 128, 255});
  const auto cmyk = Decode(EncodeJpeg(8, 8, inks, 95, TJPF_CMYK));
  REQUIRE(cmyk.ok());
  CHECK(MaxDifference(cmyk->pixels, support::FlatPixels(8, 8, 51, 255, 128)) <= 2);
}

TEST_CASE("jpeg: pixels are those of the decoder's accurate default") {
  const Pixels smooth = support::SmoothPixels(33, 17, 5);
  const std::string file = EncodeJpeg(33, 17, smooth, 80);
  Pixels reference(33 * 17 * 3);
  tjhandle handle = tjInitDecompress();
  REQUIRE(tjDecompress2(handle, reinterpret_cast<const unsigned char*>(file.data()), file.size(),
                        reference.data(), 33, 0, 17, TJPF_RGB, 0) == 0);
  tjDestroy(handle);
  CheckPixels(file, 33, 17, reference);
}

TEST_CASE("images: the signature decides, not the name") {
  const support::TempFolder folder;
  const Pixels rgb = {1, 2, 3};
  const auto image = ReadImage(folder.Write("png.jpg", EncodePng(1, 1, rgb)));
  REQUIRE(image.ok());
  CHECK(image->pixels == rgb);
  const Status missing = ReadImage(folder / "none.png").status();
  CHECK(missing.kind() == ErrorKind::kData);
  CHECK(missing.message().find("none.png") != std::string::npos);
  const Status text = ReadImage(folder.Write("note.png", "hello")).status();
  CHECK(text.message().find("note.png: neither a JPEG nor a PNG") != std::string::npos);
}

TEST_CASE("images: truncated and corrupt files are data errors") {
  Pixels smooth = support::SmoothPixels(64, 64, 2);
  for (size_t i = 0; i < smooth.size(); i += 5) smooth[i] = static_cast<uint8_t>(i * i / 7);
  const std::string png = EncodePng(64, 64, smooth);
  const std::string jpeg = EncodeJpeg(64, 64, smooth);
  const std::string progressive = EncodeJpeg(64, 64, smooth, 95, TJPF_RGB, TJFLAG_PROGRESSIVE);
  REQUIRE(Decode(progressive).ok());
  CheckError("", "empty file");
  CheckError("GIF89a", "neither a JPEG nor a PNG");
  CheckError(png.substr(0, png.size() / 2), "corrupt PNG");
  CheckError(png.substr(0, 20), "corrupt PNG");
  CheckError(jpeg.substr(0, jpeg.size() / 2), "corrupt JPEG: Premature end");
  CheckError(jpeg.substr(0, jpeg.size() - 8), "corrupt JPEG: Premature end");
  CheckError(jpeg.substr(0, 100), "corrupt");
  CheckError(jpeg.substr(0, 3), "corrupt");
  CheckError(progressive.substr(0, progressive.size() * 3 / 4), "corrupt JPEG");
  std::string flipped = png;
  flipped[flipped.size() / 2] ^= 0x10;
  CheckError(flipped, "corrupt PNG");
}

TEST_CASE("jpeg: a corrupt file does not spoil the next ones") {
  const std::string jpeg = EncodeJpeg(16, 16, support::SmoothPixels(16, 16, 4));
  std::string broken = jpeg;
  const size_t frame = broken.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  std::memcpy(&broken[frame + 5], "\xff\xff\xff\xff", 4);
  CheckError(broken, "corrupt JPEG");
  CHECK(Decode(jpeg).ok());
  CheckError(jpeg.substr(0, jpeg.size() - 8), "corrupt JPEG");
  CHECK(Decode(jpeg).ok());
}

TEST_CASE("jpeg: stray bytes before the end marker are harmless, if the end is there") {
  const std::string jpeg = EncodeJpeg(16, 16, support::SmoothPixels(16, 16, 4));
  const std::string stray =
      jpeg.substr(0, jpeg.size() - 2) + "\x11\x22\x33" + jpeg.substr(jpeg.size() - 2);
  const auto clean = Decode(jpeg);
  const auto image = Decode(stray);
  REQUIRE(clean.ok());
  REQUIRE(image.ok());
  CHECK(image->pixels == clean->pixels);
}

TEST_CASE("images: sizes that the file cannot hold are refused before decoding") {
  std::string png = EncodePng(1, 1, {1, 2, 3});
  const auto with_size = [&](uint32_t width, uint32_t height) {
    std::string file = png;
    for (int i = 0; i < 4; ++i) {
      file[16 + i] = static_cast<char>(width >> (24 - 8 * i));
      file[20 + i] = static_cast<char>(height >> (24 - 8 * i));
    }
    uint32_t crc = 0xffffffff;  // of the chunk's type and contents (PNG specification, annex D)
    for (int i = 12; i < 29; ++i) {
      crc ^= static_cast<uint8_t>(file[i]);
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    crc = ~crc;
    for (int i = 0; i < 4; ++i) file[29 + i] = static_cast<char>(crc >> (24 - 8 * i));
    return file;
  };
  CheckError(with_size(60000, 60000), "too large");
  CheckError(with_size(10000, 10000), "cannot hold");
  CheckError(with_size(70000, 1), "corrupt PNG");
  CheckError(with_size(0, 1), "corrupt PNG");

  std::string jpeg = EncodeJpeg(16, 16, support::SmoothPixels(16, 16, 4));
  const size_t frame = jpeg.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  std::memcpy(&jpeg[frame + 5], "\xf0\x00\xf0\x00", 4);  // 61440 x 61440
  CheckError(jpeg, "too large");
  std::memcpy(&jpeg[frame + 5], "\x20\x00\x20\x00", 4);  // 8192 x 8192
  CheckError(jpeg, "cannot hold");
}

}  // namespace roundel::io
