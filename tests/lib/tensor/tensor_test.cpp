#include "lib/tensor/tensor.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace roundel {
namespace {

Tensor Bytes(DType type, const Shape& shape, std::vector<uint8_t> bytes) {
  return Tensor::FromBytes(type, shape, std::string(bytes.begin(), bytes.end()));
}

bool SameFloats(const Tensor& tensor, const std::vector<float>& expected) {
  const auto values = tensor.span<float>();
  if (values.size() != expected.size()) return false;
  for (size_t i = 0; i < expected.size(); ++i)
    if (!(values[i] == expected[i] || (std::isnan(values[i]) && std::isnan(expected[i]))))
      return false;
  return true;
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("copies are independent once written to") {
  Tensor a = Tensor::FromVector<float>({2}, {1, 2});
  Tensor b = a;
  CHECK(a.raw() == b.raw());
  b.mutable_data<float>()[0] = 9;
  CHECK(a.data<float>()[0] == 1);
  CHECK(b.data<float>()[0] == 9);
  const void* place = b.raw();
  b.mutable_data<float>()[1] = 8;  // alone: in place
  CHECK(b.raw() == place);
}

TEST_CASE("mapped tensors are never written back") {
  const support::TempFolder folder;
  const std::string path = folder.Write("w", std::string("....\0\0\x80\x3f\0\0\0\x40tail", 16));
  const auto file = *MappedFile::Open(path);
  Tensor aligned = Tensor::Mapped(DType::kInt8, {16}, file, 0);
  CHECK(aligned.is_mapped());
  CHECK(aligned.data<int8_t>()[0] == '.');
  aligned.mutable_data<int8_t>()[0] = 'X';
  CHECK_FALSE(aligned.is_mapped());
  CHECK((*ReadTextFile(path))[0] == '.');
  const Tensor odd = Tensor::Mapped(DType::kFloat, {2}, file, 4);
  CHECK(odd == Tensor::FromVector<float>({2}, {1, 2}));
  CHECK(reinterpret_cast<uintptr_t>(odd.bytes().data()) % 16 == 4);  // not copied yet
  CHECK(SameFloats(odd, {1, 2}));
  Tensor changed = odd;
  changed.mutable_data<float>()[0] = 9;
  CHECK(SameFloats(changed, {9, 2}));
  CHECK(SameFloats(odd, {1, 2}));
}

TEST_CASE("the pages of mapped tensors come back after they were given back") {
  const support::TempFolder folder;
  std::string bytes(3 * 65536 + 5, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 4096);
  const auto file = *MappedFile::Open(folder.Write("w", bytes));
  for (const int64_t offset : {0, 1, 5, 4096, 70000, 131077}) {
    const auto at = static_cast<size_t>(offset);
    const Tensor stored = Tensor::Mapped(DType::kInt8, {65536}, file, offset);
    for (int i = 0; i < 2; ++i) {
      const Tensor once = stored.ReadOnce();
      CHECK(std::memcmp(once.raw(), bytes.data() + at, 65536) == 0);
      CHECK(reinterpret_cast<uintptr_t>(once.raw()) % 16 == 0);
      once.ReleasePages();
      CHECK(std::memcmp(stored.bytes().data(), bytes.data() + at, 65536) == 0);
    }
    CHECK(std::memcmp(stored.raw(), bytes.data() + at, 65536) == 0);
    stored.ReleasePages();
    CHECK(std::memcmp(stored.raw(), bytes.data() + at, 65536) == 0);
  }
  Tensor::FromVector<float>({1}, {1}).ReleasePages();  // nothing to give back
  Tensor().ReleasePages();
}

TEST_CASE("threads that read an unaligned tensor for the first time share its copy") {
  const support::TempFolder folder;
  const auto file = *MappedFile::Open(folder.Write("w", "x" + std::string(1 << 20, 'y')));
  for (int round = 0; round < 20; ++round) {
    const Tensor tensor = Tensor::Mapped(DType::kInt8, {1 << 20}, file, 1);
    const void* seen[4];
    std::vector<std::thread> threads;
    for (const void*& place : seen) threads.emplace_back([&] { place = tensor.raw(); });
    for (std::thread& thread : threads) thread.join();
    for (const void* place : seen) CHECK(place == tensor.raw());
    CHECK(tensor.data<int8_t>()[(1 << 20) - 1] == 'y');
  }
}

TEST_CASE("borrowed memory is written in place, by its only tensor") {
  float memory[2] = {1, 2};
  Tensor t = Tensor::Borrow(DType::kFloat, {2}, memory);
  t.mutable_data<float>()[0] = 5;
  CHECK(memory[0] == 5);
  const Tensor other = t;
  t.mutable_data<float>()[0] = 6;
  CHECK(memory[0] == 5);
}

TEST_CASE("taken-over bytes, small and large, are aligned") {
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{255}, size_t{256}, size_t{100000}}) {
    std::string bytes(size, 'x');
    const Tensor t = Tensor::FromBytes(DType::kInt8, {static_cast<int64_t>(size)}, bytes);
    CHECK(reinterpret_cast<uintptr_t>(t.raw()) % 16 == 0);
    CHECK(std::memcmp(t.raw(), bytes.data(), size) == 0);
  }
  CHECK(reinterpret_cast<uintptr_t>(Tensor::Empty(DType::kFloat, {3}).raw()) % 64 == 0);
  CHECK(Tensor::Zeros(DType::kInt4, {3}).byte_size() == 2);
}

