// Folders of images: from files to tensors.

#include <cmath>
#include <filesystem>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/data/resize.h"
#include "tests/lib/data/data_test_support.h"
#include "tests/support/catch.h"
#include "tests/support/image_files.h"
#include "tests/support/temp_folder.h"

namespace roundel::data {
namespace {

using support::EncodeJpeg;
using support::EncodePng;
using support::FlatPixels;
using support::SmoothPixels;
using support::TempFolder;
using Pixels = std::vector<uint8_t>;

InputInfo Nchw(int64_t batch, int64_t channels, int64_t height, int64_t width,
               DType type = DType::kFloat) {
  return {"x", type, {batch, channels, height, width}};
}

// The only batch of a folder.
Tensor LoadOne(const std::vector<Setting>& settings, const InputInfo& input) {
  const auto batches = Load(settings, {input});
  INFO(batches.status().message());
  REQUIRE(batches.ok());
  REQUIRE(batches->size() == 1);
  REQUIRE(batches->front().inputs.size() == 1);
  return batches->front().inputs[0];
}

// `count` PNG images of 6x4 (HxW) named 000.png ...
void WriteNumbered(const TempFolder& folder, int count) {
  for (int i = 0; i < count; ++i)
    folder.Write(StrFormat("%03d.png", i), EncodePng(4, 6, SmoothPixels(4, 6, i)));
}

}  // namespace

TEST_CASE("images: raw pixels become planes of floats in file order") {
  const TempFolder folder;
  const Pixels b = SmoothPixels(4, 3, 1), a = SmoothPixels(4, 3, 2);
  folder.Write("b.png", EncodePng(4, 3, b));
  folder.Write("a.PNG", EncodePng(4, 3, a));
  folder.Write("notes.txt", "not an image");
  folder.Write("._b.png", "litter of another system");
  const Tensor x = LoadOne({{"path", folder.path()}}, Nchw(-1, 3, 3, 4));
  REQUIRE(x.shape() == Shape{2, 3, 3, 4});
  for (int n = 0; n < 2; ++n)
    for (int c = 0; c < 3; ++c)
      for (int p = 0; p < 12; ++p)
        CHECK(x.data<float>()[(n * 3 + c) * 12 + p] == (n == 0 ? a : b)[p * 3 + c]);
}

TEST_CASE("images: presets, explicit values over presets, channel order, layout") {
  const TempFolder folder;
  folder.Write("a.png", EncodePng(2, 2, FlatPixels(2, 2, 255, 0, 51)));
  const auto values = [&](std::vector<Setting> settings, const InputInfo& input) {
    settings.emplace_back("path", folder.path());
    const Tensor x = LoadOne(settings, input);
    const bool planes = x.dim(1) == 3;
    const float* v = x.data<float>();
    return planes ? std::vector<float>{v[0], v[4], v[8]} : std::vector<float>{v[0], v[1], v[2]};
  };
  const InputInfo nchw = Nchw(-1, 3, 2, 2), nhwc{"x", DType::kFloat, {1, 2, 2, 3}};
  using V = std::vector<float>;
  const auto near = [](const V& got, const V& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == Approx(wanted[i]).margin(1e-6));
  };
  near(values({}, nchw), {255, 0, 51});
  near(values({{"preset", "zero_one"}}, nchw), {1, 0, 0.2f});
  near(values({{"preset", "tf"}}, nchw), {1, -1, -0.6f});
  near(values({{"preset", "tf"}}, nhwc), {1, -1, -0.6f});
  const V imagenet = {(1 - 0.485f) / 0.229f, -0.456f / 0.224f, (0.2f - 0.406f) / 0.225f};
  near(values({{"preset", "imagenet"}}, nchw), imagenet);
  near(values({{"preset", "imagenet"}}, nhwc), imagenet);
  near(values({{"preset", "imagenet"}, {"mean", "0.5"}, {"std", "0.5"}}, nchw), {1, -1, -0.6f});
  near(values({{"mean", "127,0,1"}, {"std", "128,1,2"}}, nchw), {1, 0, 25});
  near(values({{"scale", "0.1"}}, nchw), {25.5f, 0, 5.1f});
  // BGR: the planes change places; explicit means come in the model's order, a preset's stay with
  // their colors.
  near(values({{"channel_order", "bgr"}, {"mean", "1,2,3"}}, nchw), {50, -2, 252});
  near(values({{"channel_order", "bgr"}, {"preset", "imagenet"}}, nchw),
       {imagenet[2], imagenet[1], imagenet[0]});
  near(values({{"channel_order", "bgr"}}, nhwc), {51, 0, 255});
}

