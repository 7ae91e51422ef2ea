// Sequences and optionals of test data, as bytes on the wire (field numbers: onnx-data.proto).

#include "lib/io/onnx.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace roundel::io {
namespace {

using std::string_literals::operator""s;

// type { sequence_type { elem_type { tensor_type { elem_type: float } } } }
const std::string kSequence = "\x22\x06\x0a\x04\x0a\x02\x08\x01";
// type { optional_type { elem_type { sequence as above } } }
const std::string kOptional = "\x4a\x0a\x0a\x08\x22\x06\x0a\x04\x0a\x02\x08\x01";
// A tensor of two floats, 1 and 2.
const std::string kTensor = "\x08\x02\x10\x01\x4a\x08\x00\x00\x80\x3f\x00\x00\x00\x40"s;

Result<Datum> Read(const std::string& type, const std::string& bytes) {
  const support::TempFolder folder;
  const std::string path = folder.Write("input_0.pb", bytes);
  return ReadDatum(path, {.name = "x", .type_bytes = type});
}

std::string Field(char tag, const std::string& message) {
  return tag + std::string(1, static_cast<char>(message.size())) + message;
}

TEST_CASE("ReadDatum: tensors, sequences, optionals") {
  const Tensor expected = Tensor::FromVector<float>({2}, {1, 2});
  CHECK(Read("", kTensor)->tensor == expected);
  const std::string sequence = "\x10\x01" + Field('\x1a', kTensor) + Field('\x1a', kTensor);
  const auto read = Read(kSequence, sequence);
  REQUIRE(read.ok());
  REQUIRE(read->is_sequence());
  CHECK(*read->items == std::vector<Tensor>{expected, expected});
  CHECK(Read(kSequence, "\x10\x01")->items->empty());
  CHECK(Read(kOptional, "\x10\x01" + Field('\x1a', kTensor))->tensor == expected);
  CHECK(Read(kOptional, "\x10\x03" + Field('\x2a', sequence))->items->size() == 2);
  CHECK(Read(kOptional, "\x10\x00"s)->is_nothing());
}

TEST_CASE("ReadDatum: what is not a value is an error") {
  const std::string sparse = "\x10\x02", map = "\x10\x04", torn = "\x1a\x7f\x08";
  for (const std::string& type : {std::string(), kSequence, kOptional})
    for (const std::string& bytes : {std::string(), torn}) {
      const auto read = Read(type, bytes);
      REQUIRE_FALSE(read.ok());
      CHECK(read.status().kind() == ErrorKind::kData);
    }
  CHECK_FALSE(Read(kSequence, sparse).ok());
  CHECK_FALSE(Read(kOptional, map).ok());
  CHECK_FALSE(Read(kSequence, Field('\x1a', "\x08\x7f\x10\x01")).ok());  // 127 floats, none there
}

}  // namespace
}  // namespace roundel::io
