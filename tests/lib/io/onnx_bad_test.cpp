// Models that are broken, hostile, or beyond what this program knows: one clear error each.

#include <functional>

#include "lib/base/text.h"
#include "lib/io/onnx.h"
#include "tests/lib/io/onnx_protos.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace roundel::io {
namespace {

using namespace testing;
using Change = std::function<void(onnx::ModelProto&)>;

Result<graph::Model> ParseBytes(const std::string& bytes) {
  return ParseOnnx(bytes.data(), bytes.size());
}

onnx::SparseTensorProto* AddSparse(onnx::ModelProto& model, std::vector<int64_t> dims,
                                   int64_t index) {
  onnx::SparseTensorProto* sparse = model.mutable_graph()->add_sparse_initializer();
  for (const int64_t dim : dims) sparse->add_dims(dim);
  sparse->mutable_values()->set_name("s");
  sparse->mutable_values()->set_data_type(onnx::TensorProto::FLOAT);
  sparse->mutable_values()->add_dims(1);
  sparse->mutable_values()->add_float_data(1);
  sparse->mutable_indices()->set_data_type(onnx::TensorProto::INT64);
  sparse->mutable_indices()->add_dims(1);
  sparse->mutable_indices()->add_int64_data(index);
  return sparse;
}

onnx::TensorProto* W(onnx::ModelProto& model) {
  return model.mutable_graph()->mutable_initializer(0);
}

// `levels` of If nodes, each in a branch of the one above.
void Nest(onnx::GraphProto* graph, int levels) {
  for (int i = 0; i < levels; ++i) {
    auto* attribute = AddNode(graph, "If", {"x"}, {StrCat("y", i)})->add_attribute();
    attribute->set_name("then_branch");
    attribute->set_type(onnx::AttributeProto::GRAPH);
    graph = attribute->mutable_g();
  }
}

}  // namespace