TEST_CASE("element counts of shapes from outside") {
  CHECK(*CheckedNumElements({}, DType::kFloat) == 1);
  CHECK(*CheckedNumElements({2, 0, 3}, DType::kFloat) == 0);
  CHECK(*CheckedNumElements({1 << 20, 1 << 20}, DType::kFloat) == int64_t{1} << 40);
  const auto message = [](const Shape& shape) {
    const auto count = CheckedNumElements(shape, DType::kFloat);
    CHECK(count.status().kind() == ErrorKind::kModel);
    return count.status().message();
  };
  CHECK(message({2, -1}) == "negative dimension in shape [2, -1]");
  CHECK(message({int64_t{1} << 60}) == "shape [1152921504606846976] of float32 overflows");
  CHECK(message({int64_t{1} << 40, int64_t{1} << 40, 0}) ==
        "shape [1099511627776, 1099511627776, 0] overflows");
}

TEST_CASE("equality is of type, shape and bytes") {
  const Tensor a = Tensor::FromVector<float>({2}, {0.0f, kNan});
  CHECK(a == Tensor::FromVector<float>({2}, {0.0f, kNan}));  // bits, not values
  CHECK_FALSE(a == Tensor::FromVector<float>({2}, {-0.0f, kNan}));
  CHECK_FALSE(a == a.Reshaped({1, 2}));
  CHECK_FALSE(Tensor::Scalar(1.0f) == Tensor::Scalar(int32_t{0x3f800000}));
  CHECK_FALSE(a == Tensor());
  CHECK(Tensor() == Tensor());
  CHECK(Tensor::Strings({1}, {"a"}) == Tensor::Strings({1}, {"a"}));
  CHECK_FALSE(Tensor::Strings({1}, {"a"}) == Tensor::Strings({1}, {"b"}));
}

