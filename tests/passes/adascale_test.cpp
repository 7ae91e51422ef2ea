// Oracles: the start, which a result must not be worse than on the samples that judge it, and
// rounding to nearest on data that the pass has not seen.

#include "tests/support/layerwise.h"

namespace roundel::passes {
namespace {

using support::CorrelatedSource;
using support::kManyLayers;
using support::OutputError;
using support::Round;
using support::RoundedOptions;
using support::VectorSource;

TEST_CASE("factors of weights bring layers of all kinds closer to the float model") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 8, 3);
  VectorSource others = CorrelatedSource({16, 4, 6, 6}, 4, 99);
  for (const int bits : {2, 3, 4}) {
    RoundedOptions options{.params = {{"rate", "0.01"}, {"iterations", "100"}, {"batch", "16"}}};
    options.grid.bits = bits;
    options.grid.narrow_range = false;
    const double nearest = OutputError(*Round(kManyLayers, "", &data, options), &others);
    const auto r = Round(kManyLayers, "adascale", &data, options);
    INFO(bits);
    CHECK(OutputError(*r, &others) < nearest);
    CHECK(r->Weight("w1").decided_by == "adascale");
  }
}

}  // namespace
}  // namespace roundel::passes