TEST_CASE("images: element types other than float32") {
  const TempFolder folder;
  folder.Write("a.png", EncodePng(1, 1, {200, 0, 7}));
  const std::string& path = folder.path();
  CHECK(LoadOne({{"path", path}}, Nchw(1, 3, 1, 1, DType::kUint8)) ==
        Tensor::FromVector<uint8_t>({1, 3, 1, 1}, {200, 0, 7}));
  CHECK(LoadOne({{"path", path}, {"mean", "128"}}, Nchw(1, 3, 1, 1, DType::kInt8)) ==
        Tensor::FromVector<int8_t>({1, 3, 1, 1}, {72, -128, -121}));
  CHECK(LoadOne({{"path", path}}, Nchw(1, 3, 1, 1, DType::kInt32)) ==
        Tensor::FromVector<int32_t>({1, 3, 1, 1}, {200, 0, 7}));
  CHECK(LoadOne({{"path", path}}, Nchw(1, 3, 1, 1, DType::kDouble)) ==
        Tensor::FromVector<double>({1, 3, 1, 1}, {200, 0, 7}));
  const Tensor half = LoadOne({{"path", path}}, Nchw(1, 3, 1, 1, DType::kFloat16));
  CHECK(half.dtype() == DType::kFloat16);
  CHECK(half.ToFloat() == Tensor::FromVector<float>({1, 3, 1, 1}, {200, 0, 7}));
  InputInfo untyped = Nchw(1, 3, 1, 1, DType::kUndefined);
  CHECK(LoadOne({{"path", path}}, untyped).dtype() == DType::kFloat);
  CHECK(LoadOne({{"path", path}, {"type", "uint8"}}, untyped).dtype() == DType::kUint8);

  const auto usage = ErrorKind::kUsage;
  CheckFails({{"path", path}}, {Nchw(1, 3, 1, 1, DType::kInt8)}, usage, "is no int8");
  CheckFails({{"path", path}, {"preset", "zero_one"}}, {Nchw(1, 3, 1, 1, DType::kUint8)}, usage,
             "is no uint8");
  CheckFails({{"path", path}}, {Nchw(1, 3, 1, 1, DType::kString)}, usage, "type string");
  CheckFails({{"path", path}, {"type", "uint8"}}, {Nchw(1, 3, 1, 1)}, usage,
             "model input 'x' is float32");
}

TEST_CASE("images: grayscale models get luma, color models gray images spread") {
  const TempFolder folder;
  folder.Write("a.png", EncodePng(1, 1, {250, 100, 10}));
  const Tensor gray = LoadOne({{"path", folder.path()}}, Nchw(-1, 1, 1, 1));
  CHECK(gray.data<float>()[0] == std::lround(0.299 * 250 + 0.587 * 100 + 0.114 * 10));
  const TempFolder grays;
  grays.Write("g.png", EncodePng(1, 1, {93}, {PNG_COLOR_TYPE_GRAY, 8, false, {}}));
  CHECK(LoadOne({{"path", grays.path()}}, Nchw(-1, 3, 1, 1)) ==
        Tensor::FromVector<float>({1, 3, 1, 1}, {93, 93, 93}));
  CHECK(LoadOne({{"path", grays.path()}}, Nchw(-1, 1, 1, 1)).data<float>()[0] == 93);
  CheckFails({{"path", grays.path()}, {"preset", "imagenet"}}, {Nchw(-1, 1, 1, 1)},
             ErrorKind::kUsage, "'mean' has 3 values, but the model's input has 1 channel");
}

