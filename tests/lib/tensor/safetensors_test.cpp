// Oracle: bytes written by hand from the description of the format.

#include "lib/tensor/safetensors.h"

#include <string>

#include "tests/support/catch.h"

namespace roundel {
namespace {

TEST_CASE("a safetensors file has the length of its header, the header, and the elements") {
  const std::string text = SafetensorsText(
      {{"b\"", Tensor::FromVector<float>({1, 2}, {1, -2})}, {"a", Tensor::Scalar(0.5f)}});
  std::string header =
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
      "\"b\\\"\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[4,12]}}";
  while (header.size() % 8 != 0) header += ' ';
  const std::string length = {static_cast<char>(header.size()), 0, 0, 0, 0, 0, 0, 0};
  const std::string data("\0\0\0\x3f\0\0\x80\x3f\0\0\0\xc0", 12);
  CHECK(text == length + header + data);
}

}  // namespace
}  // namespace roundel
