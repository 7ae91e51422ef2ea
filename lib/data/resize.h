#pragma once
// Resampling of 8-bit images.

#include "lib/data/settings.h"
#include "lib/io/images/image.h"

namespace roundel::data {

// Bilinear and bicubic (a = -0.5) widen their filter when they shrink (antialiasing) and round to 8
// bits after each axis: the same pixels as Pillow's Image.resize. Nearest takes the pixel under the
// target's center. height, width >= 1.
io::Image Resize(const io::Image& image, int height, int width, Interpolation interpolation);

// The rectangle at (top, left); Requires that it is inside.
io::Image Crop(const io::Image& image, int top, int left, int height, int width);

// ITU-R 601 luma of RGB: (19595 R + 38470 G + 7471 B) / 65536, rounded.
io::Image Luma(const io::Image& image);

}  // namespace roundel::data
