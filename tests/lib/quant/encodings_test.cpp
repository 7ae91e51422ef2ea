#include "lib/quant/encodings.h"

#include "lib/base/random.h"
#include "tests/support/catch.h"

namespace roundel::quant {
namespace {

Tensor Noise(const Shape& shape, uint64_t seed) {
  Random random(seed);
  Tensor t = Tensor::Empty(DType::kFloat, shape);
  float* data = t.mutable_data<float>();
  for (int64_t i = 0; i < t.size(); ++i) data[i] = static_cast<float>(random.Normal());
  return t;
}

// Distinct parameters per channel or block, so that a wrong index shows.
Encoding Make(Granularity granularity, const Shape& shape, int64_t axis, int64_t block_size,
              const Grid& grid) {
  Encoding e{.grid = grid, .granularity = granularity, .axis = axis, .block_size = block_size};
  const int64_t count = NumElements(ScaleShape(e, shape));
  for (int64_t i = 0; i < count; ++i)
    e.params.push_back(
        {0.01f + 0.003f * static_cast<float>(i), grid.symmetric ? 0 : static_cast<int32_t>(i % 5)});
  return e;
}

// The index of the parameters from the coordinates of an element.
int64_t IndexByCoordinates(const Encoding& e, const Shape& shape, int64_t flat) {
  if (e.granularity == Granularity::kTensor) return 0;
  Shape at(shape.size());
  for (size_t i = shape.size(); i-- > 0; flat /= shape[i]) at[i] = flat % shape[i];
  if (e.granularity == Granularity::kChannel) return at[static_cast<size_t>(e.axis)];
  const Shape scales = ScaleShape(e, shape);
  at[static_cast<size_t>(e.axis)] /= e.block_size;
  int64_t index = 0;
  for (size_t i = 0; i < shape.size(); ++i) index = index * scales[i] + at[i];
  return index;
}

}  // namespace

TEST_CASE("codes and values of every granularity, element by element") {
  const Grid grids[] = {{.bits = 8},
                        {.bits = 4, .is_signed = true, .symmetric = true},
                        {.bits = 2},
                        {.bits = 16, .is_signed = true},
                        {.bits = 32, .is_signed = true, .symmetric = true}};
  const Shape shapes[] = {{7}, {4, 5}, {3, 4, 2, 3}, {2, 0, 3}, {1, 1}};
  for (const Grid& grid : grids)
    for (const Shape& shape : shapes) {
      const Tensor value = Noise(shape, 3);
      std::vector<Encoding> encodings = {Make(Granularity::kTensor, shape, 0, 0, grid)};
      for (int64_t axis = 0; axis < static_cast<int64_t>(shape.size()); ++axis) {
        encodings.push_back(Make(Granularity::kChannel, shape, axis, 0, grid));
        for (const int64_t block : {1, 2, 3, 1000})
          encodings.push_back(Make(Granularity::kBlock, shape, axis, block, grid));
      }
      for (const Encoding& e : encodings) {
        INFO(grid.Name() << " shape " << ShapeString(shape) << " axis " << e.axis << " block "
                         << e.block_size);
        REQUIRE(CheckEncoding(e, shape).ok());
        const Tensor codes = QuantizeTensor(value, e);
        const Tensor back = DequantizeTensor(codes, e);
        REQUIRE(codes.shape() == shape);
        const Tensor as_float = codes.ToFloat();
        for (int64_t i = 0; i < value.size(); ++i) {
          const int64_t index = IndexByCoordinates(e, shape, i);
          REQUIRE(e.ParamIndex(shape, i) == index);
          const QParams p = e.params[static_cast<size_t>(index)];
          const int32_t q = Quantize(value.data<float>()[i], p, grid.qmin(), grid.qmax());
          REQUIRE(as_float.data<float>()[i] == static_cast<float>(q));
          REQUIRE(back.data<float>()[i] == Dequantize(q, p));
        }
        CHECK(FakeQuantizeTensor(value, e) == back);
        CHECK(UnpackCodes(PackCodes(codes, grid.storage_type())) == codes);
      }
    }
}

TEST_CASE("chunks of large values join without a seam") {
  const Shape shape = {200, 300};  // more than one chunk of the parallel loops
  const Tensor value = Noise(shape, 4);
  const Encoding encodings[] = {Make(Granularity::kTensor, shape, 0, 0, {.bits = 8}),
                                Make(Granularity::kChannel, shape, 0, 0, {.bits = 8}),
                                Make(Granularity::kChannel, shape, 1, 0, {.bits = 8}),
                                Make(Granularity::kBlock, shape, 1, 7, {.bits = 8})};
  for (const Encoding& e : encodings) {
    const Tensor back = FakeQuantizeTensor(value, e);
    for (int64_t i = 0; i < value.size(); ++i) {
      const QParams p = e.params[static_cast<size_t>(IndexByCoordinates(e, shape, i))];
      const int32_t q = Quantize(value.data<float>()[i], p, 0, 255);
      REQUIRE(back.data<float>()[i] == Dequantize(q, p));
    }
  }
}

TEST_CASE("packing puts the first element into the lowest bits") {
  const Tensor codes = Tensor::FromVector<int8_t>({3}, {-1, 7, -8});
  const Tensor packed = PackCodes(codes, DType::kInt4);
  CHECK(packed.dtype() == DType::kInt4);
  CHECK(packed.byte_size() == 2);
  CHECK(static_cast<const uint8_t*>(packed.raw())[0] == 0x7f);
  CHECK(static_cast<const uint8_t*>(packed.raw())[1] == 0x08);
  const Tensor two = PackCodes(Tensor::FromVector<uint8_t>({5}, {0, 1, 2, 3, 1}), DType::kUint2);
  CHECK(static_cast<const uint8_t*>(two.raw())[0] == 0xe4);
  CHECK(static_cast<const uint8_t*>(two.raw())[1] == 0x01);
}

TEST_CASE("codes that a pass has fixed are not rounded again") {
  Encoding e =
      Make(Granularity::kTensor, {2}, 0, 0, {.bits = 8, .is_signed = true, .symmetric = true});
  e.codes = Tensor::FromVector<int8_t>({2}, {5, -5});
  CHECK(FakeQuantizeTensor(Tensor::FromVector<float>({2}, {100, 100}), e) ==
        Tensor::FromVector<float>({2}, {5 * 0.01f, -5 * 0.01f}));
}

TEST_CASE("encodings that do not fit a value") {
  const Shape shape = {4, 6};
  const Grid grid{.bits = 8};
  const auto message = [&](Encoding e) {
    const Status status = CheckEncoding(e, shape);
    CHECK(status.kind() == ErrorKind::kModel);
    return status.message();
  };
  Encoding e = Make(Granularity::kChannel, shape, 0, 0, grid);
  e.axis = 2;
  CHECK(message(e) == "axis 2 does not exist in shape [4, 6]");
  e.axis = -1;
  CHECK(message(e) == "axis -1 does not exist in shape [4, 6]");
  e.axis = 1;
  CHECK(message(e) == "4 scales for shape [4, 6] where 6 are needed");
  e.granularity = Granularity::kBlock;
  CHECK(message(e) == "block size 0 is not positive");
  e.block_size = INT64_MAX;  // one block
  CHECK(CheckEncoding(e, shape).ok());
  e.granularity = Granularity::kTensor;
  CHECK(message(e) == "4 scales for shape [4, 6] where 1 are needed");
}

}  // namespace roundel::quant