TEST_CASE("broken models name what is wrong") {
  struct Case {
    Change change;
    std::string message;
  };
  using M = onnx::ModelProto;
  const std::vector<Case> cases = {
      {[](M& m) { m.clear_graph(); }, "the file holds no graph: not an ONNX model?"},
      {[](M& m) { m.clear_ir_version(); }, "the model has no IR version: not an ONNX file?"},
      {[](M& m) { m.set_ir_version(14); },
       "IR version 14 is newer than 13, the newest that is supported: export an older one"},
      {[](M& m) { m.mutable_opset_import(0)->set_version(26); },
       "opset 26 is newer than 25, the newest that is supported: export an older one"},
      {[](M& m) { m.mutable_opset_import(0)->set_version(0); },
       "opset 0 is not a version of ai.onnx"},
      {[](M& m) { m.clear_opset_import(); },
       "the model imports no ai.onnx opset, but node Add producing 'y' needs one"},
      {[](M& m) {
         *m.add_opset_import() = m.opset_import(0);
         m.mutable_opset_import(1)->set_version(14);
       },
       "the model imports opsets 13 and 14 of ai.onnx"},
      {[](M& m) {
         W(m)->set_data_type(onnx::TensorProto::BOOL);
         W(m)->set_raw_data(std::string("\1\2", 2));
       },
       "initializer 'w': a bool is neither 0 nor 1"},
      {[](M& m) { W(m)->set_raw_data("1234567"); },
       "initializer 'w': raw_data has 7 bytes where shape [2] of float32 needs 8"},
      {[](M& m) { W(m)->set_dims(0, -2); }, "initializer 'w': negative dimension in shape [-2]"},
      {[](M& m) {
         W(m)->set_dims(0, int64_t{1} << 40);
         W(m)->add_dims(int64_t{1} << 40);
       },
       "initializer 'w': shape [1099511627776, 1099511627776] overflows"},
      {[](M& m) { W(m)->set_dims(0, int64_t{1} << 60); },
       "initializer 'w': shape [1152921504606846976] of float32 overflows"},
      {[](M& m) {
         W(m)->set_dims(0, int64_t{1} << 50);
         W(m)->clear_raw_data();
       },
       "initializer 'w': float_data holds 0 values where 1125899906842624 are needed"},
      {[](M& m) {
         W(m)->clear_raw_data();
         W(m)->add_float_data(1);
       },
       "initializer 'w': float_data holds 1 values where 2 are needed"},
      {[](M& m) { W(m)->add_float_data(1); }, "initializer 'w': the tensor holds its data twice"},
      {[](M& m) { W(m)->clear_data_type(); }, "initializer 'w': the tensor has no element type"},
      {[](M& m) { W(m)->mutable_segment(); }, "initializer 'w': tensor segments are not supported"},
      {[](M& m) { W(m)->set_data_type(onnx::TensorProto::STRING); },
       "initializer 'w': strings cannot be raw data"},
      {[](M& m) {
         W(m)->set_data_type(onnx::TensorProto::STRING);
         W(m)->clear_raw_data();
       },
       "initializer 'w': string_data holds 0 values where 2 are needed"},
      {[](M& m) {
         W(m)->set_data_type(onnx::TensorProto::INT8);
         W(m)->clear_raw_data();
         W(m)->add_int32_data(1);
         W(m)->add_int32_data(256);
       },
       "initializer 'w': value 256 in int32_data does not fit the element type"},
      {[](M& m) {
         W(m)->set_data_type(onnx::TensorProto::UINT32);
         W(m)->clear_raw_data();
         W(m)->add_uint64_data(1);
         W(m)->add_uint64_data(uint64_t{1} << 32);
       },
       "initializer 'w': value 4294967296 in uint64_data does not fit the element type"},
      {[](M& m) { m.mutable_graph()->clear_initializer(); },
       "node Add producing 'y' reads 'w', which nothing produces: an initializer is missing?"},
      {[](M& m) { *m.mutable_graph()->add_initializer() = m.graph().initializer(0); },
       "two initializers are named 'w'"},
      {[](M& m) { W(m)->set_name(""); }, "an initializer has no name"},
      {[](M& m) { SetFloatType(m.mutable_graph()->add_input(), "x", {2}); },
       "two graph inputs are named 'x'"},
      {[](M& m) { AddNode(m.mutable_graph(), "Neg", {"x"}, {"y"}); },
       "value 'y' is produced twice, the second time by node Neg producing 'y'"},
      {[](M& m) { m.mutable_graph()->mutable_node(0)->set_input(0, "y"); },
       "the graph has a cycle through node Add producing 'y'"},
      {[](M& m) { m.mutable_graph()->mutable_output(0)->set_name("z"); },
       "nothing produces the graph output 'z'"},
      {[](M& m) { m.mutable_graph()->mutable_node(0)->clear_op_type(); },
       "node  producing 'y' has no operator type"},
      {[](M& m) { SetFloatType(m.mutable_graph()->mutable_input(0), "x", {-5}); },
       "value 'x' has a negative dimension, -5"},
      {[](M& m) {
         auto* attribute = m.mutable_graph()->mutable_node(0)->add_attribute();
         attribute->set_name("a");
         attribute->set_type(onnx::AttributeProto::TENSOR);
       },
       "node Add producing 'y': attribute 'a': no tensor"},
      {[](M& m) {
         auto* attribute = m.mutable_graph()->mutable_node(0)->add_attribute();
         attribute->set_name("a");
         attribute->set_type(onnx::AttributeProto::GRAPH);
       },
       "node Add producing 'y': attribute 'a': no graph"},
      {[](M& m) { AddSparse(m, {2}, 2); },
       "sparse initializer 's': an index of a sparse tensor is out of range"},
      {[](M& m) { AddSparse(m, {2}, -1); },
       "sparse initializer 's': an index of a sparse tensor is out of range"},
      {[](M& m) {
         AddSparse(m, {1 << 20, 1 << 20}, 0);
       },
       "sparse initializer 's': sparse tensor of shape [1048576, 1048576] is too large"},
      {[](M& m) {
         for (int i = 0; i < 5; ++i) AddSparse(m, {1 << 24}, 0);
       },
       "sparse initializer 's': sparse tensor of shape [16777216] is too large"},
      {[](M& m) { AddSparse(m, {2}, 0)->mutable_indices()->add_dims(1); },
       ""},  // [1, 1]: coordinates of a vector; fine
      {[](M& m) {
         AddSparse(m, {2, 1}, 0)->mutable_indices()->add_dims(1);
       },
       "sparse initializer 's': the indices of a sparse tensor do not fit its values"},
      {[](M& m) {
         W(m)->set_name("a\nb\x1b[31m" + std::string(200, 'c'));
         W(m)->set_dims(0, -1);
       },
       "initializer 'a\\x0ab\\x1b[31m" + std::string(92, 'c') +
           "...': negative dimension in shape [-1]"},
  };
  for (const Case& c : cases) {
    onnx::ModelProto proto = AddModel();
    c.change(proto);
    const auto model = Parse(proto);
    CHECK(model.status().message() == c.message);
    CHECK(model.status().kind() == (c.message.empty() ? ErrorKind::kOk : ErrorKind::kModel));
  }
}

