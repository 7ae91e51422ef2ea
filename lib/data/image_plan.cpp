#include "lib/data/image_plan.h"

#include <cmath>
#include <utility>

#include "lib/base/text.h"
#include "lib/data/resize.h"

namespace roundel::data {
namespace {

using Kind = SizeRule::Kind;

// -1 if the size is free.
struct Size {
  int64_t height = -1, width = -1;
};

bool IsImageChannels(int64_t dim) { return dim == 1 || dim == 3; }

std::string SizeText(int64_t height, int64_t width) {
  const auto text = [](int64_t side) { return side < 0 ? std::string("any") : StrCat(side); };
  return StrCat(text(height), "x", text(width));
}

bool Matches(const io::Image& image, Size size) {
  return (size.height < 0 || size.height == image.height) &&
         (size.width < 0 || size.width == image.width);
}

// The size that resize and crop must produce.
Size TargetSize(const Settings& settings, const ImageInput& input) {
  if (settings.crop.kind == Kind::kSide || settings.crop.kind == Kind::kExact)
    return {settings.crop.height, settings.crop.width};
  return {input.height, input.width};
}

Result<io::Image> CheckedResize(const io::Image& image, int64_t height, int64_t width,
                                Interpolation interpolation) {
  constexpr int64_t kMaxPixels = 178'000'000;  // as for decoding
  if (height * width > kMaxPixels)
    return DataError(StrCat("resizing to ", SizeText(height, width), " (HxW) is too large"));
  return Resize(image, static_cast<int>(height), static_cast<int>(width), interpolation);
}

// The smallest size with the image's proportions that covers height x width: one side exact, the
// other rounded down as torchvision's Resize does.
Size Cover(const io::Image& image, int64_t height, int64_t width) {
  if (height * image.width >= width * image.height)
    return {height, height * image.width / image.height};
  return {width * image.height / image.width, width};
}

Result<io::Image> ApplyResize(io::Image image, const Settings& settings, Size target) {
  const SizeRule& rule = settings.resize;
  Size size;
  switch (rule.kind) {
    case Kind::kNone: return image;
    case Kind::kExact: size = {rule.height, rule.width}; break;
    case Kind::kSide: size = Cover(image, rule.height, rule.width); break;
    case Kind::kAuto: {
      if (target.height < 0 || target.width < 0 || Matches(image, target)) return image;
      // 0.875 = 224 / 256, the customary margin of ImageNet evaluation; without a crop there is no
      // margin.
      if (settings.crop.kind == Kind::kNone) {
        size = target;
        break;
      }
      const auto margin = [](int64_t side) {
        return std::lround(static_cast<double>(side) / 0.875);
      };
      size = Cover(image, margin(target.height), margin(target.width));
      break;
    }
  }
  return CheckedResize(image, size.height, size.width, settings.interpolation);
}

Result<io::Image> ApplyCrop(io::Image image, const Settings& settings, Size target) {
  if (settings.crop.kind == Kind::kNone) return image;
  const int64_t height = target.height < 0 ? image.height : target.height;
  const int64_t width = target.width < 0 ? image.width : target.width;
  if (height > image.height || width > image.width)
    return DataError(StrCat("image is ", SizeText(image.height, image.width),
                            " (HxW), smaller than the crop of ", SizeText(height, width),
                            ": set resize"));
  // Half to even, as torchvision's CenterCrop rounds.
  const auto margin = [](int64_t outer, int64_t inner) {
    return static_cast<int>(std::nearbyint(static_cast<double>(outer - inner) / 2));
  };
  return Crop(image, margin(image.height, height), margin(image.width, width),
              static_cast<int>(height), static_cast<int>(width));
}

}  // namespace

Shape ImageInput::SampleShape(int64_t image_height, int64_t image_width) const {
  if (layout == Layout::kNhwc) return {image_height, image_width, channels};
  return {channels, image_height, image_width};
}

Result<ImageInput> FindImageAxes(const InputInfo& input, Layout layout) {
  const Shape& shape = input.shape;
  const auto error = [&](const char* advice) {
    return DataError(StrCat("model input '", input.name, "' of shape ", ShapeString(shape),
                            " does not look like images of 1 or 3 channels: ", advice));
  };
  if (shape.empty()) {
    if (layout == Layout::kAuto) return error("set layout to nchw or nhwc");
    return ImageInput{layout, 3, -1, -1};
  }
  if (shape.size() != 4) return error("give its data as .npy, .npz or test_data_set folders");
  if (layout == Layout::kAuto) {
    if (IsImageChannels(shape[1])) {
      layout = Layout::kNchw;
    } else if (IsImageChannels(shape[3])) {
      layout = Layout::kNhwc;
    } else {
      return error("set layout to nchw or nhwc, or give its data as arrays");
    }
  }
  ImageInput image = layout == Layout::kNchw ? ImageInput{layout, shape[1], shape[2], shape[3]}
                                             : ImageInput{layout, shape[3], shape[1], shape[2]};
  if (image.channels < 0) image.channels = 3;
  if (!IsImageChannels(image.channels)) return error("check layout, or give its data as arrays");
  return image;
}

Result<io::Image> PrepareImage(io::Image image, const Settings& settings, const ImageInput& input,
                               const std::string& input_name) {
  if (input.channels == 1 && image.channels == 3) image = Luma(image);
  const Size target = TargetSize(settings, input);
  ASSIGN_OR_RETURN(image, ApplyResize(std::move(image), settings, target));
  ASSIGN_OR_RETURN(image, ApplyCrop(std::move(image), settings, target));
  if (!Matches(image, {input.height, input.width}))
    return DataError(StrCat("image is ", SizeText(image.height, image.width),
                            " (HxW), model input '", input_name, "' needs ",
                            SizeText(input.height, input.width), ": set resize/crop"));
  return image;
}

}  // namespace roundel::data
