// Tensors of every element type, in every field that may hold them.

#include <cstring>
#include <functional>

#include "lib/io/onnx.h"
#include "tests/lib/io/onnx_protos.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace roundel::io {

using namespace testing;
using Change = std::function<void(onnx::ModelProto&)>;

TEST_CASE("typed and raw data of every element type") {
  struct Case {
    int32_t type;
    std::function<void(onnx::TensorProto*)> fill;  // of shape [3]
    std::string bytes;                             // little endian, by hand
  };
  const std::vector<Case> cases = {
      {1,
       [](auto* t) {
         for (float v : {1.0f, -2.0f, 0.5f}) t->add_float_data(v);
       },
       std::string("\0\0\x80\x3f\0\0\0\xc0\0\0\0\x3f", 12)},
      {2,
       [](auto* t) {
         for (int v : {0, 128, 255}) t->add_int32_data(v);
       },
       std::string("\0\x80\xff", 3)},
      {3,
       [](auto* t) {
         for (int v : {0, -128, 127}) t->add_int32_data(v);
       },
       std::string("\0\x80\x7f", 3)},
      {4,
       [](auto* t) {
         for (int v : {1, 65535, 2}) t->add_int32_data(v);
       },
       std::string("\1\0\xff\xff\2\0", 6)},
      {5,
       [](auto* t) {
         for (int v : {1, -1, 2}) t->add_int32_data(v);
       },
       std::string("\1\0\xff\xff\2\0", 6)},
      {6,
       [](auto* t) {
         for (int v : {1, -1, 2}) t->add_int32_data(v);
       },
       std::string("\1\0\0\0\xff\xff\xff\xff\2\0\0\0", 12)},
      {7,
       [](auto* t) {
         for (int v : {1, -1, 2}) t->add_int64_data(v);
       },
       std::string("\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\2\0\0\0\0\0\0\0", 24)},
      {9,
       [](auto* t) {
         for (int v : {0, 1, 0}) t->add_int32_data(v);
       },
       std::string("\0\1\0", 3)},
      {10,
       [](auto* t) {
         for (int v : {0x3c00, 0xc000, 1}) t->add_int32_data(v);
       },
       std::string("\0\x3c\0\xc0\1\0", 6)},
      {11,
       [](auto* t) {
         for (double v : {1.0, 0.0, 2.0}) t->add_double_data(v);
       },
       std::string("\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40", 24)},
      {12,
       [](auto* t) {
         for (uint64_t v : {1ull, 4294967295ull, 2ull}) t->add_uint64_data(v);
       },
       std::string("\1\0\0\0\xff\xff\xff\xff\2\0\0\0", 12)},
      {13,
       [](auto* t) {
         for (uint64_t v : {1ull, ~0ull, 2ull}) t->add_uint64_data(v);
       },
       std::string("\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\2\0\0\0\0\0\0\0", 24)},
      {14,
       [](auto* t) {
         for (int i = 0; i < 6; ++i) t->add_float_data(1);
       },
       std::string("\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\x3f", 24)},
      {16,
       [](auto* t) {
         for (int v : {0x3f80, 0xc000, 1}) t->add_int32_data(v);
       },
       std::string("\x80\x3f\0\xc0\1\0", 6)},
      {17,
       [](auto* t) {
         for (int v : {1, 0x7f, 0xff}) t->add_int32_data(v);
       },
       "\1\x7f\xff"},
      {20,
       [](auto* t) {
         for (int v : {1, 0x7f, 0xff}) t->add_int32_data(v);
       },
       "\1\x7f\xff"},
      {21,
       [](auto* t) {
         for (int v : {0x21, 0x0f}) t->add_int32_data(v);
       },
       "\x21\x0f"},
      {22,
       [](auto* t) {
         for (int v : {0xfe, 0x07}) t->add_int32_data(v);
       },
       "\xfe\x07"},
      {23,
       [](auto* t) {
         for (int v : {0x21, 0x0f}) t->add_int32_data(v);
       },
       "\x21\x0f"},
      {25, [](auto* t) { t->add_int32_data(0x24); }, "\x24"},
  };
  for (const Case& c : cases) {
    INFO("element type " << c.type);
    onnx::ModelProto typed = AddModel();
    c.fill(AddTyped(typed, c.type, {3}));
    CheckSurvives(typed);
    onnx::ModelProto raw = AddModel();
    AddRaw(raw.mutable_graph(), "typed", c.type, {3}, c.bytes);
    CheckSurvives(raw);
    const auto a = Parse(typed), b = Parse(raw);
    CHECK(*a->graph->FindInitializer("typed") == *b->graph->FindInitializer("typed"));
    CHECK(std::memcmp(a->graph->FindInitializer("typed")->raw(), c.bytes.data(), c.bytes.size()) ==
          0);
  }
}

