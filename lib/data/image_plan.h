#pragma once
// The plan from images to a model input: its axes, and the resize and crop to its
// size.

#include "lib/base/status.h"
#include "lib/data/dataset.h"
#include "lib/data/settings.h"
#include "lib/io/images/image.h"

namespace roundel::data {

// The image axes of a model input. Sizes are -1 if the model accepts any.
struct ImageInput {
  Layout layout = Layout::kNchw;
  int64_t channels = 3, height = -1, width = -1;

  Shape SampleShape(int64_t image_height, int64_t image_width) const;
};

// Errors: kData if the input is not one of images with 1 or 3 channels.
Result<ImageInput> FindImageAxes(const InputInfo& input, Layout layout);

// Converts decoded RGB to the model's pixels: luma if it has one channel, resize, center crop.
// Errors: kData if the result does not have the model's size.
Result<io::Image> PrepareImage(io::Image image, const Settings& settings, const ImageInput& input,
                               const std::string& input_name);

}  // namespace roundel::data
