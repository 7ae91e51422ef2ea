#include "lib/io/onnx.h"

#include <cstring>
#include <functional>
#include <limits>

#include <catch2/catch.hpp>

#include "tests/lib/io/onnx_protos.h"
#include "tests/support/temp_folder.h"

namespace roundel::io {
namespace {

using testing::AddModel;
using testing::AddNode;
using testing::AddRaw;
using testing::Difference;
using testing::SetFloatType;
using Change = std::function<void(onnx::ModelProto&)>;

Result<graph::Model> Parse(const onnx::ModelProto& proto) {
  const std::string bytes = proto.SerializeAsString();
  return ParseOnnx(bytes.data(), bytes.size());
}

onnx::ModelProto Rewritten(const graph::Model& model) {
  const auto bytes = SerializeOnnx(model);
  REQUIRE(bytes.ok());
  onnx::ModelProto proto;
  REQUIRE(proto.ParseFromString(*bytes));
  return proto;
}

void CheckSurvives(const onnx::ModelProto& proto) {
  const auto model = Parse(proto);
  INFO(model.status().message());
  REQUIRE(model.ok());
  CHECK(Difference(proto, Rewritten(*model)) == "");
  CHECK(*SerializeOnnx(*model) == proto.SerializeAsString());  // protobuf's own order of fields
  CHECK(Difference(proto, Rewritten(graph::Clone(*model))) == "");
}

void Put(google::protobuf::UnknownFieldSet* fields, int number, const std::string& bytes) {
  fields->AddLengthDelimited(number, bytes);
}

onnx::AttributeProto* AddAttribute(onnx::ModelProto& model, const std::string& name) {
  onnx::AttributeProto* attribute = model.mutable_graph()->mutable_node(0)->add_attribute();
  attribute->set_name(name);
  return attribute;
}

onnx::TensorProto* AddTyped(onnx::ModelProto& model, int32_t type, std::vector<int64_t> dims) {
  onnx::TensorProto* tensor = model.mutable_graph()->add_initializer();
  tensor->set_name("typed");
  tensor->set_data_type(type);
  for (const int64_t dim : dims) tensor->add_dims(dim);
  return tensor;
}

}  // namespace

TEST_CASE("a model becomes plain structs") {
  onnx::ModelProto proto = AddModel();
  proto.set_producer_name("maker");
  auto* property = proto.add_metadata_props();
  property->set_key("k");
  property->set_value("v");
  proto.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()
      ->mutable_dim(0)->set_dim_param("batch");
  const auto model = Parse(proto);
  REQUIRE(model.ok());
  CHECK(model->ir_version == 8);
  CHECK(model->Opset() == 13);
  CHECK(model->producer_name == "maker");
  CHECK(model->metadata == std::vector<std::pair<std::string, std::string>>{{"k", "v"}});
  const graph::Graph& graph = *model->graph;
  CHECK(graph.name == "main");
  REQUIRE(graph.inputs.size() == 1);
  CHECK(graph.inputs[0].dtype == DType::kFloat);
  CHECK(graph.inputs[0].shape->at(0).symbol == "batch");
  CHECK(graph.outputs[0].shape->at(0).value == 2);
  REQUIRE(graph.nodes().size() == 1);
  CHECK(graph.nodes()[0]->Is("Add"));
  CHECK(graph.nodes()[0]->inputs == std::vector<std::string>{"x", "w"});
  CHECK(*graph.Constant("w") == Tensor::FromVector<float>({2}, {1, 2}));
}

TEST_CASE("nothing is lost between reading and writing") {
  const std::vector<std::pair<std::string, Change>> cases = {
      {"as it is", [](onnx::ModelProto&) {}},
      {"model fields", [](onnx::ModelProto& m) {
         m.set_producer_name("p");
         m.set_producer_version("1");
         m.set_domain("d");
         m.set_doc_string("text");
         m.set_model_version(-7);
       }},
      {"empty, but present", [](onnx::ModelProto& m) {
         m.set_producer_name("");
         m.set_doc_string("");
         m.set_model_version(0);
         m.mutable_graph()->set_name("");
         m.mutable_graph()->set_doc_string("");
         m.mutable_graph()->mutable_node(0)->set_name("");
         m.mutable_graph()->mutable_node(0)->set_domain("");
         m.mutable_graph()->mutable_node(0)->set_doc_string("");
         m.mutable_graph()->mutable_input(0)->set_doc_string("");
         m.mutable_graph()->mutable_initializer(0)->set_doc_string("");
         m.mutable_graph()->mutable_initializer(0)->set_data_location(onnx::TensorProto::DEFAULT);
       }},
      {"imports", [](onnx::ModelProto& m) {
         m.mutable_opset_import(0)->clear_domain();
         auto* other = m.add_opset_import();
         other->set_domain("com.microsoft");
         other->set_version(1);
         m.add_opset_import()->set_domain("empty");
         m.mutable_opset_import(2)->set_version(0);
       }},
      {"the long name of the default domain", [](onnx::ModelProto& m) {
         m.mutable_opset_import(0)->set_domain("ai.onnx");
         m.mutable_graph()->mutable_node(0)->set_domain("ai.onnx");
       }},
      {"metadata with and without keys", [](onnx::ModelProto& m) {
         m.add_metadata_props()->set_key("a");
         m.add_metadata_props()->set_value("");
         m.add_metadata_props();
         Put(m.mutable_metadata_props(2)->mutable_unknown_fields(), 9, "new");
       }},
      {"fields of newer ONNX versions", [](onnx::ModelProto& m) {
         onnx::GraphProto* g = m.mutable_graph();
         Put(m.mutable_unknown_fields(), 26, "device configuration");
         Put(g->mutable_unknown_fields(), 16, "metadata_props");
         Put(g->mutable_node(0)->mutable_unknown_fields(), 8, "overload");
         Put(g->mutable_node(0)->mutable_unknown_fields(), 9, "metadata_props");
         Put(g->mutable_node(0)->mutable_unknown_fields(), 10, "device_configurations");
         Put(g->mutable_initializer(0)->mutable_unknown_fields(), 16, "metadata_props");
         Put(g->mutable_input(0)->mutable_unknown_fields(), 4, "metadata_props");
         auto* shape = g->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
         Put(shape->mutable_unknown_fields(), 7, "of a shape");
         shape->mutable_dim(0)->mutable_unknown_fields()->AddVarint(8, 5);
         g->mutable_output(0)->mutable_type()->mutable_unknown_fields()->AddFixed32(15, 3);
       }},
      {"shapes of all kinds", [](onnx::ModelProto& m) {
         auto* info = m.mutable_graph()->add_value_info();
         SetFloatType(info, "scalar", {});
         SetFloatType(m.mutable_graph()->add_value_info(), "dims", {0, 3});
         auto* shape = m.mutable_graph()->mutable_value_info(1)->mutable_type()
                           ->mutable_tensor_type()->mutable_shape();
         shape->add_dim()->set_dim_param("n");
         shape->add_dim()->set_dim_param("");
         shape->add_dim();
         shape->add_dim()->set_dim_value(-1);
         shape->mutable_dim(0)->set_denotation("DATA_BATCH");
         info = m.mutable_graph()->add_value_info();
         info->set_name("no shape");
         info->mutable_type()->mutable_tensor_type()->set_elem_type(99);
         m.mutable_graph()->add_value_info()->mutable_type()->mutable_tensor_type();
         m.mutable_graph()->add_value_info()->mutable_type();
         m.mutable_graph()->add_value_info()->mutable_type()->mutable_tensor_type()
             ->mutable_shape();
         info = m.mutable_graph()->add_value_info();
         info->mutable_type()->set_denotation("IMAGE");
         info->mutable_type()->mutable_tensor_type()->set_elem_type(0);
       }},
      {"types that are no tensors", [](onnx::ModelProto& m) {
         auto* type = m.mutable_graph()->add_value_info()->mutable_type();
         type->mutable_sequence_type()->mutable_elem_type()->mutable_tensor_type()->set_elem_type(1);
         type = m.mutable_graph()->add_value_info()->mutable_type();
         type->mutable_map_type()->set_key_type(7);
         type->set_denotation("what it means");
         m.mutable_graph()->add_value_info()->mutable_type()->mutable_optional_type();
         m.mutable_graph()->add_value_info()->mutable_type()->mutable_sparse_tensor_type();
         m.mutable_graph()->add_value_info()->mutable_type()->mutable_unknown_fields()
             ->AddVarint(30, 1);
       }},
      {"initializers that are inputs", [](onnx::ModelProto& m) {
         SetFloatType(m.mutable_graph()->add_input(), "w", {2});
       }},
      {"annotations and training", [](onnx::ModelProto& m) {
         m.mutable_graph()->add_quantization_annotation()->set_tensor_name("w");
         *m.add_training_info()->mutable_algorithm() = m.graph();
       }},
      {"functions", [](onnx::ModelProto& m) {
         onnx::FunctionProto* f = m.add_functions();
         f->set_name("Twice");
         f->set_domain("local");
         f->set_doc_string("2x");
         f->add_input("a");
         f->add_output("b");
         f->add_attribute("alpha");
         f->add_opset_import()->set_version(13);
         auto* node = f->add_node();
         node->set_op_type("Add");
         node->add_input("a");
         node->add_input("a");
         node->add_output("b");
         auto* attribute = node->add_attribute();
         attribute->set_name("beta");
         attribute->set_ref_attr_name("alpha");
         attribute->set_type(onnx::AttributeProto::FLOAT);
         Put(f->mutable_unknown_fields(), 11, "attribute_proto");
         Put(f->mutable_unknown_fields(), 12, "value_info");
         Put(f->mutable_unknown_fields(), 13, "overload");
         m.add_functions()->set_domain("");
       }},
      {"sparse initializers", [](onnx::ModelProto& m) {
         onnx::SparseTensorProto* s = m.mutable_graph()->add_sparse_initializer();
         s->add_dims(3);
         s->add_dims(2);
         s->mutable_values()->set_name("sparse");
         s->mutable_values()->set_data_type(1);
         s->mutable_values()->add_dims(1);
         s->mutable_values()->add_float_data(5);
         s->mutable_indices()->set_data_type(7);
         s->mutable_indices()->add_dims(1);
         s->mutable_indices()->add_int64_data(3);
         AddNode(m.mutable_graph(), "Neg", {"sparse"}, {"z"});
       }},
  };
  for (const auto& [name, change] : cases) {
    INFO(name);
    onnx::ModelProto proto = AddModel();
    change(proto);
    CheckSurvives(proto);
  }
}

TEST_CASE("no attribute is lost between reading and writing") {
  using A = onnx::AttributeProto;
  const std::vector<std::pair<std::string, std::function<void(A*)>>> cases = {
      {"float", [](A* a) { a->set_type(A::FLOAT); a->set_f(-0.5f); }},
      {"float zero", [](A* a) { a->set_type(A::FLOAT); a->set_f(0); }},
      {"float negative zero", [](A* a) { a->set_type(A::FLOAT); a->set_f(-0.0f); }},
      {"float left out", [](A* a) { a->set_type(A::FLOAT); }},
      {"int", [](A* a) { a->set_type(A::INT); a->set_i(std::numeric_limits<int64_t>::min()); }},
      {"int zero", [](A* a) { a->set_type(A::INT); a->set_i(0); }},
      {"int left out", [](A* a) { a->set_type(A::INT); }},
      {"string", [](A* a) { a->set_type(A::STRING); a->set_s(std::string("a\0b", 3)); }},
      {"empty string", [](A* a) { a->set_type(A::STRING); a->set_s(""); }},
      {"string left out", [](A* a) { a->set_type(A::STRING); }},
      {"floats", [](A* a) { a->set_type(A::FLOATS); a->add_floats(1); a->add_floats(2); }},
      {"ints", [](A* a) { a->set_type(A::INTS); a->add_ints(1); a->add_ints(-2); }},
      {"no ints", [](A* a) { a->set_type(A::INTS); }},
      {"strings", [](A* a) { a->set_type(A::STRINGS); a->add_strings("x"); a->add_strings(""); }},
      {"tensor", [](A* a) {
         a->set_type(A::TENSOR);
         a->mutable_t()->set_name("inner");
         a->mutable_t()->set_doc_string("");
         a->mutable_t()->set_data_type(7);
         a->mutable_t()->add_dims(1);
         a->mutable_t()->add_int64_data(5);
       }},
      {"scalar tensor", [](A* a) {
         a->set_type(A::TENSOR);
         a->mutable_t()->set_data_type(1);
         a->mutable_t()->set_raw_data("abcd");
       }},
      {"tensors", [](A* a) {
         a->set_type(A::TENSORS);
         for (int i = 0; i < 2; ++i) {
           auto* t = a->add_tensors();
           t->set_data_type(3);
           t->set_raw_data("x");
         }
         a->mutable_tensors(1)->set_name("second");
       }},
      {"graph", [](A* a) {
         a->set_type(A::GRAPH);
         a->mutable_g()->set_name("inner");
         AddRaw(a->mutable_g(), "k", 1, {}, "abcd");
         AddNode(a->mutable_g(), "Add", {"x", "k"}, {"out"});  // x: from the outer graph
         a->mutable_g()->add_output()->set_name("out");
       }},
      {"graphs", [](A* a) {
         a->set_type(A::GRAPHS);
         a->add_graphs()->set_name("one");
         a->add_graphs();
       }},
      {"type", [](A* a) { a->set_type(A::TYPE_PROTO); a->mutable_tp()->mutable_optional_type(); }},
      {"sparse", [](A* a) { a->set_type(A::SPARSE_TENSOR); a->mutable_sparse_tensor()->add_dims(1); }},
      {"no type at all", [](A* a) { a->set_i(5); }},
      {"neither type nor value", [](A*) {}},
      {"type undefined", [](A* a) { a->set_type(A::UNDEFINED); }},
      {"a kind of the future", [](A* a) { a->mutable_unknown_fields()->AddVarint(20, 77); }},
      {"reference", [](A* a) { a->set_type(A::INT); a->set_ref_attr_name("r"); }},
      {"empty reference", [](A* a) { a->set_type(A::INT); a->set_ref_attr_name(""); a->set_i(1); }},
      {"several values", [](A* a) {
         a->set_type(A::INT);
         a->set_i(1);
         a->set_f(2);
         a->add_ints(3);
       }},
      {"a value of another kind only", [](A* a) { a->set_type(A::INT); a->set_s("text"); }},
      {"documented", [](A* a) { a->set_type(A::INT); a->set_i(1); a->set_doc_string("why"); }},
  };
  for (const auto& [name, fill] : cases) {
    INFO(name);
    onnx::ModelProto proto = AddModel();
    fill(AddAttribute(proto, "a"));
    fill(AddAttribute(proto, "b"));
    CheckSurvives(proto);
  }
}

TEST_CASE("typed and raw data of every element type") {
  struct Case {
    int32_t type;
    std::function<void(onnx::TensorProto*)> fill;  // of shape [3]
    std::string bytes;                             // little endian, by hand
  };
  const std::vector<Case> cases = {
      {1, [](auto* t) { for (float v : {1.0f, -2.0f, 0.5f}) t->add_float_data(v); },
       std::string("\0\0\x80\x3f\0\0\0\xc0\0\0\0\x3f", 12)},
      {2, [](auto* t) { for (int v : {0, 128, 255}) t->add_int32_data(v); }, std::string("\0\x80\xff", 3)},
      {3, [](auto* t) { for (int v : {0, -128, 127}) t->add_int32_data(v); }, std::string("\0\x80\x7f", 3)},
      {4, [](auto* t) { for (int v : {1, 65535, 2}) t->add_int32_data(v); }, std::string("\1\0\xff\xff\2\0", 6)},
      {5, [](auto* t) { for (int v : {1, -1, 2}) t->add_int32_data(v); }, std::string("\1\0\xff\xff\2\0", 6)},
      {6, [](auto* t) { for (int v : {1, -1, 2}) t->add_int32_data(v); },
       std::string("\1\0\0\0\xff\xff\xff\xff\2\0\0\0", 12)},
      {7, [](auto* t) { for (int v : {1, -1, 2}) t->add_int64_data(v); },
       std::string("\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\2\0\0\0\0\0\0\0", 24)},
      {9, [](auto* t) { for (int v : {0, 1, 0}) t->add_int32_data(v); }, std::string("\0\1\0", 3)},
      {10, [](auto* t) { for (int v : {0x3c00, 0xc000, 1}) t->add_int32_data(v); },
       std::string("\0\x3c\0\xc0\1\0", 6)},
      {11, [](auto* t) { for (double v : {1.0, 0.0, 2.0}) t->add_double_data(v); },
       std::string("\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40", 24)},
      {12, [](auto* t) { for (uint64_t v : {1ull, 4294967295ull, 2ull}) t->add_uint64_data(v); },
       std::string("\1\0\0\0\xff\xff\xff\xff\2\0\0\0", 12)},
      {13, [](auto* t) { for (uint64_t v : {1ull, ~0ull, 2ull}) t->add_uint64_data(v); },
       std::string("\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\2\0\0\0\0\0\0\0", 24)},
      {14, [](auto* t) { for (int i = 0; i < 6; ++i) t->add_float_data(1); },
       std::string("\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\x3f", 24)},
      {16, [](auto* t) { for (int v : {0x3f80, 0xc000, 1}) t->add_int32_data(v); },
       std::string("\x80\x3f\0\xc0\1\0", 6)},
      {17, [](auto* t) { for (int v : {1, 0x7f, 0xff}) t->add_int32_data(v); }, "\1\x7f\xff"},
      {20, [](auto* t) { for (int v : {1, 0x7f, 0xff}) t->add_int32_data(v); }, "\1\x7f\xff"},
      {21, [](auto* t) { for (int v : {0x21, 0x0f}) t->add_int32_data(v); }, "\x21\x0f"},
      {22, [](auto* t) { for (int v : {0xfe, 0x07}) t->add_int32_data(v); }, "\xfe\x07"},
      {23, [](auto* t) { for (int v : {0x21, 0x0f}) t->add_int32_data(v); }, "\x21\x0f"},
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
    CHECK(std::memcmp(a->graph->FindInitializer("typed")->raw(), c.bytes.data(), c.bytes.size()) == 0);
  }
}

TEST_CASE("empty, string, and unknown tensors") {
  const std::vector<Change> cases = {
      [](onnx::ModelProto& m) { AddTyped(m, 1, {0}); },
      [](onnx::ModelProto& m) { AddTyped(m, 1, {3, 0, 4})->set_raw_data(""); },
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

TEST_CASE("changes are written, and nothing stale beside them") {
  onnx::ModelProto proto = AddModel();
  auto* a = AddAttribute(proto, "a");  // several values at once, one of them the official one
  a->set_type(onnx::AttributeProto::INT);
  a->set_i(1);
  a->set_f(2);
  auto* t = AddAttribute(proto, "t");
  t->set_type(onnx::AttributeProto::TENSOR);
  t->mutable_t()->set_name("inner");
  t->mutable_t()->set_data_type(1);
  t->mutable_t()->add_float_data(1);
  AddAttribute(proto, "u")->set_type(onnx::AttributeProto::TYPE_PROTO);
  AddTyped(proto, 1, {1})->add_float_data(1);
  proto.set_producer_name("");
  auto model = Parse(proto);
  REQUIRE(model.ok());
  graph::Node* node = model->graph->nodes()[0].get();
  node->SetAttribute("a", std::vector<int64_t>{3, 4});
  node->SetAttribute("t", 0.0f);
  node->SetAttribute("u", std::string("now a string"));
  node->SetAttribute("new", int64_t{0});
  node->domain = "com.example";
  model->graph->SetInitializer("typed", Tensor::FromVector<int8_t>({2}, {1, -1}));
  model->graph->inputs[0].shape->at(0) = {.value = {}, .symbol = "n"};
  model->producer_name = "roundel";
  model->SetOpset("", 21);
  model->SetMetadata("k", "v");

  const onnx::ModelProto written = Rewritten(*model);
  const onnx::NodeProto& n = written.graph().node(0);
  CHECK(n.domain() == "com.example");
  CHECK(n.attribute(0).type() == onnx::AttributeProto::INTS);
  CHECK(n.attribute(0).ints_size() == 2);
  CHECK_FALSE(n.attribute(0).has_i());
  CHECK_FALSE(n.attribute(0).has_f());
  CHECK(n.attribute(1).type() == onnx::AttributeProto::FLOAT);
  CHECK(n.attribute(1).has_f());
  CHECK_FALSE(n.attribute(1).has_t());
  CHECK(n.attribute(2).s() == "now a string");
  CHECK(n.attribute(2).type() == onnx::AttributeProto::STRING);
  CHECK(n.attribute(3).has_i());
  CHECK(n.attribute(3).type() == onnx::AttributeProto::INT);
  CHECK(written.graph().initializer(1).float_data_size() == 0);
  CHECK(written.graph().initializer(1).raw_data() == "\x01\xff");
  CHECK(written.graph().initializer(1).data_type() == onnx::TensorProto::INT8);
  CHECK(written.graph().input(0).type().tensor_type().shape().dim(0).dim_param() == "n");
  CHECK(written.producer_name() == "roundel");
  CHECK(written.opset_import(0).version() == 21);
  CHECK(written.opset_import(0).has_domain());
  CHECK(written.metadata_props(0).value() == "v");
}

TEST_CASE("a model made in memory is written in full") {
  graph::Model model;
  model.opset_imports = {{"", 17}};
  model.graph->name = "made";
  model.graph->inputs.push_back({.name = "x", .dtype = DType::kFloat});
  model.graph->outputs.push_back({.name = "y", .dtype = DType::kFloat, .shape = {{{.value = 2}}}});
  model.graph->SetInitializer("w", Tensor::FromVector<float>({2}, {1, 2}));
  model.graph->AddNode({.op_type = "Gather", .inputs = {"w", "x"}, .outputs = {"y"}})
      ->SetAttribute("axis", int64_t{0});
  const onnx::ModelProto proto = Rewritten(model);
  CHECK(proto.ir_version() == 8);
  CHECK(proto.opset_import(0).version() == 17);
  CHECK(proto.graph().input(0).type().tensor_type().elem_type() == 1);
  CHECK_FALSE(proto.graph().input(0).type().tensor_type().has_shape());
  CHECK(proto.graph().output(0).type().tensor_type().shape().dim(0).dim_value() == 2);
  CHECK(proto.graph().initializer(0).dims(0) == 2);
  CHECK(proto.graph().initializer(0).raw_data().size() == 8);
  CHECK(proto.graph().node(0).attribute(0).has_i());
  CheckSurvives(proto);
}

TEST_CASE("files are written whole and read back") {
  const support::TempFolder folder;
  const std::string path = folder / "model.onnx";
  const onnx::ModelProto proto = AddModel();
  const auto model = Parse(proto);
  REQUIRE(WriteOnnx(*model, path).ok());
  CHECK(*ReadTextFile(path) == proto.SerializeAsString());
  CHECK(ReadOnnx(path).ok());
  CHECK_FALSE(FileExists(path + ".data"));
  CHECK(WriteOnnx(*model, folder.path()).kind() == ErrorKind::kUsage);  // a folder
  CHECK(WriteOnnx(*model, folder / "none/model.onnx").kind() == ErrorKind::kUsage);
}

TEST_CASE("nodes out of order are sorted while reading") {
  onnx::ModelProto proto = AddModel();
  AddNode(proto.mutable_graph(), "Neg", {"late"}, {"z"});
  AddNode(proto.mutable_graph(), "Neg", {"x"}, {"late"});
  const auto model = Parse(proto);
  REQUIRE(model.ok());
  CHECK(model->graph->nodes()[1]->output(0) == "late");
  CHECK(model->graph->nodes()[2]->output(0) == "z");
}

TEST_CASE("serialised tensors") {
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
  CHECK(ReadTensorProto(folder / "none.pb").status().kind() == ErrorKind::kUsage);
}

}  // namespace roundel::io
