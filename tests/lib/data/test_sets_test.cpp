// ONNX test_data_set_* folders.

#include <limits>

#include "lib/base/text.h"
#include "tests/lib/data/data_test_support.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace roundel::data {
namespace {

using support::TempFolder;
using Strings = std::vector<std::string>;

std::string Varint(uint64_t value) {
  std::string out;
  for (; value >= 128; value >>= 7) out += static_cast<char>(value | 128);
  return out + static_cast<char>(value);
}

// A serialized TensorProto: dims = 1, data_type = 2, raw_data = 9 (onnx.proto).
std::string TensorProto(const Tensor& tensor) {
  std::string out;
  for (int64_t dim : tensor.shape()) out += "\x08" + Varint(static_cast<uint64_t>(dim));
  out += "\x10" + Varint(static_cast<uint64_t>(tensor.dtype()));
  const auto bytes = static_cast<size_t>(tensor.byte_size());
  return out + "\x4a" + Varint(bytes) + std::string(static_cast<const char*>(tensor.raw()), bytes);
}

Tensor Floats(const Shape& shape, float value) {
  Tensor tensor = Tensor::Zeros(DType::kFloat, shape);
  for (int64_t i = 0; i < tensor.size(); ++i) tensor.mutable_data<float>()[i] = value;
  return tensor;
}

const InputInfo kA{"a", DType::kFloat, {-1, 2}}, kB{"b", DType::kInt64, {}};

void WriteSet(const TempFolder& folder, int number, int64_t samples) {
  const std::string set = StrCat("test_data_set_", number);
  folder.Write(set + "/input_0.pb", TensorProto(Floats({samples, 2}, static_cast<float>(number))));
  folder.Write(set + "/input_1.pb", TensorProto(Tensor::Scalar<int64_t>(100 + number)));
  folder.Write(set + "/output_0.pb", "ignored");
}

}  // namespace

TEST_CASE("test sets: one batch each, in the order of their numbers") {
  const TempFolder folder;
  WriteSet(folder, 10, 1);
  WriteSet(folder, 2, 3);
  folder.Write("model.onnx", "ignored");
  DatasetFacts facts;
  auto source = Open({{"path", folder.path()}}, {kA, kB}, &facts);
  REQUIRE(source.ok());
  CHECK((*source)->size() == 4);
  CHECK(facts.samples == Strings{"test_data_set_2", "test_data_set_10"});
  for (int sweep = 0; sweep < 2; ++sweep) {
    const auto batches = Drain(source->get());
    REQUIRE(batches.ok());
    REQUIRE(batches->size() == 2);
    CHECK((*batches)[0].size == 3);
    CHECK((*batches)[0].sample_names[2] == "test_data_set_2[2]");
    CHECK((*batches)[0].inputs[0] == Floats({3, 2}, 2));
    CHECK((*batches)[0].inputs[1] == Tensor::Scalar<int64_t>(102));
    CHECK((*batches)[1].inputs[0] == Floats({1, 2}, 10));
    REQUIRE((*source)->Rewind().ok());
  }
  // The folder itself, a seeded choice, a model whose batch size is fixed.
  const auto one = Load({{"path", folder / "test_data_set_2"}}, {kA, kB});
  REQUIRE(one.ok());
  CHECK(Names(*one).size() == 3);
  CHECK(Load({{"path", folder.path()}, {"count", "1"}}, {kA, kB})->size() == 1);
  CHECK(Load({{"path", folder / "test_data_set_2"}}, {{"a", DType::kFloat, {3, 2}}, kB}).ok());
}

TEST_CASE("test sets: faults") {
  const TempFolder folder;
  WriteSet(folder, 0, 2);
  const std::string& path = folder.path();
  const auto data = ErrorKind::kData, usage = ErrorKind::kUsage;
  CheckFails({{"path", path}}, {{"a", DType::kFloat, {-1, 5}}}, data,
             "input_0.pb: tensor of shape [2, 2] does not fit model input 'a' of shape [-1, 5]");
  CheckFails({{"path", path}}, {{"a", DType::kInt64, {-1, 2}}}, data,
             "tensor of float32 cannot feed model input 'a' of int64");
  CheckFails({{"path", path}}, {kA, kB, kB}, data, "input_2.pb for model input 'b' does not exist");
  CheckFails({{"path", path}, {"labels", "prefix"}}, {kA, kB}, usage, "no labels");
  CheckFails({{"path", path}, {"names", "x"}}, {kA, kB}, usage, "'names'");
  CheckFails({{"path", path}, {"preset", "tf"}}, {kA, kB}, usage, "do not apply");
  folder.Write("test_data_set_1/input_0.pb",
               TensorProto(Floats({1, 2}, std::numeric_limits<float>::quiet_NaN())));
  CheckFails({{"path", path}}, {kA}, data, "test_data_set_1/input_0.pb: element 0 is NaN");
  folder.Write("test_data_set_1/input_0.pb", "\x4a\x7fjunk");
  CHECK_FALSE(Load({{"path", path}}, {kA}).ok());
}

}  // namespace roundel::data
