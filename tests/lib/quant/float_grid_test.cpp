#include "lib/quant/float_grid.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "lib/base/random.h"
#include "lib/quant/coded_scales.h"
#include "lib/quant/distribution.h"
#include "tests/support/catch.h"

namespace roundel::quant {
namespace {

Grid Named(const std::string& name) {
  for (const NamedGrid& named : NamedGrids())
    if (named.name == name) return named.grid;
  FAIL("no grid " + name);
  return {};
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// What a code of a float with a sign, `exponent_bits` and `mantissa_bits` stands for, as IEEE 754
// reads it, in double. Codes of infinity and NaN are up to the format.
double Meaning(int code, int exponent_bits, int mantissa_bits) {
  const int mantissa = code & ((1 << mantissa_bits) - 1);
  const int exponent = code >> mantissa_bits & ((1 << exponent_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double fraction = std::ldexp(mantissa, -mantissa_bits);
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return code >> (exponent_bits + mantissa_bits) & 1 ? -magnitude : magnitude;
}

struct Format {
  GridKind kind;
  int exponent_bits, mantissa_bits, codes;  // finite codes from 0 up
};
constexpr Format kFormats[] = {{GridKind::kFloat8E4M3FN, 4, 3, 0x7f},
                               {GridKind::kFloat8E5M2, 5, 2, 0x7c},
                               {GridKind::kFloat4E2M1, 2, 1, 8}};

// The nearest number among all of the format; of two equally near the one with the even code.
double Nearest(double value, const Format& f) {
  // Far outside, distances to different numbers would be the same double.
  const double x = std::clamp(value, -1e6, 1e6);
  int best = 0;
  for (int code = 1; code < f.codes; ++code) {
    const double now = std::fabs(std::fabs(x) - Meaning(code, f.exponent_bits, f.mantissa_bits));
    const double least = std::fabs(std::fabs(x) - Meaning(best, f.exponent_bits, f.mantissa_bits));
    if (now < least || (now == least && code % 2 == 0)) best = code;
  }
  return std::copysign(Meaning(best, f.exponent_bits, f.mantissa_bits), x);
}

// Numbers of the format, what lies half way between them, the floats beside those, and others.
std::vector<float> Probes(const Format& f, uint64_t seed) {
  std::vector<float> probes = {0.0f,
                               -0.0f,
                               1e-30f,
                               1e30f,
                               -1e30f,
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::denorm_min()};
  for (int code = 0; code + 1 < f.codes; ++code) {
    const double low = Meaning(code, f.exponent_bits, f.mantissa_bits);
    const double high = Meaning(code + 1, f.exponent_bits, f.mantissa_bits);
    for (const double middle : {low, (low + high) / 2, high}) {
      const auto x = static_cast<float>(middle);
      for (const float y : {x, std::nextafter(x, kInfinity), std::nextafter(x, -kInfinity)}) {
        probes.push_back(y);
        probes.push_back(-y);
      }
    }
  }
  Random random(seed);
  for (int i = 0; i < 2000; ++i)
    probes.push_back(static_cast<float>(random.Normal() * std::exp2(40 * random.Uniform() - 20)));
  return probes;
}

}  // namespace

TEST_CASE("floats round to the nearest number of their format") {
  for (const Format& f : kFormats) {
    for (const float scale : {1.0f, 0.0371f, 8.5f}) {
      const std::vector<float> x = Probes(f, 3);
      std::vector<float> rounded(x.size());
      FakeQuantizeFloats(x.data(), rounded.data(), std::ssize(x), scale, f.kind);
      Tensor codes = Tensor::Empty(DType::kUint8, {std::ssize(x)});
      EncodeFloats(x.data(), codes.size(), scale, f.kind, codes.mutable_raw());
      const Tensor decoded = DecodeFloats(codes, f.kind);
      for (size_t i = 0; i < x.size(); ++i) {
        const auto nearest = static_cast<float>(Nearest(x[i] / scale, f));
        INFO(x[i] << " / " << scale << ", format " << int(f.kind));
        REQUIRE(rounded[i] == nearest * scale);
        REQUIRE(decoded.data<float>()[i] == nearest);
        REQUIRE(std::signbit(rounded[i]) == std::signbit(x[i]));
        const int code = codes.data<uint8_t>()[i];
        REQUIRE(static_cast<float>(Meaning(code, f.exponent_bits, f.mantissa_bits)) == nearest);
      }
    }
  }
}

TEST_CASE("infinity saturates, NaN stays where the format has one") {
  for (const Format& f : kFormats) {
    const float max = LargestFloat({.kind = f.kind});
    const float from[] = {kInfinity, -kInfinity, kNan};
    float to[3];
    FakeQuantizeFloats(from, to, 3, 1.0f, f.kind);
    CHECK(to[0] == max);
    CHECK(to[1] == -max);
    uint8_t codes[3];
    EncodeFloats(from, 3, 1.0f, f.kind, codes);
    if (f.kind == GridKind::kFloat4E2M1)
      CHECK((to[2] == max && codes[2] == 7));
    else
      CHECK((std::isnan(to[2]) && codes[2] == 0x7f));
    const FloatFormat& format = FormatOf(FloatType(f.kind));
    CHECK(EncodeFloat(format, kInfinity, false) == format.overflow);
    CHECK(EncodeFloat(format, std::nextafter(max, kInfinity), false) ==
          EncodeFloat(format, max, true));  // rounds down, hence does not overflow
  }
}

TEST_CASE("16-bit floats are what Cast makes of values") {
  Random random(5);
  std::vector<float> x = {0.0f, -0.0f, 65504, 65520, 1e-8f, 3e38f, kInfinity};
  for (int i = 0; i < 1000; ++i) x.push_back(static_cast<float>(random.Normal()));
  const Tensor value = Tensor::FromVector({std::ssize(x)}, x);
  for (const auto& [kind, type] : {std::pair(GridKind::kFloat16, DType::kFloat16),
                                   std::pair(GridKind::kBfloat16, DType::kBfloat16)}) {
    const Encoding e{.grid = {.bits = 16, .is_signed = true, .symmetric = true, .kind = kind},
                     .params = {ParamsFromRange(-3, 3, {.bits = 16, .kind = kind})}};
    CHECK(e.params[0] == QParams{1.0f, 0});
    CHECK(FakeQuantizeTensor(value, e) == value.FromFloatTo(type).ToFloat());
    Tensor in_place = value;
    FakeQuantize(in_place.data<float>(), in_place.mutable_data<float>(), value.size(), e.params[0],
                 e.grid);
    CHECK(in_place == FakeQuantizeTensor(value, e));
  }
}

TEST_CASE("tensors on every named grid: codes and simulation agree") {
  Random random(8);
  Tensor value = Tensor::Empty(DType::kFloat, {3, 37});  // blocks of 16 and 32 with a rest
  for (int64_t i = 0; i < value.size(); ++i)
    value.mutable_data<float>()[i] = static_cast<float>(random.Normal());
  for (const NamedGrid& named : NamedGrids()) {
    INFO(named.name);
    Encoding e{.role = Role::kWeight, .grid = named.grid};
    e.params = {ParamsFromRange(-2, 2.5, named.grid)};
    Tensor whole = value;
    FakeQuantize(value.data<float>(), whole.mutable_data<float>(), value.size(), e.params[0],
                 e.grid);
    CHECK(FakeQuantizeTensor(value, e) == whole);
    const Tensor codes = QuantizeTensor(value, e);
    CHECK(UnpackCodes(PackCodes(codes, e.grid.storage_type())) == codes);
    if (named.grid.block_size() == 0) continue;
    e.granularity = Granularity::kBlock;
    e.axis = 1;
    e.block_size = named.grid.block_size();
    const int64_t blocks = (37 + e.block_size - 1) / e.block_size;
    e.params.clear();
    for (int64_t i = 0; i < 3 * blocks; ++i)
      e.params.push_back({static_cast<float>(0.01 + random.Uniform()), 0});
    SettleScales(value.shape(), &e);
    const Tensor out = FakeQuantizeTensor(value, e);
    for (int64_t i = 0; i < value.size(); ++i) {
      float one = 0;
      const QParams p = e.params[i / 37 * blocks + i % 37 / e.block_size];
      FakeQuantize(value.data<float>() + i, &one, 1, p, e.grid);
      REQUIRE(out.data<float>()[i] == one);
    }
  }
}

TEST_CASE("ranges meet the largest number, microscaling follows the OCP formula") {
  CHECK(ParamsFromRange(-3, 896, Named("float8e4m3fn")).scale == 2.0f);
  CHECK(ParamsFromRange(-12, 3, Named("float4e2m1")).scale == 2.0f);
  for (const char* name : {"float8e5m2", "mxfp4", "nvfp4"})
    CHECK(ParamsFromRange(0, 0, Named(name)) == QParams{1.0f, 0});
  Random random(2);
  const std::pair<const char*, int> formats[] = {{"mxfp4", 2}, {"mxfp8", 8}, {"mxfp8e5m2", 15}};
  for (const auto& [name, largest_exponent] : formats) {
    for (int i = 0; i < 200; ++i) {
      const double magnitude = std::exp2(60 * random.Uniform() - 30);
      const float scale = ParamsFromRange(-magnitude, 0, Named(name)).scale;
      CHECK(scale == std::exp2(std::floor(std::log2(magnitude)) - largest_exponent));
    }
    CHECK(std::isfinite(ParamsFromRange(0, 3e38, Named(name)).scale));
    CHECK(ParamsFromRange(0, 1e-37, Named(name)).scale > 0);
  }
}

TEST_CASE("coded scales are exact products, near the scales that were wanted") {
  Random random(4);
  const Shape shape = {4, 64};
  struct Kind {
    Grid grid;
    double nearness;  // largest relative error of a scale that is not below the smallest code
  };
  Grid two_level{.bits = 4, .is_signed = true, .symmetric = true, .scales = ScaleKind::kInteger};
  for (const Kind& kind : {Kind{Named("nvfp4"), 1.0 / 16 + 1e-4}, Kind{two_level, 0.5 + 1e-4},
                           Kind{Named("mxfp4"), 0.5 + 1e-9}}) {
    Encoding e{.grid = kind.grid, .granularity = Granularity::kBlock, .axis = 1, .block_size = 16};
    for (int i = 0; i < 16; ++i)
      e.params.push_back({static_cast<float>(std::exp(2 * random.Normal() - 6)), 0});
    if (kind.grid.scales == ScaleKind::kInteger)
      for (int i = 0; i < 16; ++i) e.params[i].scale = static_cast<float>(1 + random.Uniform());
    const std::vector<QParams> wanted = e.params;
    CHECK_FALSE(FindScaleCodes(shape, e).has_value());
    SettleScales(shape, &e);
    const auto found = FindScaleCodes(shape, e);
    REQUIRE(found.has_value());
    const size_t per_unit = e.params.size() / found->units.size();
    for (size_t i = 0; i < wanted.size(); ++i) {
      CHECK(std::fabs(e.params[i].scale / wanted[i].scale - 1) <= kind.nearness);
      CHECK(found->codes[i] * found->units[i / per_unit] == e.params[i].scale);
      if (kind.grid.scales == ScaleKind::kFloat8)
        CHECK(Nearest(found->codes[i], kFormats[0]) == found->codes[i]);
      if (kind.grid.scales == ScaleKind::kInteger)
        CHECK((found->codes[i] >= 1 && found->codes[i] <= 16 &&
               found->codes[i] == std::floor(found->codes[i])));
    }
    const std::vector<QParams> settled = e.params;
    SettleScales(shape, &e);
    CHECK(e.params == settled);
  }
}

TEST_CASE("codes of scales are found whatever the largest code and the digits of the unit") {
  Random random(7);
  const Grid two_level{.bits = 4, .symmetric = true, .scales = ScaleKind::kInteger};
  for (const Grid& grid : {Named("nvfp4"), two_level}) {
    const bool integer = grid.scales == ScaleKind::kInteger;
    Encoding e{.grid = grid, .granularity = Granularity::kBlock, .axis = 1, .block_size = 16};
    for (int round = 0; round < 300; ++round) {
      e.params.clear();
      float unit = 0;
      for (int channel = 0; channel < 4; ++channel) {
        if (integer || channel == 0) unit = static_cast<float>(std::exp(8 * random.Normal() - 6));
        const double most = integer ? 1 + 15 * random.Uniform() : 448 * random.Uniform();
        for (int block = 0; block < 4; ++block) {
          const double wish = most * random.Uniform();
          const double code = integer ? std::min(1 + std::floor(wish), 16.0)
                                      : std::max(Nearest(wish, kFormats[0]), 0x1p-9);
          e.params.push_back({static_cast<float>(code) * unit, 0});
        }
      }
      const auto found = FindScaleCodes({4, 64}, e);
      REQUIRE(found.has_value());
      CHECK(found->units.size() == (integer ? 4 : 1));
      for (size_t i = 0; i < e.params.size(); ++i) {
        CHECK(found->codes[i] * found->UnitOf(i) == e.params[i].scale);
        if (integer)
          CHECK((found->codes[i] >= 1 && found->codes[i] <= 16 &&
                 found->codes[i] == std::floor(found->codes[i])));
        else
          CHECK(Nearest(found->codes[i], kFormats[0]) == found->codes[i]);
      }
      // One that is no multiple of the others' unit.
      e.params[2].scale = e.params[3].scale * 0.7310585f;
      CHECK_FALSE(FindScaleCodes({4, 64}, e).has_value());
    }
  }
}

TEST_CASE("scales of extreme sizes settle to positive numbers") {
  for (const char* name : {"nvfp4", "mxfp4"}) {
    for (const float largest : {1e-37f, 1e-20f, 1.0f, 1e37f}) {
      Encoding e{
          .grid = Named(name), .granularity = Granularity::kBlock, .axis = 0, .block_size = 1};
      e.params = {{largest, 0}, {largest * 1e-6f, 0}};
      if (!(e.params[1].scale > 0)) e.params[1].scale = std::numeric_limits<float>::min();
      SettleScales({2}, &e);
      for (const QParams& p : e.params) CHECK((p.scale > 0 && std::isfinite(p.scale)));
      CHECK(FindScaleCodes({2}, e).has_value());
    }
  }
}

TEST_CASE("errors of a distribution on floats are those of its values") {
  Random random(6);
  std::vector<float> values(500);
  for (float& v : values) v = static_cast<float>(random.Normal());
  const Distribution distribution = Distribution::Of(values);
  for (const char* name : {"float8e4m3fn", "float8e5m2", "float4e2m1", "binary"}) {
    const Grid grid = Named(name);
    const QParams p = ParamsFromRange(-1.5, 1.5, grid);  // clips some
    double squares = 0, sum = 0;
    for (const float x : values) {
      float q = 0;
      FakeQuantize(&x, &q, 1, p, grid);
      squares += (double{q} - x) * (double{q} - x);
      sum += double{q} - x;
    }
    const QuantizationError error = ErrorOf(distribution, p, grid);
    CHECK(error.total() == Approx(squares).epsilon(1e-5));
    CHECK(error.sum == Approx(sum).epsilon(1e-5).margin(1e-6));
  }
}

}  // namespace roundel::quant