TEST_CASE("images: resize and crop rules") {
  const TempFolder folder;
  const Pixels pixels = SmoothPixels(40, 20, 7);
  folder.Write("a.png", EncodePng(40, 20, pixels));
  const io::Image image{40, 20, 3, pixels};
  const auto check = [&](std::vector<Setting> settings, int64_t height, int64_t width,
                         const io::Image& wanted) {
    settings.emplace_back("path", folder.path());
    const Tensor x = LoadOne(settings, Nchw(1, 3, height, width));
    REQUIRE(x.shape() == Shape{1, 3, wanted.height, wanted.width});
    for (int c = 0; c < 3; ++c)
      for (int p = 0; p < wanted.height * wanted.width; ++p)
        if (x.data<float>()[c * wanted.height * wanted.width + p] != wanted.pixels[p * 3 + c])
          FAIL("pixel " << p << " of channel " << c);
  };
  const auto bilinear = [&](int h, int w) { return Resize(image, h, w, Interpolation::kBilinear); };
  check({}, 20, 40, image);
  check({{"resize", "10x30"}}, 10, 30, bilinear(10, 30));
  check({{"resize", "10"}}, 10, 20, bilinear(10, 20));
  check({{"crop", "12"}}, 12, 12, Crop(image, 4, 14, 12, 12));
  check({{"crop", "7x9"}}, -1, -1, Crop(image, 6, 16, 7, 9));  // margins 6.5, 15.5: half to even
  check({{"crop", "auto"}}, 16, 10, Crop(image, 2, 15, 16, 10));
  check({{"resize", "auto"}, {"crop", "auto"}}, 20, 40, image);
  // 14 / 0.875 = 16: 16x32, then the middle 14x14.
  check({{"resize", "auto"}, {"crop", "auto"}}, 14, 14, Crop(bilinear(16, 32), 1, 9, 14, 14));
  check({{"resize", "auto"}}, 14, 14, bilinear(14, 14));
  // Covering 8x28 (margins: 9x32): the width decides, 16x32.
  check({{"resize", "auto"}, {"crop", "auto"}}, 8, 28, Crop(bilinear(16, 32), 4, 2, 8, 28));
  check({{"resize", "auto"}, {"crop", "auto"}}, -1, -1, image);
  check({{"resize", "16"}, {"crop", "auto"}, {"interpolation", "bicubic"}}, 14, 14,
        Crop(Resize(image, 16, 32, Interpolation::kBicubic), 1, 9, 14, 14));
  // The imagenet preset brings both rules along; its normalization is switched off here.
  check({{"preset", "imagenet"}, {"scale", "1"}, {"mean", "0"}, {"std", "1"}}, 14, 14,
        Crop(bilinear(16, 32), 1, 9, 14, 14));
  check({{"preset", "imagenet"}, {"scale", "1"}, {"mean", "0"}, {"std", "1"}, {"resize", "none"}},
        14, 14, Crop(image, 3, 13, 14, 14));

  const std::string& path = folder.path();
  const auto data = ErrorKind::kData, usage = ErrorKind::kUsage;
  CheckFails({{"path", path}}, {Nchw(1, 3, 224, 224)}, data,
             "a.png: image is 20x40 (HxW), model input 'x' needs 224x224: set resize/crop");
  CheckFails({{"path", path}, {"crop", "30"}}, {Nchw(1, 3, 30, 30)}, data,
             "smaller than the crop of 30x30");
  CheckFails({{"path", path}, {"resize", "16384"}}, {Nchw(1, 3, -1, -1)}, data, "too large");
  for (const char* bad : {"0", "-3", "x", "224x", "12x12x3", "99999", "big"})
    CheckFails({{"path", path}, {"resize", bad}}, {Nchw(1, 3, 30, 30)}, usage, "'resize' must be");
}

