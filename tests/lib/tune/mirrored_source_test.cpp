// Oracle: the definition, element by element.

#include "lib/tune/mirrored_source.h"

#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel::tune {
namespace {

TEST_CASE("every batch comes a second time, its images mirrored and all else unchanged") {
  Random random(3);
  std::vector<Batch> batches(3);
  for (size_t b = 0; b < batches.size(); ++b) {
    batches[b].inputs = {support::RandomTensor({2, 3, 4, 5}, random),
                         support::RandomTensor({2, 5}, random),
                         Tensor::FromVector<int64_t>({2, 1, 1, 2}, {1, 2, 3, 4})};
    batches[b].size = 2;
    batches[b].sample_names = {"a", "b"};
  }
  const std::vector<Batch> originals = batches;
  support::VectorSource source(std::move(batches));
  MirroredSource mirrored(source);
  CHECK(mirrored.size() == 2 * source.size());
  for (int sweep = 0; sweep < 2; ++sweep) {
    REQUIRE(mirrored.Rewind().ok());
    for (const Batch& original : originals) {
      const auto same = mirrored.Next().value(), flipped = mirrored.Next().value();
      REQUIRE((same && flipped));
      CHECK(same->inputs[0] == original.inputs[0]);
      CHECK(flipped->inputs[1] == original.inputs[1]);
      CHECK(flipped->inputs[2] == original.inputs[2]);
      CHECK(flipped->size == 2);
      const float *from = original.inputs[0].data<float>(), *to = flipped->inputs[0].data<float>();
      for (int64_t row = 0; row < 24; ++row)
        for (int64_t x = 0; x < 5; ++x) CHECK(to[row * 5 + x] == from[row * 5 + 4 - x]);
    }
    CHECK(!mirrored.Next().value());
  }
}

}  // namespace
}  // namespace roundel::tune
