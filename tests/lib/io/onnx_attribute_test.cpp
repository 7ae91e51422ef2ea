// Attributes of every kind, complete and odd, between file and struct.

#include <functional>
#include <limits>

#include "tests/lib/io/onnx_protos.h"
#include "tests/support/catch.h"

namespace roundel::io {

using namespace testing;

TEST_CASE("no attribute is lost between reading and writing") {
  using A = onnx::AttributeProto;
  const std::vector<std::pair<std::string, std::function<void(A*)>>> cases = {
      {"float",
       [](A* a) {
         a->set_type(A::FLOAT);
         a->set_f(-0.5f);
       }},
      {"float zero",
       [](A* a) {
         a->set_type(A::FLOAT);
         a->set_f(0);
       }},
      {"float negative zero",
       [](A* a) {
         a->set_type(A::FLOAT);
         a->set_f(-0.0f);
       }},
      {"float left out", [](A* a) { a->set_type(A::FLOAT); }},
      {"int",
       [](A* a) {
         a->set_type(A::INT);
         a->set_i(std::numeric_limits<int64_t>::min());
       }},
      {"int zero",
       [](A* a) {
         a->set_type(A::INT);
         a->set_i(0);
       }},
      {"int left out", [](A* a) { a->set_type(A::INT); }},
      {"string",
       [](A* a) {
         a->set_type(A::STRING);
         a->set_s(std::string("a\0b", 3));
       }},
      {"empty string",
       [](A* a) {
         a->set_type(A::STRING);
         a->set_s("");
       }},
      {"string left out", [](A* a) { a->set_type(A::STRING); }},
      {"floats",
       [](A* a) {
         a->set_type(A::FLOATS);
         a->add_floats(1);
         a->add_floats(2);
       }},
      {"ints",
       [](A* a) {
         a->set_type(A::INTS);
         a->add_ints(1);
         a->add_ints(-2);
       }},
      {"no ints", [](A* a) { a->set_type(A::INTS); }},
      {"strings",
       [](A* a) {
         a->set_type(A::STRINGS);
         a->add_strings("x");
         a->add_strings("");
       }},
      {"tensor",
       [](A* a) {
         a->set_type(A::TENSOR);
         a->mutable_t()->set_name("inner");
         a->mutable_t()->set_doc_string("");
         a->mutable_t()->set_data_type(7);
         a->mutable_t()->add_dims(1);
         a->mutable_t()->add_int64_data(5);
       }},
      {"scalar tensor",
       [](A* a) {
         a->set_type(A::TENSOR);
         a->mutable_t()->set_data_type(1);
         a->mutable_t()->set_raw_data("abcd");
       }},
      {"tensors",
       [](A* a) {
         a->set_type(A::TENSORS);
         for (int i = 0; i < 2; ++i) {
           auto* t = a->add_tensors();
           t->set_data_type(3);
           t->set_raw_data("x");
         }
         a->mutable_tensors(1)->set_name("second");
       }},
      {"graph",
       [](A* a) {
         a->set_type(A::GRAPH);
         a->mutable_g()->set_name("inner");
         AddRaw(a->mutable_g(), "k", 1, {}, "abcd");
         AddNode(a->mutable_g(), "Add", {"x", "k"}, {"out"});  // x: from the outer graph
         a->mutable_g()->add_output()->set_name("out");
       }},
      {"graphs",
       [](A* a) {
         a->set_type(A::GRAPHS);
         a->add_graphs()->set_name("one");
         a->add_graphs();
       }},
      {"type",
       [](A* a) {
         a->set_type(A::TYPE_PROTO);
         a->mutable_tp()->mutable_optional_type();
       }},
      {"sparse",
       [](A* a) {
         a->set_type(A::SPARSE_TENSOR);
         a->mutable_sparse_tensor()->add_dims(1);
       }},
      {"no type at all", [](A* a) { a->set_i(5); }},
      {"neither type nor value", [](A*) {}},
      {"type undefined", [](A* a) { a->set_type(A::UNDEFINED); }},
      {"a kind of the future", [](A* a) { a->mutable_unknown_fields()->AddVarint(20, 77); }},
      {"reference",
       [](A* a) {
         a->set_type(A::INT);
         a->set_ref_attr_name("r");
       }},
      {"empty reference",
       [](A* a) {
         a->set_type(A::INT);
         a->set_ref_attr_name("");
         a->set_i(1);
       }},
      {"several values",
       [](A* a) {
         a->set_type(A::INT);
         a->set_i(1);
         a->set_f(2);
         a->add_ints(3);
       }},
      {"a value of another kind only",
       [](A* a) {
         a->set_type(A::INT);
         a->set_s("text");
       }},
      {"documented",
       [](A* a) {
         a->set_type(A::INT);
         a->set_i(1);
         a->set_doc_string("why");
       }},
  };
  for (const auto& [name, fill] : cases) {
    INFO(name);
    onnx::ModelProto proto = AddModel();
    fill(AddAttribute(proto, "a"));
    fill(AddAttribute(proto, "b"));
    CheckSurvives(proto);
  }
}

}  // namespace roundel::io
