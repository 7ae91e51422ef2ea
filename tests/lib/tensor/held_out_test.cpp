// Oracle: the definition.

#include "lib/tensor/held_out.h"

#include "tests/support/catch.h"

namespace roundel {
namespace {

TEST_CASE("each n-th sample is held out, for shares of 1/n") {
  const HeldOut fifth(0.2, 100), half(0.5, 9);
  for (int64_t i = 0; i < 100; ++i) CHECK(fifth(i) == (i % 5 == 4));
  for (int64_t i = 0; i < 9; ++i) CHECK(half(i) == (i % 2 == 1));
}

TEST_CASE("no sample is held out if fewer than two would be, or if none is asked for") {
  CHECK_FALSE(HeldOut(0.2, 9).any());
  CHECK(HeldOut(0.2, 10).any());
  const HeldOut none(0, 100);
  CHECK_FALSE(none.any());
  CHECK_FALSE(none(4));
}

}  // namespace
}  // namespace roundel