TEST_CASE("images: batches in order, sweeps repeat, the rest is a smaller batch") {
  const TempFolder folder;
  WriteNumbered(folder, 11);
  DatasetFacts facts;
  auto source = Open({{"path", folder.path()}, {"batch", "4"}}, {Nchw(-1, 3, 6, 4)}, &facts);
  REQUIRE(source.ok());
  CHECK((*source)->size() == 11);
  const auto first = Drain(source->get());
  REQUIRE(first.ok());
  REQUIRE(first->size() == 3);
  CHECK((*first)[0].size == 4);
  CHECK((*first)[2].size == 3);
  CHECK((*first)[2].inputs[0].shape() == Shape{3, 3, 6, 4});
  CHECK(Names(*first) == facts.samples);
  CHECK(facts.samples.size() == 11);
  CHECK(facts.samples[10] == "010.png");
  CHECK_FALSE((*source)->Next()->has_value());
  for (int sweep = 0; sweep < 2; ++sweep) {
    REQUIRE((*source)->Rewind().ok());
    const auto again = Drain(source->get());
    REQUIRE(again.ok());
    REQUIRE(again->size() == 3);
    for (int i = 0; i < 3; ++i) CHECK((*again)[i].inputs[0] == (*first)[i].inputs[0]);
  }
  // In the middle of a sweep.
  REQUIRE((*source)->Rewind().ok());
  REQUIRE((*source)->Next().ok());
  REQUIRE((*source)->Rewind().ok());
  CHECK((*source)->Next()->value().sample_names == (*first)[0].sample_names);
}

TEST_CASE("images: a fixed batch size of the model is kept, what is left over is dropped") {
  const TempFolder folder;
  WriteNumbered(folder, 11);
  folder.Write("0035.png", "broken");  // between 003 and 004
  const auto batches = Load({{"path", folder.path()}}, {Nchw(4, 3, 6, 4)});
  REQUIRE(batches.ok());
  REQUIRE(batches->size() == 2);
  CHECK(Names(*batches) == std::vector<std::string>{"000.png", "001.png", "002.png", "003.png",
                                                    "004.png", "005.png", "006.png", "007.png"});
  for (const auto& batch : *batches) CHECK(batch.inputs[0].shape() == Shape{4, 3, 6, 4});
  CHECK((*batches)[1].inputs[0].data<float>()[0] == SmoothPixels(4, 6, 4)[0]);
  CheckFails({{"path", folder.path()}}, {Nchw(16, 3, 6, 4)}, ErrorKind::kData,
             "the model's batch size is 16, but there are only 12 samples");
  CheckFails({{"path", folder.path()}}, {Nchw(12, 3, 6, 4)}, ErrorKind::kData,
             "fewer samples than the model's batch size");
}

TEST_CASE("images: corrupt files are skipped and counted, in every sweep, strict stops at them") {
  const TempFolder folder;
  WriteNumbered(folder, 6);
  const std::string jpeg = EncodeJpeg(4, 6, SmoothPixels(4, 6, 2));
  folder.Write("002.png", jpeg.substr(0, jpeg.size() - 10));  // a truncated JPEG under any name
  folder.Write("004.png", "");
  auto source = Open({{"path", folder.path()}, {"batch", "3"}}, {Nchw(-1, 3, 6, 4)});
  REQUIRE(source.ok());
  CHECK((*source)->size() == 6);
  for (int sweep = 0; sweep < 2; ++sweep) {
    const auto batches = Drain(source->get());
    REQUIRE(batches.ok());
    CHECK(Names(*batches) == std::vector<std::string>{"000.png", "001.png", "003.png", "005.png"});
    CHECK((*batches)[0].inputs[0].shape() == Shape{2, 3, 6, 4});
    CHECK((*source)->skipped() == 2);
    REQUIRE((*source)->Rewind().ok());
    CHECK((*source)->skipped() == 0);
  }
  auto strict =
      Open({{"path", folder.path()}, {"batch", "1"}, {"strict", "true"}}, {Nchw(-1, 3, 6, 4)});
  REQUIRE(strict.ok());
  CHECK((*strict)->Next()->value().sample_names[0] == "000.png");
  CHECK((*strict)->Next()->value().sample_names[0] == "001.png");
  for (int again = 0; again < 2; ++again) {  // an error stays
    const auto failed = (*strict)->Next();
    REQUIRE_FALSE(failed.ok());
    CHECK(failed.status().kind() == ErrorKind::kData);
    CHECK(failed.status().message().find("002.png: corrupt JPEG") != std::string::npos);
  }
  REQUIRE((*strict)->Rewind().ok());
  CHECK((*strict)->Next().ok());
}

