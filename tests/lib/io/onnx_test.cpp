#include "lib/io/onnx.h"

#include <functional>

#include "tests/lib/io/onnx_protos.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace roundel::io {
namespace {

using namespace testing;
using Change = std::function<void(onnx::ModelProto&)>;

void Put(google::protobuf::UnknownFieldSet* fields, int number, const std::string& bytes) {
  fields->AddLengthDelimited(number, bytes);
}

}  // namespace

TEST_CASE("a model becomes plain structs") {
  onnx::ModelProto proto = AddModel();
  proto.set_producer_name("maker");
  auto* property = proto.add_metadata_props();
  property->set_key("k");
  property->set_value("v");
  proto.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_param("batch");
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
      {"model fields",
       [](onnx::ModelProto& m) {
         m.set_producer_name("p");
         m.set_producer_version("1");
         m.set_domain("d");
         m.set_doc_string("text");
         m.set_model_version(-7);
       }},
      {"empty, but present",
       [](onnx::ModelProto& m) {
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
      {"imports",
       [](onnx::ModelProto& m) {
         m.mutable_opset_import(0)->clear_domain();
         auto* other = m.add_opset_import();
         other->set_domain("com.microsoft");
         other->set_version(1);
         m.add_opset_import()->set_domain("empty");
         m.mutable_opset_import(2)->set_version(0);
       }},
      {"the long name of the default domain",
       [](onnx::ModelProto& m) {
         m.mutable_opset_import(0)->set_domain("ai.onnx");
         m.mutable_graph()->mutable_node(0)->set_domain("ai.onnx");
       }},
      {"metadata with and without keys",
       [](onnx::ModelProto& m) {
         m.add_metadata_props()->set_key("a");
         m.add_metadata_props()->set_value("");
         m.add_metadata_props();
         Put(m.mutable_metadata_props(2)->mutable_unknown_fields(), 9, "new");
       }},
      {"fields of newer ONNX versions",
       [](onnx::ModelProto& m) {
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
      {"shapes of all kinds",
       [](onnx::ModelProto& m) {
         auto* info = m.mutable_graph()->add_value_info();
         SetFloatType(info, "scalar", {});
         SetFloatType(m.mutable_graph()->add_value_info(), "dims", {0, 3});
         auto* shape = m.mutable_graph()
                           ->mutable_value_info(1)
                           ->mutable_type()
                           ->mutable_tensor_type()
                           ->mutable_shape();
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
         m.mutable_graph()
             ->add_value_info()
             ->mutable_type()
             ->mutable_tensor_type()
             ->mutable_shape();
         info = m.mutable_graph()->add_value_info();
         info->mutable_type()->set_denotation("IMAGE");
         info->mutable_type()->mutable_tensor_type()->set_elem_type(0);
       }},
      {"types that are no tensors",
       [](onnx::ModelProto& m) {
         auto* type = m.mutable_graph()->add_value_info()->mutable_type();
         type->mutable_sequence_type()->mutable_elem_type()->mutable_tensor_type()->set_elem_type(
             1);
         type = m.mutable_graph()->add_value_info()->mutable_type();
         type->mutable_map_type()->set_key_type(7);
         type->set_denotation("what it means");
         m.mutable_graph()->add_value_info()->mutable_type()->mutable_optional_type();
         m.mutable_graph()->add_value_info()->mutable_type()->mutable_sparse_tensor_type();
         m.mutable_graph()->add_value_info()->mutable_type()->mutable_unknown_fields()->AddVarint(
             30, 1);
       }},
      {"initializers that are inputs",
       [](onnx::ModelProto& m) { SetFloatType(m.mutable_graph()->add_input(), "w", {2}); }},
      {"annotations and training",
       [](onnx::ModelProto& m) {
         m.mutable_graph()->add_quantization_annotation()->set_tensor_name("w");
         *m.add_training_info()->mutable_algorithm() = m.graph();
       }},
      {"functions",
       [](onnx::ModelProto& m) {
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
         onnx::AttributeProto with_default;
         with_default.set_name("d");
         with_default.set_type(onnx::AttributeProto::INT);
         with_default.set_i(3);
         Put(f->mutable_unknown_fields(), 11, with_default.SerializeAsString());
         Put(f->mutable_unknown_fields(), 12, "value_info");
         Put(f->mutable_unknown_fields(), 13, "overload");
         m.add_functions()->set_domain("");
       }},
      {"sparse initializers",
       [](onnx::ModelProto& m) {
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

}  // namespace roundel::io