TEST_CASE("opsets and IR versions that do load") {
  for (int version = 7; version <= 25; ++version) {
    onnx::ModelProto proto = AddModel();
    proto.mutable_opset_import(0)->set_version(version);
    CHECK(Parse(proto).ok());
  }
  for (int version = 3; version <= 13; ++version) {
    onnx::ModelProto proto = AddModel();
    proto.set_ir_version(version);
    CHECK(Parse(proto).ok());
  }
}

namespace {

// A field of bytes in protobuf's wire format.
std::string Field(int number, const std::string& bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  for (size_t size = bytes.size();; size >>= 7) {
    out.push_back(static_cast<char>((size & 0x7f) | (size >= 0x80 ? 0x80 : 0)));
    if (size < 0x80) break;
  }
  return out + bytes;
}

// ModelProto.graph = 7, GraphProto.node = 1, NodeProto.attribute = 5, AttributeProto.g = 6.
std::string NestedModel(int levels) {
  std::string graph = Field(2, "g");
  for (int i = 0; i < levels; ++i) graph = Field(1, Field(5, Field(6, graph)));
  return Field(7, graph);
}

}  // namespace

TEST_CASE("sub-graphs that are nested too deeply for protobuf are told so") {
  for (const int levels : {40, 3000}) {
    const std::string bytes = NestedModel(levels);
    CHECK(ParseOnnx(bytes.data(), bytes.size()).status().message() ==
          "sub-graphs are nested more than 32 levels deep, which protobuf does not read");
  }
  for (const int levels : {0, 1, 32}) {  // other faults of these models are told
    const std::string bytes = NestedModel(levels);
    INFO(levels);
    CHECK(ParseOnnx(bytes.data(), bytes.size()).status().message().find("nested") ==
          std::string::npos);
  }
}

TEST_CASE("files that are no models") {
  const support::TempFolder folder;
  struct Case {
    std::string path, message;
  };
  const Case cases[] = {
      {folder.Write("empty.onnx", ""), "the file is empty"},
      {folder.Write("text.onnx", "hello, I am a text file\n"),
       "not an ONNX model, or truncated: it does not parse as protobuf"},
      {folder.Write("zeros.onnx", std::string(100, '\0')),
       "not an ONNX model, or truncated: it does not parse as protobuf"},
      {folder.Write("png.onnx", "\x89PNG\r\n\x1a\n"),
       "not an ONNX model, or truncated: it does not parse as protobuf"},
      {folder.Write("other.onnx", "\x08\x08"), "the file holds no graph: not an ONNX model?"}};
  for (const Case& c : cases) {
    const auto model = ReadOnnx(c.path);
    CHECK(model.status().kind() == ErrorKind::kModel);
    CHECK(model.status().message() == StrCat("'", c.path, "': ", c.message));
  }
  CHECK(ReadOnnx(folder.path()).status().kind() == ErrorKind::kModel);
  CHECK(ReadOnnx(folder.path()).status().message() ==
        StrCat("'", folder.path(), "' is not a regular file"));
  const std::string none = folder / "none.onnx";
  CHECK(ReadOnnx(none).status().kind() == ErrorKind::kModel);
  CHECK(ReadOnnx(none).status().message() ==
        StrCat("cannot open '", none, "': No such file or directory"));
}