TEST_CASE("images: the number of loading threads changes nothing") {
  const TempFolder folder;
  WriteNumbered(folder, 40);
  folder.Write("017.png", "broken");
  const int before = Threads();
  std::vector<Batch> reference;
  for (int threads : {1, 16, 64}) {
    SetThreads(threads);
    const auto batches = Load({{"path", folder.path()}, {"batch", "3"}}, {Nchw(-1, 3, 6, 4)});
    REQUIRE(batches.ok());
    if (reference.empty()) reference = *batches;
    REQUIRE(batches->size() == reference.size());
    for (size_t i = 0; i < reference.size(); ++i) {
      CHECK((*batches)[i].inputs[0] == reference[i].inputs[0]);
      CHECK((*batches)[i].sample_names == reference[i].sample_names);
    }
  }
  SetThreads(before);
}

TEST_CASE("images: sizes that differ are named with both files") {
  const TempFolder folder;
  folder.Write("a.png", EncodePng(4, 6, SmoothPixels(4, 6, 0)));
  folder.Write("b.png", EncodePng(5, 6, SmoothPixels(5, 6, 0)));
  CheckFails({{"path", folder.path()}}, {Nchw(-1, 3, -1, -1)}, ErrorKind::kData,
             "'a.png' is 6x4, but 'b.png' is 6x5 (HxW): set resize and crop");
  CHECK(Load({{"path", folder.path()}, {"resize", "4x4"}}, {Nchw(-1, 3, -1, -1)}).ok());
}

TEST_CASE("images: folders that cannot be used") {
  const TempFolder folder;
  const auto data = ErrorKind::kData, usage = ErrorKind::kUsage;
  const InputInfo input = Nchw(-1, 3, 6, 4);
  CheckFails({}, {input}, usage, "no data");
  CheckFails({{"path", folder / "missing"}}, {input}, data, "does not exist");
  CheckFails({{"path", folder.path()}}, {input}, data, "no .jpg, .jpeg, .png, .npy or .npz file");
  CheckFails({{"path", folder.Write("x.txt", "x")}}, {input}, usage, "neither a folder nor");
  folder.Write("a.png", "junk");
  folder.Write("b.jpg", "junk");
  CheckFails({{"path", folder.path()}}, {input}, data, "no readable image");
  CheckFails({{"path", folder.path()}, {"strict", "true"}}, {input}, data, "a.png: neither");
  CheckFails({{"path", folder.path()}}, {}, data, "no inputs");
  CheckFails({{"path", folder.path()}}, {input, input}, usage, "images feed one model input");
  CheckFails({{"path", folder.path()}}, {{"x", DType::kFloat, {-1, 10}}}, data,
             "does not look like images");
  CheckFails({{"path", folder.path()}}, {Nchw(-1, 16, 8, 8)}, data, "does not look like images");
  CheckFails({{"path", folder.path()}}, {{"x", DType::kFloat, {}}}, data, "set layout");
  CheckFails({{"path", folder.path()}, {"array_layout", "nhwc"}}, {input}, usage, "array_layout");
  CheckFails({{"path", folder.path()}, {"input", "y"}}, {input}, usage, "'input' names 'y'");
  CheckFails({{"path", folder.path()}, {"std", "0"}}, {input}, usage, "must not be 0");
  CheckFails({{"path", folder.path()}, {"mean", "1,2"}}, {input}, usage, "1 or 3 values");
}

TEST_CASE("images: one file as path, unknown rank with a layout") {
  const TempFolder folder;
  const std::string path = folder.Write("a.png", EncodePng(2, 1, {1, 2, 3, 4, 5, 6}));
  CHECK(LoadOne({{"path", path}, {"layout", "nhwc"}}, {"x", DType::kFloat, {}}) ==
        Tensor::FromVector<float>({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6}));
  CHECK(LoadOne({{"path", path}, {"layout", "nchw"}}, {"x", DType::kFloat, {-1, -1, -1, -1}}) ==
        Tensor::FromVector<float>({1, 3, 1, 2}, {1, 4, 2, 5, 3, 6}));
}

}  // namespace roundel::data
