#pragma once
// How images become one model input: where its axes are, and which resize and crop lead to its
// size.

#include "lib/base/status.h"
#include "lib/data/dataset.h"
#include "lib/data/settings.h"
#include "lib/io/images/image.h"

namespace roundel::data {

// The image axes of a model input. Sizes are -1 where the model takes any.
struct ImageInput {
  Layout layout = Layout::kNchw;
  int64_t channels = 3, height = -1, width = -1;

  Shape SampleShape(int64_t image_height, int64_t image_width) const;
};

// kData if the input does not look like one of 1 or 3 channel images.
Result<ImageInput> FindImageAxes(const InputInfo& input, Layout layout);

// Decoded RGB to the pixels that the model sees: luma if it has one channel, resize, centre crop.
// kData if that does not give the model's size.
Result<io::Image> PrepareImage(io::Image image, const Settings& settings, const ImageInput& input,
                               const std::string& input_name);

}  // namespace roundel::data