TEST_CASE("a model cut at any byte is an error or a checked model") {
  onnx::ModelProto proto = AddModel();
  Nest(proto.mutable_graph(), 2);
  AddSparse(proto, {4}, 1);
  auto* function = proto.add_functions();
  function->set_name("f");
  function->add_output("o");
  auto* node = function->add_node();
  node->set_op_type("Constant");
  node->add_output("o");
  node->add_attribute()->mutable_t()->set_data_type(1);
  node->mutable_attribute(0)->mutable_t()->set_raw_data("abcd");
  proto.mutable_metadata_props()->Add()->set_key("key");
  const std::string bytes = proto.SerializeAsString();
  REQUIRE(ParseBytes(bytes).ok());
  int errors = 0;
  for (size_t length = 0; length < bytes.size(); ++length) {
    // A buffer of its own, so that the sanitizer sees a read past the end.
    const std::vector<char> cut(bytes.begin(), bytes.begin() + static_cast<long>(length));
    const auto model = ParseOnnx(cut.data(), cut.size());
    if (!model.ok()) {
      CHECK(model.status().kind() == ErrorKind::kModel);
      CHECK_FALSE(model.status().message().empty());
      ++errors;
    } else {
      CHECK(SerializeOnnx(*model).ok());
    }
  }
  CHECK(errors > static_cast<int>(bytes.size()) / 2);
}

TEST_CASE("every single changed byte is an error or a checked model") {
  onnx::ModelProto proto = AddModel();
  Nest(proto.mutable_graph(), 1);
  const std::string bytes = proto.SerializeAsString();
  int accepted = 0;
  for (size_t at = 0; at < bytes.size(); ++at)
    for (const char flip : {'\x01', '\x08', '\x40', '\x80', '\xff'}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      const auto model = ParseBytes(changed);
      if (!model.ok()) {
        CHECK(model.status().kind() == ErrorKind::kModel);
        continue;
      }
      ++accepted;
      const auto written = SerializeOnnx(*model);
      REQUIRE(written.ok());
      CHECK(ParseBytes(*written).ok());
    }
  CHECK(accepted > 0);
}

TEST_CASE("deep nesting") {
  onnx::ModelProto proto = AddModel();
  Nest(proto.mutable_graph(), 30);
  CHECK(Parse(proto).ok());
  // Protobuf stops at 100 messages, which is 33 levels of graph, node and attribute.
  onnx::ModelProto deep = AddModel();
  Nest(deep.mutable_graph(), 40);
  const auto model = Parse(deep);
  CHECK(model.status().kind() == ErrorKind::kModel);
}

TEST_CASE("a note in the file is not taken for one of ours") {
  // Field 19721 is where the reader keeps its own notes.
  onnx::ModelProto proto = AddModel();
  W(proto)->mutable_unknown_fields()->AddVarint(19721, 1 << 8 | 1);
  auto* attribute = proto.mutable_graph()->mutable_node(0)->add_attribute();
  attribute->set_name("a");
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(0);
  attribute->mutable_unknown_fields()->AddVarint(19721, 2 << 8 | 3);
  const auto model = Parse(proto);
  REQUIRE(model.ok());
  onnx::ModelProto written;
  REQUIRE(written.ParseFromString(*SerializeOnnx(*model)));
  CHECK(written.graph().initializer(0).has_raw_data());
  CHECK(written.graph().node(0).attribute(0).has_i());
  CHECK(written.graph().node(0).attribute(0).has_type());
}

}  // namespace roundel::io
