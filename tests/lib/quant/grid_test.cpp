#include "lib/quant/grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/random.h"
#include "lib/quant/float_grid.h"
#include "lib/quant/statistics.h"
#include "tests/support/catch.h"

namespace roundel::quant {
namespace {

constexpr Grid kUint8{.bits = 8};
constexpr Grid kInt8{.bits = 8, .is_signed = true};
constexpr Grid kInt8Symmetric{.bits = 8, .is_signed = true, .symmetric = true};
constexpr Grid kInt8Narrow{.bits = 8, .is_signed = true, .symmetric = true, .narrow_range = true};
constexpr Grid kInt32{.bits = 32, .is_signed = true, .symmetric = true};

// QuantizeLinear by its definition, in double; the quotient itself is a float, as in the kernels.
int32_t Reference(float x, QParams p, int32_t qmin, int32_t qmax) {
  const double q = std::nearbyint(static_cast<double>(x / p.scale)) + p.zero_point;
  return static_cast<int32_t>(std::clamp(q, static_cast<double>(qmin), static_cast<double>(qmax)));
}

}  // namespace

TEST_CASE("scales with a sign let the lowest code meet the larger end") {
  const Grid grid{.bits = 4, .is_signed = true, .symmetric = true, .scales = ScaleKind::kSigned};
  CHECK(grid.Name() == "int4 symmetric signed");
  Random random(12);
  for (int i = 0; i < 200; ++i) {
    const double low = -random.Uniform(), high = random.Uniform();
    const QParams p = ParamsFromRange(low, high, grid);
    CHECK(p.zero_point == 0);
    const auto extreme = static_cast<float>(-low >= high ? low : high);
    CHECK(Quantize(extreme, p, grid.qmin(), grid.qmax()) == -8);
    CHECK(Dequantize(-8, p) == Approx(extreme).epsilon(1e-6));
  }
  CHECK(ParamsFromRange(0, 0, grid) == QParams{1.0f, 0});
  CHECK(ParamsFromRange(-1e-45, 1e-44, grid) == QParams{1.0f, 0});
}

TEST_CASE("unsigned symmetric grids count from 0 where no value is negative") {
  const Grid grid{.bits = 8, .symmetric = true, .from_zero = true};
  CHECK(grid.Name() == "uint8 symmetric unsigned");
  CHECK(ParamsFromRange(0.5, 2, grid) == QParams{2.0f / 255, 0});
  CHECK(ParamsFromRange(-1, 2, grid) == QParams{4.0f / 255, 128});
  CHECK(ParamsFromRange(-3, 2, grid) == QParams{6.0f / 255, 128});
  CHECK(grid.ForValuesFrom(0) == kUint8);
  CHECK(grid.ForValuesFrom(-1) == Grid{.bits = 8, .symmetric = true});
  CHECK(kInt8Narrow.ForValuesFrom(0) == kInt8Narrow);
}

TEST_CASE("every code of every grid stands for a finite number, however wide the range") {
  constexpr double kLargest = std::numeric_limits<float>::max();
  std::vector<Grid> grids;
  for (int bits = 2; bits <= 16; ++bits)
    for (const bool is_signed : {false, true})
      for (const bool symmetric : {false, true})
        for (const bool narrow : {false, true})
          grids.push_back({bits, is_signed, symmetric, narrow});
  for (const int bits : {4, 8})
    grids.push_back(
        {.bits = bits, .is_signed = true, .symmetric = true, .scales = ScaleKind::kSigned});
  for (const NamedGrid& named : NamedGrids())
    if (named.grid.has_scale() && named.grid.scales == ScaleKind::kFloat)
      grids.push_back(named.grid);
  Random random(3);
  std::vector<Range> ranges = {{-kLargest, 0}, {0, kLargest}, {-kLargest, kLargest}};
  for (int i = 0; i < 40; ++i)
    ranges.push_back(
        {-kLargest * std::pow(random.Uniform(), 4), kLargest * (1 - random.Uniform() / 8)});
  for (const Grid& grid : grids) {
    for (const Range& range : ranges) {
      INFO(grid.Name() << " [" << range.min << ", " << range.max << "]");
      const QParams p = ParamsFromRange(range.min, range.max, grid);
      const double magnitude = std::max(-range.min, range.max);
      double low, high;
      if (grid.is_float()) {
        high = static_cast<double>(LargestFloat(grid) * p.scale);
        low = -high;
      } else {
        low = Dequantize(grid.qmin(), p);
        high = Dequantize(grid.qmax(), p);
      }
      CHECK(std::isfinite(low));
      CHECK(std::isfinite(high));
      // No more is lost than one step at either end.
      const double step = grid.is_float() ? 0 : std::fabs(p.scale);
      CHECK(std::max(std::fabs(low), std::fabs(high)) >= magnitude * (1 - 1e-6) - step);
    }
  }
  // Not changed where nothing overflows.
  CHECK(ParamsFromRange(-1.28e30, 1.27e30, kUint8).scale == 1e28f);
}

TEST_CASE("bounds, storage and names of grids") {
  CHECK(kUint8.qmin() == 0);
  CHECK(kUint8.qmax() == 255);
  CHECK(kInt8.qmin() == -128);
  CHECK(kInt8Narrow.qmin() == -127);
  CHECK(kInt8Narrow.qmax() == 127);
  CHECK(kInt32.qmin() == std::numeric_limits<int32_t>::min());
  CHECK(kInt32.qmax() == std::numeric_limits<int32_t>::max());
  CHECK(Grid{.bits = 4, .is_signed = true}.qmin() == -8);
  CHECK(Grid{.bits = 2}.qmax() == 3);
  CHECK(Grid{.bits = 3}.storage_type() == DType::kUint4);
  CHECK(Grid{.bits = 2, .is_signed = true}.storage_type() == DType::kInt2);
  CHECK(Grid{.bits = 16}.storage_type() == DType::kUint16);
  CHECK(kInt32.storage_type() == DType::kInt32);
  CHECK(kInt8Narrow.Name() == "int8 symmetric narrow");
  CHECK(kUint8.Name() == "uint8");
}

TEST_CASE("parameters from ranges") {
  // Expected values by hand: scale = (rmax - rmin) / (qmax - qmin).
  CHECK(ParamsFromRange(0, 2.55, kUint8) == QParams{0.01f, 0});
  CHECK(ParamsFromRange(1, 2.55, kUint8) == QParams{0.01f, 0});  // widened to hold 0
  CHECK(ParamsFromRange(-1.28, 1.27, kUint8) == QParams{0.01f, 128});
  CHECK(ParamsFromRange(-1.28, 1.27, kInt8) == QParams{0.01f, 0});
  CHECK(ParamsFromRange(-2.55, -1, kInt8) == QParams{0.01f, 127});
  CHECK(ParamsFromRange(-1.27, 0.5, kInt8Narrow) == QParams{0.01f, 0});
  CHECK(ParamsFromRange(-0.5, 1.275, kInt8Symmetric) == QParams{0.01f, 0});
  CHECK(ParamsFromRange(0, 1.275, Grid{.bits = 8, .symmetric = true}) == QParams{0.01f, 128});
  // zero_point = 127.5 exactly: half to even.
  CHECK(ParamsFromRange(-1, 1, kUint8).zero_point == 128);
  CHECK(ParamsFromRange(-1, 1, kInt8).zero_point == 0);
  CHECK(ParamsFromRange(0, 0, kUint8) == QParams{1.0f, 0});
  CHECK(ParamsFromRange(-1e-44, 1e-44, kUint8) == QParams{1.0f, 0});
  CHECK(ParamsFromRange(0, 0, Grid{.bits = 8, .symmetric = true}) == QParams{1.0f, 128});
}

TEST_CASE("the rounding rule against the definition") {
  Random random(5);
  for (const Grid& grid : {kUint8, kInt8, kInt8Narrow, Grid{.bits = 2}, Grid{.bits = 16},
                           Grid{.bits = 4, .is_signed = true}})
    for (int i = 0; i < 2000; ++i) {
      const QParams p{static_cast<float>(random.Uniform() + 1e-3),
                      grid.qmin() + static_cast<int32_t>(random.Below(uint64_t{1} << grid.bits))};
      const auto x = static_cast<float>(random.Normal() * std::pow(10, random.Uniform() * 6));
      const int32_t q = Quantize(x, p, grid.qmin(), grid.qmax());
      REQUIRE(q == Reference(x, p, grid.qmin(), grid.qmax()));
      REQUIRE(Dequantize(q, p) == static_cast<float>(q - p.zero_point) * p.scale);
    }
}

TEST_CASE("ties go to even, and the ends saturate") {
  const auto q = [](float x) { return Quantize(x, {1.0f, 0}, -128, 127); };
  CHECK(q(0.5f) == 0);
  CHECK(q(1.5f) == 2);
  CHECK(q(2.5f) == 2);
  CHECK(q(-0.5f) == 0);
  CHECK(q(-1.5f) == -2);
  CHECK(q(127.5f) == 127);
  CHECK(q(-128.5f) == -128);
  CHECK(q(1e30f) == 127);
  CHECK(q(-std::numeric_limits<float>::infinity()) == -128);
  CHECK(q(std::numeric_limits<float>::quiet_NaN()) == -128);
}

TEST_CASE("32-bit codes saturate instead of wrapping") {
  const int32_t low = kInt32.qmin(), high = kInt32.qmax();
  CHECK(Quantize(3e9f, {1.0f, 0}, low, high) == high);
  CHECK(Quantize(2147483648.0f, {1.0f, 0}, low, high) == high);
  CHECK(Quantize(-3e9f, {1.0f, 0}, low, high) == low);
  CHECK(Quantize(2147483520.0f, {1.0f, 0}, low, high) == 2147483520);
  CHECK(Quantize(1.0f, {1.0f, high}, low, high) == high);
  CHECK(Quantize(-5e9f, {1.0f, high}, low, high) == low);
  CHECK(Dequantize(low, {1.0f, high}) == -4294967296.0f);
}

TEST_CASE("the vectorized form gives the same bits, in place or not") {
  Random random(6);
  for (const int64_t n : {0, 1, 15, 17, 1000, 40000}) {
    std::vector<float> x(static_cast<size_t>(n));
    for (float& value : x) value = static_cast<float>(random.Normal() * 3);
    if (n > 2) x[1] = std::numeric_limits<float>::quiet_NaN();
    if (n > 2) x[2] = -std::numeric_limits<float>::infinity();
    for (const Grid& grid : {kUint8, kInt8Narrow, Grid{.bits = 16}}) {
      const QParams p{0.013f, grid.is_signed ? 0 : 77};
      std::vector<float> out(x.size());
      FakeQuantize(x.data(), out.data(), n, p, grid.qmin(), grid.qmax());
      for (size_t i = 0; i < x.size(); ++i)
        REQUIRE(out[i] == Dequantize(Quantize(x[i], p, grid.qmin(), grid.qmax()), p));
      std::vector<float> in_place = x;
      FakeQuantize(in_place.data(), in_place.data(), n, p, grid.qmin(), grid.qmax());
      CHECK(in_place == out);
      std::vector<uint16_t> codes(x.size());
      QuantizeRun(x.data(), codes.data(), n, p, grid.qmin(), grid.qmax());
      for (size_t i = 0; i < x.size(); ++i)
        REQUIRE(codes[i] == static_cast<uint16_t>(Quantize(x[i], p, grid.qmin(), grid.qmax())));
    }
  }
}

}  // namespace roundel::quant
