// Oracles: the definition, element by element; images that are linear functions of the position,
// which bilinear interpolation reproduces; the order of batches.

#include "lib/data/views.h"

#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel::data {
namespace {

std::vector<Batch> SomeBatches() {
  Random random(3);
  std::vector<Batch> batches(3);
  for (Batch& batch : batches) {
    batch.inputs = {support::RandomTensor({2, 3, 4, 5}, random),
                    support::RandomTensor({2, 5}, random),
                    Tensor::FromVector<int64_t>({2, 1, 1, 2}, {1, 2, 3, 4})};
    batch.size = 2;
    batch.labels = {1, 7};
    batch.sample_names = {"a", "b"};
  }
  return batches;
}

Views Of(std::vector<Batch> batches, Layout layout, ViewOptions options) {
  std::vector<std::optional<Layout>> layouts(batches[0].inputs.size());
  layouts[0] = layout;
  return {std::make_unique<support::VectorSource>(std::move(batches)), layouts, options};
}

TEST_CASE("view 1 is the mirror image, and all that is no image stays") {
  const std::vector<Batch> originals = SomeBatches();
  Views views = Of(originals, Layout::kNchw, {.count = 2});
  CHECK(views.size() == 12);
  CHECK(views.views() == 2);
  for (int sweep = 0; sweep < 2; ++sweep) {
    REQUIRE(views.Rewind().ok());
    for (const Batch& original : originals) {
      const auto same = views.Next().value(), flipped = views.Next().value();
      REQUIRE((same && flipped));
      CHECK(same->inputs[0] == original.inputs[0]);
      CHECK(flipped->inputs[1] == original.inputs[1]);
      CHECK(flipped->inputs[2] == original.inputs[2]);
      CHECK(flipped->labels == original.labels);
      CHECK(flipped->size == 2);
      const float *from = original.inputs[0].data<float>(), *to = flipped->inputs[0].data<float>();
      for (int64_t row = 0; row < 24; ++row)
        for (int64_t x = 0; x < 5; ++x) CHECK(to[row * 5 + x] == from[row * 5 + 4 - x]);
    }
    CHECK(!views.Next().value());
  }
}

// A ramp: value = 100 n + 10 c + y / height, or x / width. Its crops are ramps of the window's side.
Batch Ramp(Layout layout, bool along_width) {
  const int64_t height = 24, width = 40, channels = 3;
  Batch batch{.sample_names = {"a", "b"}, .size = 2};
  const bool planes = layout == Layout::kNchw;
  Tensor images = Tensor::Empty(DType::kFloat, planes ? Shape{2, channels, height, width}
                                                      : Shape{2, height, width, channels});
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t y = 0; y < height; ++y)
        for (int64_t x = 0; x < width; ++x) {
          const int64_t at = planes ? ((n * channels + c) * height + y) * width + x
                                    : ((n * height + y) * width + x) * channels + c;
          const double place = along_width ? (static_cast<double>(x) + 0.5) / width
                                           : (static_cast<double>(y) + 0.5) / height;
          images.mutable_data<float>()[at] = static_cast<float>(100.0 * n + 10.0 * c + place);
        }
  batch.inputs = {images};
  return batch;
}

TEST_CASE("other views are crops, enlarged to the size of the image") {
  for (const Layout layout : {Layout::kNchw, Layout::kNhwc})
    for (const bool along_width : {true, false}) {
      Views views =
          Of({Ramp(layout, along_width)}, layout, {.count = 40, .mirror = true, .seed = 5});
      REQUIRE(views.Next().value());
      REQUIRE(views.Next().value());
      int mirrored = 0, crops = 0;
      while (const auto view = views.Next().value())
        for (int64_t n = 0; n < 2; ++n, ++crops) {
          const Tensor& images = view->inputs[0];
          const bool planes = layout == Layout::kNchw;
          const int64_t height = 24, width = 40;
          const auto value = [&](int64_t c, int64_t y, int64_t x) {
            const int64_t at = planes ? ((n * 3 + c) * height + y) * width + x
                                      : ((n * height + y) * width + x) * 3 + c;
            return static_cast<double>(images.data<float>()[at]) - 100.0 * n - 10.0 * c;
          };
          // Away from the borders, where positions are clamped, steps are equal: side / size.
          const int64_t size = along_width ? width : height;
          const auto along = [&](int64_t i) {
            return along_width ? value(1, height / 2, i) : value(1, i, width / 2);
          };
          const double step = (along(size - 4) - along(3)) / static_cast<double>(size - 7);
          mirrored += step < 0;
          const double side = std::abs(step) * static_cast<double>(size);
          CHECK(side > kSmallestView - 0.01);
          CHECK(side < kLargestView + 0.01);
          for (int64_t i = 4; i < size - 4; ++i)
            CHECK(along(i) == Approx(along(3) + step * static_cast<double>(i - 3)).margin(2e-5));
          CHECK(std::min(along(0), along(size - 1)) >= 0);
          CHECK(std::max(along(0), along(size - 1)) <= 1);
        }
      CHECK(crops == 76);
      if (along_width) CHECK((mirrored > 20 && mirrored < 56));
      if (!along_width) CHECK(mirrored == 0);
    }
}

TEST_CASE("without mirroring no view is mirrored, and a sweep repeats its views") {
  Views views = Of({Ramp(Layout::kNchw, true)}, Layout::kNchw, {.count = 20, .mirror = false});
  std::vector<Tensor> first;
  while (const auto view = views.Next().value()) {
    first.push_back(view->inputs[0]);
    CHECK(first.back().data<float>()[30] > first.back().data<float>()[3]);
  }
  CHECK(first.size() == 20);
  CHECK(first[1] != first[0]);
  CHECK(first[2] != first[1]);
  REQUIRE(views.Rewind().ok());
  for (const Tensor& expected : first) CHECK(views.Next().value()->inputs[0] == expected);
}

}  // namespace
}  // namespace roundel::data
