// Models whose weights stay mapped in the file equal models read from memory, for any bytes.

#include <cstring>
#include <functional>

#include "lib/base/text.h"
#include "tests/lib/io/onnx_protos.h"  // first: says which ONNX it is

#include "lib/io/onnx_cut.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace roundel::io {
namespace {

using support::TempFolder;
using namespace testing;

std::string Floats(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

CutMessage CutOf(const std::string& bytes, int64_t cut_from = 1) {
  return CutRawData(std::as_bytes(std::span(bytes)), cut_from);
}

Result<graph::Model> ParseMapped(const TempFolder& folder, const std::string& bytes,
                                 int64_t cut_from = 1) {
  const auto file = MappedFile::Open(folder.Write("m.onnx", bytes));
  REQUIRE(file.ok());
  return ParseMappedOnnx(*file, "", cut_from);
}

// Read from a file with everything cut that can be, and read whole from memory: the same errors, or
// models that are written as the same bytes.
void CheckSame(const std::string& bytes) {
  const TempFolder folder;
  const auto whole = ParseOnnx(bytes.data(), bytes.size());
  const auto mapped = ParseMapped(folder, bytes);
  REQUIRE(mapped.ok() == whole.ok());
  CHECK(mapped.status().message() == whole.status().message());
  if (whole.ok()) CHECK(*SerializeOnnx(*mapped) == *SerializeOnnx(*whole));
}

onnx::AttributeProto* AddTensorAttribute(onnx::ModelProto& model, const std::string& raw) {
  onnx::AttributeProto* attribute = AddAttribute(model, "value");
  attribute->set_type(onnx::AttributeProto::TENSOR);
  attribute->mutable_t()->set_data_type(1);
  attribute->mutable_t()->add_dims(static_cast<int64_t>(raw.size() / 4));
  attribute->mutable_t()->set_raw_data(raw);
  return attribute;
}

// Initializers and attributes that lie at all alignments.
onnx::ModelProto ManyWeights() {
  onnx::ModelProto model = AddModel();
  onnx::GraphProto* graph = model.mutable_graph();
  for (int i = 0; i < 20; ++i) {
    const std::string name = "v" + std::string(static_cast<size_t>(i), 'x');
    AddRaw(graph, name, 1, {3}, Floats({1.0f * static_cast<float>(i), -2, 0.5f}));
    AddNode(graph, "Neg", {name}, {"n" + name});
    onnx::NodeProto* constant = AddNode(graph, "Constant", {}, {"c" + name});
    onnx::AttributeProto* value = constant->add_attribute();
    value->set_name("value");
    value->set_type(onnx::AttributeProto::TENSOR);
    value->mutable_t()->set_data_type(1);
    value->mutable_t()->add_dims(2);
    value->mutable_t()->set_raw_data(Floats({3, static_cast<float>(i)}));
  }
  return model;
}

}  // namespace

TEST_CASE("weights in the model's file are mapped, at any alignment") {
  const TempFolder folder;
  const std::string bytes = ManyWeights().SerializeAsString();
  CHECK(CutOf(bytes).cuts.size() == 41);
  const auto model = ParseMapped(folder, bytes);
  REQUIRE(model.ok());
  for (int i = 0; i < 20; ++i) {
    const std::string name = "v" + std::string(static_cast<size_t>(i), 'x');
    const Tensor *weight = model->graph->Constant(name),
                 *value = model->graph->Constant("c" + name);
    REQUIRE(weight);
    REQUIRE(value);
    CHECK(weight->mapped_file());
    CHECK(value->mapped_file());
    CHECK(*weight == Tensor::FromVector<float>({3}, {1.0f * static_cast<float>(i), -2, 0.5f}));
    CHECK(weight->data<float>()[1] == -2);
    CHECK(value->data<float>()[1] == static_cast<float>(i));
    CHECK(reinterpret_cast<uintptr_t>(weight->raw()) % 16 == 0);
  }
  // The bytes equal those that protobuf writes.
  CHECK(*SerializeOnnx(*model) == bytes);
  CHECK(*SerializeOnnx(graph::Clone(*model)) == bytes);
}

TEST_CASE("small weights are not worth a mapping") {
  const std::string bytes = AddModel().SerializeAsString();
  CHECK(CutOf(bytes, 9).cuts.empty());
  const CutMessage message = CutOf(bytes, 8);
  REQUIRE(message.cuts.size() == 1);
  CHECK(message.cuts[0].node == -1);
  CHECK(message.cuts[0].initializer == 0);
  CHECK(message.cuts[0].size == 8);
  CHECK(bytes.substr(static_cast<size_t>(message.cuts[0].offset), 8) == Floats({1, 2}));
}

TEST_CASE("the rest of a cut message is the message without its raw data") {
  onnx::ModelProto expected = ManyWeights();
  const std::string bytes = expected.SerializeAsString();
  const CutMessage message = CutOf(bytes);
  for (auto& tensor : *expected.mutable_graph()->mutable_initializer()) tensor.clear_raw_data();
  for (auto& node : *expected.mutable_graph()->mutable_node())
    for (auto& attribute : *node.mutable_attribute()) attribute.mutable_t()->clear_raw_data();
  onnx::ModelProto rest;
  REQUIRE(ParseCut(message, &rest));
  CHECK(Difference(rest, expected) == "");
}

TEST_CASE("a model written over its own file keeps its weights") {
  const TempFolder folder;
  onnx::ModelProto proto = AddModel();
  std::vector<float> values(5000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  AddRaw(proto.mutable_graph(), "large", 1, {5000}, Floats(values));
  const std::string path = folder.Write("model.onnx", proto.SerializeAsString());
  auto model = ReadOnnx(path);
  REQUIRE(model.ok());
  CHECK(model->graph->Constant("large")->mapped_file());
  CHECK_FALSE(model->graph->Constant("w")->mapped_file());
  model->graph->name = "a longer name, so that everything moves";
  for (int i = 0; i < 2; ++i) {
    REQUIRE(WriteOnnx(*model, path).ok());
    proto.mutable_graph()->set_name(model->graph->name);
    CHECK(*ReadTextFile(path) == proto.SerializeAsString());
    CHECK(*model->graph->Constant("large") == Tensor::FromVector<float>({5000}, values));
  }
}

TEST_CASE("whatever is unusual about a tensor reads as it does without a mapping") {
  using Change = std::function<void(onnx::ModelProto&)>;
  const auto weight = [](onnx::ModelProto& m) { return m.mutable_graph()->mutable_initializer(0); };
  const std::vector<std::pair<std::string, Change>> cases = {
      {"too few bytes", [&](auto& m) { weight(m)->set_raw_data("abcd"); }},
      {"too many bytes", [&](auto& m) { weight(m)->set_raw_data("abcdabcdabcd"); }},
      {"negative shape", [&](auto& m) { weight(m)->set_dims(0, -2); }},
      {"huge shape", [&](auto& m) { weight(m)->set_dims(0, INT64_MAX); }},
      {"no type", [&](auto& m) { weight(m)->clear_data_type(); }},
      {"newer type", [&](auto& m) { weight(m)->set_data_type(99); }},
      {"strings", [&](auto& m) { weight(m)->set_data_type(8); }},
      {"bad bools",
       [&](auto& m) {
         weight(m)->set_data_type(9);
         weight(m)->set_dims(0, 8);
       }},
      {"typed data, too", [&](auto& m) { weight(m)->add_float_data(1); }},
      {"segment", [&](auto& m) { weight(m)->mutable_segment()->set_begin(0); }},
      {"external", [&](auto& m) { weight(m)->set_data_location(onnx::TensorProto::EXTERNAL); }},
      {"unknown fields",
       [&](auto& m) { weight(m)->mutable_unknown_fields()->AddLengthDelimited(16, "new"); }},
      {"the location said",
       [&](auto& m) { weight(m)->set_data_location(onnx::TensorProto::DEFAULT); }},
      {"attribute",
       [&](auto& m) {
         AddTensorAttribute(m, Floats({1, 2}));
       }},
      {"attribute without type",
       [&](auto& m) { AddTensorAttribute(m, Floats({1}))->clear_type(); }},
      {"attribute of another type",
       [&](auto& m) { AddTensorAttribute(m, Floats({1}))->set_type(onnx::AttributeProto::INT); }},
      {"attribute of an unknown type",
       [&](auto& m) {
         AddTensorAttribute(m, Floats({1}))->set_type(onnx::AttributeProto::TYPE_PROTO);
       }},
      {"attribute of a function's",
       [&](auto& m) { AddTensorAttribute(m, Floats({1}))->set_ref_attr_name("alpha"); }},
      {"attribute with leftovers",
       [&](auto& m) { AddTensorAttribute(m, Floats({1}))->mutable_t()->set_name("inner"); }},
      {"sub-graph",
       [&](auto& m) {
         auto* attribute = AddAttribute(m, "body");
         attribute->set_type(onnx::AttributeProto::GRAPH);
         AddRaw(attribute->mutable_g(), "inner", 1, {1}, Floats({1}));
       }},
      {"sparse",
       [&](auto& m) {
         onnx::SparseTensorProto* s = m.mutable_graph()->add_sparse_initializer();
         s->add_dims(3);
         s->mutable_values()->set_name("sparse");
         s->mutable_values()->set_data_type(1);
         s->mutable_values()->add_dims(1);
         s->mutable_values()->set_raw_data(Floats({5}));
         s->mutable_indices()->set_data_type(7);
         s->mutable_indices()->add_dims(1);
         s->mutable_indices()->set_raw_data(std::string("\1\0\0\0\0\0\0\0", 8));
       }},
      {"no graph", [&](auto& m) { m.clear_graph(); }},
  };
  for (const auto& [name, change] : cases) {
    INFO(name);
    onnx::ModelProto proto = AddModel();
    change(proto);
    CheckSame(proto.SerializeAsString());
  }
}

TEST_CASE("bytes that can be read in two ways are left to protobuf") {
  const std::string model = AddModel().SerializeAsString();
  // Fields that occur twice are merged, the last raw data wins.
  const std::string graph_twice = std::string("\x3a\x03\x12\x01g", 5);
  const std::string group = "\x0b\x0c", group_7 = "\x3b\x3c", field_0 = std::string("\0\0", 2);
  for (const std::string& more :
       {graph_twice, group, group_7, field_0, std::string("\x38\x01"),
        std::string("\xba\x80\x00\x00", 4), std::string("\x3a\x80\x00", 3), std::string("\x3a"),
        std::string("\x3a\x05"), std::string("\xff"),
        std::string("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        std::string("\x3a\xff\xff\xff\xff\x7f"), std::string("\x3f\x00", 2),
        std::string("\x39\x01")}) {
    for (const std::string& bytes : {model + more, more + model}) {
      INFO(Printable(more));
      CHECK(CutOf(bytes).cuts.empty());
      CheckSame(bytes);
    }
  }
}

TEST_CASE("raw data that occurs twice is left to protobuf") {
  onnx::ModelProto proto = AddModel();
  std::string tensor = proto.graph().initializer(0).SerializeAsString();
  tensor += std::string("\x4a\x08", 2) + Floats({7, 8});
  proto.mutable_graph()->clear_initializer();
  proto.mutable_graph()->mutable_unknown_fields()->AddLengthDelimited(5, tensor);
  const std::string bytes = proto.SerializeAsString();
  CHECK(CutOf(bytes).cuts.empty());
  CheckSame(bytes);
  const TempFolder folder;
  CHECK(*ParseMapped(folder, bytes)->graph->Constant("w") ==
        Tensor::FromVector<float>({2}, {7, 8}));
}

TEST_CASE("models cut short or with changed bytes are read the same from file and memory") {
  const std::string bytes = [] {
    onnx::ModelProto proto = AddModel();
    AddTensorAttribute(proto, Floats({1, 2, 3}));
    return proto.SerializeAsString();
  }();
  for (size_t size = 1; size < bytes.size(); ++size) CheckSame(bytes.substr(0, size));
  for (size_t at = 0; at < bytes.size(); ++at)
    for (const int change : {1, 2, 8, 0x7f, 0x80, 0xff}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ change);
      INFO(at << " " << change);
      CheckSame(changed);
    }
}

}  // namespace roundel::io
