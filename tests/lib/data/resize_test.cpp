#include "lib/data/resize.h"

#include <algorithm>
#include <cmath>

#include "tests/support/catch.h"

namespace roundel::data {
namespace {

using Pixels = std::vector<uint8_t>;

// A 5x7 gray ramp with wrap-around, and a 4x6 color one.
io::Image Gray() {
  io::Image image{7, 5, 1, {}};
  for (int i = 0; i < 35; ++i) image.pixels.push_back(static_cast<uint8_t>(i * 53 % 256));
  return image;
}
io::Image Color() {
  io::Image image{6, 4, 3, {}};
  for (int i = 0; i < 72; ++i) image.pixels.push_back(static_cast<uint8_t>(i * 37 % 256));
  return image;
}

}  // namespace

TEST_CASE("resize: the pixels that Pillow 9.4 gives") {
  CHECK(Resize(Gray(), 3, 4, Interpolation::kNearest).pixels ==
        Pixels{0, 106, 212, 62, 230, 80, 186, 36, 204, 54, 160, 10});
  CHECK(Resize(Gray(), 3, 4, Interpolation::kBilinear).pixels ==
        Pixels{77, 129, 118, 90, 133, 125, 141, 133, 113, 118, 137, 112});
  CHECK(Resize(Gray(), 3, 4, Interpolation::kBicubic).pixels ==
        Pixels{74, 131, 118, 88, 137, 127, 140, 138, 109, 118, 144, 110});
  CHECK(Resize(Color(), 3, 2, Interpolation::kBilinear).pixels ==
        Pixels{105, 88, 125, 136, 131, 82, 98, 119, 156, 151, 108, 113, 113, 150, 142, 144, 107,
               144});
  CHECK(Resize(Color(), 3, 2, Interpolation::kBicubic).pixels ==
        Pixels{108, 82, 121, 135, 133, 80, 94, 117, 160, 155, 109, 111, 114, 157, 141, 141, 102,
               148});
  const io::Image larger = Resize(Gray(), 8, 9, Interpolation::kBicubic);
  CHECK(larger.width == 9);
  CHECK(larger.height == 8);
  CHECK(Pixels(larger.pixels.begin(), larger.pixels.begin() + 18) ==
        Pixels{0, 24, 68, 113, 169, 229, 96, 2, 57, 38, 80, 137, 150, 98, 147, 91, 63, 118});
}

TEST_CASE("resize: halving averages with the triangle filter, by hand") {
  // Triangle of half-width 2 around 2.0: weights 1 3 3 1 over pixels 0..3 (out of 8); at the left
  // edge around 1.0 over pixels 0..2: 3 3 1 (out of 7).
  const io::Image image{8, 1, 1, {10, 20, 30, 40, 50, 60, 70, 80}};
  const io::Image half = Resize(image, 1, 4, Interpolation::kBilinear);
  REQUIRE(half.pixels.size() == 4);
  CHECK(half.pixels[0] == std::lround((3 * 10 + 3 * 20 + 30) / 7.0));
  CHECK(half.pixels[1] == std::lround((20 + 3 * 30 + 3 * 40 + 50) / 8.0));
  CHECK(half.pixels[2] == 55);
}

TEST_CASE("resize: constants stay constant, ramps stay ramps, sizes of 1 work") {
  for (const auto mode :
       {Interpolation::kNearest, Interpolation::kBilinear, Interpolation::kBicubic}) {
    for (const auto& [height, width] : {std::pair{1, 1}, {3, 50}, {40, 2}, {17, 13}, {100, 1}}) {
      const io::Image flat{13, 17, 3, Pixels(13 * 17 * 3, 201)};
      const io::Image out = Resize(flat, height, width, mode);
      CHECK(out.pixels == Pixels(static_cast<size_t>(height) * width * 3, 201));
    }
    const io::Image single{1, 1, 1, {77}};
    CHECK(Resize(single, 4, 5, mode).pixels == Pixels(20, 77));
  }
  io::Image ramp{64, 2, 1, {}};
  for (int i = 0; i < 128; ++i) ramp.pixels.push_back(static_cast<uint8_t>(2 * (i % 64)));
  const io::Image wide = Resize(ramp, 2, 192, Interpolation::kBilinear);
  for (int x = 3; x < 189; ++x)  // value 2x at pixel center x
    CHECK(std::abs(wide.pixels[x] - 2 * ((x + 0.5) / 3 - 0.5)) <= 0.5001);
}

TEST_CASE("crop and luma") {
  const io::Image color = Color();
  const io::Image crop = Crop(color, 1, 2, 2, 3);
  CHECK(crop.width == 3);
  CHECK(crop.height == 2);
  for (int y = 0; y < 2; ++y)
    for (int x = 0; x < 3; ++x)
      for (int c = 0; c < 3; ++c)
        CHECK(crop.pixels[(y * 3 + x) * 3 + c] == color.pixels[((y + 1) * 6 + x + 2) * 3 + c]);
  // Pillow's convert("L").
  CHECK(Luma(color).pixels == Pixels{30, 141, 73, 107, 189, 73,  184, 39, 150, 82, 116, 198,
                                     82, 193, 48, 159, 91,  125, 207, 91, 202, 57, 168, 100});
  CHECK(Luma({1, 1, 3, {123, 123, 123}}).pixels == Pixels{123});
}

}  // namespace roundel::data