TEST_CASE("empty, string, and unknown tensors") {
  const std::vector<Change> cases = {
      [](onnx::ModelProto& m) { AddTyped(m, 1, {0}); },
      [](onnx::ModelProto& m) {
        AddTyped(m, 1, {3, 0, 4})->set_raw_data("");
      },
      [](onnx::ModelProto& m) {
        auto* t = AddTyped(m, onnx::TensorProto::STRING, {2});
        t->add_string_data("text");
        t->add_string_data(std::string("\xff\0", 2));
      },
      [](onnx::ModelProto& m) { AddTyped(m, onnx::TensorProto::STRING, {0}); },
      [](onnx::ModelProto& m) { AddTyped(m, 99, {5})->set_raw_data("packed in a new way"); },
      [](onnx::ModelProto& m) { AddTyped(m, 99, {5})->add_int32_data(3); },
  };
  for (const Change& change : cases) {
    onnx::ModelProto proto = AddModel();
    change(proto);
    CheckSurvives(proto);
  }
}

TEST_CASE("values of small types may be written as bit patterns of the other sign") {
  onnx::ModelProto proto = AddModel();
  auto* t = AddTyped(proto, onnx::TensorProto::INT8, {2});
  t->add_int32_data(255);
  t->add_int32_data(-1);
  const auto model = Parse(proto);
  REQUIRE(model.ok());
  CHECK(*model->graph->FindInitializer("typed") == Tensor::FromVector<int8_t>({2}, {-1, -1}));
}

TEST_CASE("sparse initializers read as dense values") {
  onnx::ModelProto proto = AddModel();
  for (const bool linear : {true, false}) {
    onnx::SparseTensorProto* s = proto.mutable_graph()->add_sparse_initializer();
    s->add_dims(2);
    s->add_dims(3);
    s->mutable_values()->set_name(linear ? "linear" : "coordinates");
    s->mutable_values()->set_data_type(onnx::TensorProto::INT32);
    s->mutable_values()->add_dims(2);
    s->mutable_values()->add_int32_data(7);
    s->mutable_values()->add_int32_data(8);
    s->mutable_indices()->set_data_type(onnx::TensorProto::INT64);
    s->mutable_indices()->add_dims(2);
    if (!linear) s->mutable_indices()->add_dims(2);
    const std::vector<int64_t> indices =
        linear ? std::vector<int64_t>{1, 5} : std::vector<int64_t>{0, 1, 1, 2};
    for (const int64_t index : indices) s->mutable_indices()->add_int64_data(index);
  }
  CheckSurvives(proto);
  auto model = Parse(proto);
  const Tensor expected = Tensor::FromVector<int32_t>({2, 3}, {0, 7, 0, 0, 0, 8});
  CHECK(*model->graph->FindInitializer("linear") == expected);
  CHECK(*model->graph->FindInitializer("coordinates") == expected);

  // Once changed or removed, the sparse form must not come back.
  model->graph->SetInitializer("linear", Tensor::Zeros(DType::kInt32, {2, 3}));
  model->graph->RemoveInitializer("coordinates");
  const onnx::ModelProto written = Rewritten(*model);
  CHECK(written.graph().sparse_initializer_size() == 0);
  REQUIRE(written.graph().initializer_size() == 2);
  CHECK(written.graph().initializer(1).name() == "linear");
  CHECK(written.graph().initializer(1).raw_data() == std::string(24, '\0'));
}

TEST_CASE("serialized tensors") {
  const support::TempFolder folder;
  onnx::TensorProto proto;
  proto.set_data_type(onnx::TensorProto::INT64);
  proto.add_dims(2);
  proto.add_int64_data(4);
  proto.add_int64_data(-5);
  const auto tensor = ReadTensorProto(folder.Write("input_0.pb", proto.SerializeAsString()));
  REQUIRE(tensor.ok());
  CHECK(*tensor == Tensor::FromVector<int64_t>({2}, {4, -5}));
  proto.add_dims(2);
  const std::string bad = folder.Write("bad.pb", proto.SerializeAsString());
  CHECK(ReadTensorProto(bad).status().kind() == ErrorKind::kData);
  CHECK(ReadTensorProto(bad).status().message() ==
        "'" + bad + "': int64_data holds 2 values where 4 are needed");
  CHECK(ReadTensorProto(folder.Write("empty.pb", "")).status().kind() == ErrorKind::kData);
  CHECK(ReadTensorProto(folder / "none.pb").status().kind() == ErrorKind::kData);
}

}  // namespace roundel::io
