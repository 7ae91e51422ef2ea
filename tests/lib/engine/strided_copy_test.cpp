// Copies between views against plain loops over indices: every permutation of axes for elements of
// every width, sizes below, at and above those that are copied in tiles and in moves of a fixed
// number of bytes; reversed and repeated elements.

#include "lib/ops/kernels/strided_copy.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "lib/base/random.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

Tensor RandomBytes(DType type, int64_t elements, uint64_t seed) {
  Tensor t = Tensor::Empty(type, {elements});
  Random random(seed);
  auto* bytes = static_cast<uint8_t*>(t.mutable_raw());
  for (int64_t i = 0; i < t.byte_size(); ++i) bytes[i] = static_cast<uint8_t>(random.Below(256));
  return t;
}

// Checks the copy element for element, and that nothing else has been written.
void CheckCopy(DType type, const Shape& shape, const View& from, const View& to, int64_t elements) {
  INFO(DTypeName(type) << ShapeString(shape));
  const Tensor source = RandomBytes(type, elements, 1);
  Tensor actual = RandomBytes(type, elements, 2), expected = RandomBytes(type, elements, 2);
  const auto width = static_cast<size_t>(BitWidth(type) / 8);
  for (int64_t flat = 0; flat < NumElements(shape); ++flat) {
    int64_t read = from.offset, written = to.offset, rest = flat;
    for (size_t axis = shape.size(); axis-- > 0; rest /= shape[axis]) {
      read += rest % shape[axis] * from.strides[axis];
      written += rest % shape[axis] * to.strides[axis];
    }
    std::memcpy(
        static_cast<uint8_t*>(expected.mutable_raw()) + static_cast<size_t>(written) * width,
        static_cast<const uint8_t*>(source.raw()) + static_cast<size_t>(read) * width, width);
  }
  REQUIRE(CopyStrided(shape, source, from, &actual, to).ok());
  CHECK(actual == expected);
}

const DType kTypes[] = {DType::kUint8, DType::kFloat16, DType::kFloat, DType::kInt64};

TEST_CASE("every permutation of axes copies every element to its place") {
  for (const DType type : kTypes)
    for (const Shape& shape : std::vector<Shape>{{1},
                                                 {7},
                                                 {16, 16},
                                                 {33, 47},
                                                 {3, 16, 32},
                                                 {2, 17, 15},
                                                 {4, 1, 64},
                                                 {2, 3, 20, 16},
                                                 {1, 50, 4, 8},
                                                 {5, 2, 3, 2},
                                                 {0, 4, 3},
                                                 {2, 3, 1, 4, 5}}) {
      std::vector<size_t> order(shape.size());
      std::iota(order.begin(), order.end(), size_t{0});
      const std::vector<int64_t> strides = Strides(shape);
      do {
        Shape permuted;
        View from;
        for (const size_t axis : order) {
          permuted.push_back(shape[axis]);
          from.strides.push_back(strides[axis]);
        }
        const int64_t elements = std::max<int64_t>(1, NumElements(shape));
        CheckCopy(type, permuted, from, WholeView(permuted), elements);
        CheckCopy(type, permuted, WholeView(permuted), from, elements);  // and back
      } while (std::next_permutation(order.begin(), order.end()));
    }
}

TEST_CASE("parts of rows, reversed and repeated elements are copied") {
  for (const DType type : kTypes)
    for (const int64_t columns : {1, 2, 3, 4, 8, 16, 32, 64, 65, 128, 256}) {
      const int64_t elements = 40 * (columns + 3);
      CheckCopy(type, {40, columns}, {3, {columns + 3, 1}}, {0, {columns, 1}}, elements);
      CheckCopy(type, {40, columns}, {0, {columns, 1}}, {2, {columns + 3, 1}}, elements);
      CheckCopy(type, {39, columns}, {columns * 39 - 1, {-columns, -1}}, {0, {columns, 1}},
                elements);
      CheckCopy(type, {40, columns}, {1, {0, 1}}, {0, {columns, 1}}, elements);
      CheckCopy(type, {40, columns}, {1, {1, 0}}, {0, {columns, 1}}, elements);
    }
}

TEST_CASE("planes that are larger than a chunk of work are copied whole") {
  for (const DType type : {DType::kFloat, DType::kUint8}) {
    CheckCopy(type, {20001, 37}, {0, {1, 20001}}, {0, {37, 1}}, 20001 * 37);
    CheckCopy(type, {37, 20001}, {0, {1, 37}}, {0, {20001, 1}}, 20001 * 37);
    CheckCopy(type, {20001, 36}, {0, {37, 1}}, {0, {36, 1}}, 20001 * 37);
  }
}

}  // namespace
}  // namespace roundel::engine