TEST_CASE("every numeric type as float") {
  CHECK(SameFloats(Tensor::FromVector<double>({2}, {0.1, -2}).ToFloat(), {0.1f, -2}));
  CHECK(SameFloats(Tensor::FromVector<int8_t>({2}, {-128, 127}).ToFloat(), {-128, 127}));
  CHECK(SameFloats(Tensor::FromVector<uint8_t>({2}, {0, 255}).ToFloat(), {0, 255}));
  CHECK(SameFloats(Tensor::FromVector<uint16_t>({1}, {65535}).ToFloat(), {65535}));
  CHECK(SameFloats(Tensor::FromVector<int64_t>({1}, {(1 << 24) + 1}).ToFloat(), {16777216}));
  CHECK(
      SameFloats(Tensor::FromVector<uint64_t>({1}, {~0ULL}).ToFloat(), {18446744073709551616.0f}));
  CHECK(SameFloats(Tensor::FromVector<bool>({2}, {true, false}).ToFloat(), {1, 0}));
  CHECK(SameFloats(Bytes(DType::kInt4, {3}, {0x8f, 0x07}).ToFloat(), {-1, -8, 7}));
  CHECK(SameFloats(Bytes(DType::kUint4, {3}, {0x8f, 0x07}).ToFloat(), {15, 8, 7}));
  CHECK(SameFloats(Bytes(DType::kInt2, {5}, {0xe4, 0x01}).ToFloat(), {0, 1, -2, -1, 1}));
  CHECK(SameFloats(Bytes(DType::kUint2, {5}, {0xe4, 0x01}).ToFloat(), {0, 1, 2, 3, 1}));
  // Tables of the OCP 8-bit and MX specifications and of ONNX's float8 page.
  CHECK(SameFloats(Bytes(DType::kFloat8E4M3FN, {6}, {0x7e, 0x01, 0x08, 0x38, 0xb8, 0x7f}).ToFloat(),
                   {448, 0x1p-9f, 0x1p-6f, 1, -1, kNan}));
  CHECK(SameFloats(Bytes(DType::kFloat8E4M3FNUZ, {4}, {0x7f, 0x01, 0x80, 0x40}).ToFloat(),
                   {240, 0x1p-10f, kNan, 1}));
  CHECK(SameFloats(Bytes(DType::kFloat8E5M2, {6}, {0x7b, 0x01, 0x7c, 0xfc, 0x7d, 0x3c}).ToFloat(),
                   {57344, 0x1p-16f, kInf, -kInf, kNan, 1}));
  CHECK(SameFloats(Bytes(DType::kFloat8E5M2FNUZ, {4}, {0x7f, 0x01, 0x80, 0x40}).ToFloat(),
                   {57344, 0x1p-17f, kNan, 1}));
  CHECK(SameFloats(Bytes(DType::kFloat8E8M0, {4}, {0x00, 0x7f, 0xfe, 0xff}).ToFloat(),
                   {0x1p-127f, 1, 0x1p127f, kNan}));
  CHECK(SameFloats(Bytes(DType::kFloat4E2M1, {8}, {0x10, 0x32, 0x54, 0xf6}).ToFloat(),
                   {0, 0.5f, 1, 1.5f, 2, 3, 4, -6}));
  CHECK(SameFloats(Bytes(DType::kFloat16, {1}, {0x00, 0xc0}).ToFloat(), {-2}));
  CHECK(SameFloats(Bytes(DType::kBfloat16, {1}, {0x00, 0xc0}).ToFloat(), {-2}));
}

TEST_CASE("integers, and floats of fewer bits") {
  CHECK(Tensor::FromVector<int32_t>({2}, {-5, 7}).ToInt64s() == std::vector<int64_t>{-5, 7});
  CHECK(Bytes(DType::kInt4, {3}, {0x8f, 0x07}).ToInt64s() == std::vector<int64_t>{-1, -8, 7});
  CHECK(Tensor::FromVector<bool>({2}, {true, false}).ToInt64s() == std::vector<int64_t>{1, 0});
  const Tensor values = Tensor::FromVector<float>({2}, {1.0f, -0.5f});
  CHECK(values.FromFloatTo(DType::kFloat16) ==
        Bytes(DType::kFloat16, {2}, {0x00, 0x3c, 0x00, 0xb8}));
  CHECK(values.FromFloatTo(DType::kBfloat16) ==
        Bytes(DType::kBfloat16, {2}, {0x80, 0x3f, 0x00, 0xbf}));
  CHECK(values.FromFloatTo(DType::kDouble) == Tensor::FromVector<double>({2}, {1.0, -0.5}));
  CHECK(values.FromFloatTo(DType::kFloat) == values);
}

TEST_CASE("mapped data whose pages were given back is read again") {
  const support::TempFolder folder;
  std::string bytes(100'000, '\0');  // many pages, the last one partly
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i % 251);
  const std::string path = folder.Write("data", bytes);
  const Tensor mapped = Tensor::Mapped(DType::kInt8, {99'936}, *MappedFile::Open(path), 16);
  const Tensor copy = Tensor::FromBytes(DType::kInt8, {99'936}, bytes.substr(16, 99'936));
  CHECK(mapped == copy);
  mapped.ReleasePages();
  CHECK(mapped == copy);
  copy.ReleasePages();  // owns its memory: nothing to give back
  CHECK(mapped == copy);
}

}  // namespace roundel
