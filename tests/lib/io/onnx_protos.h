#pragma once
// ONNX messages for tests of the reader and the writer, which know protobuf on purpose: files are
// compared field by field.

#ifndef ONNX_ML
#define ONNX_ML 1
#endif
#ifndef ONNX_NAMESPACE
#define ONNX_NAMESPACE onnx
#endif
#include <google/protobuf/util/message_differencer.h>
#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

#include "lib/io/onnx.h"
#include "tests/support/catch.h"

namespace roundel::io::testing {

inline onnx::NodeProto* AddNode(onnx::GraphProto* graph, const std::string& type,
                                const std::vector<std::string>& inputs,
                                const std::vector<std::string>& outputs) {
  onnx::NodeProto* node = graph->add_node();
  node->set_op_type(type);
  for (const std::string& input : inputs) node->add_input(input);
  for (const std::string& output : outputs) node->add_output(output);
  return node;
}

inline void SetFloatType(onnx::ValueInfoProto* info, const std::string& name,
                         const std::vector<int64_t>& dims) {
  info->set_name(name);
  auto* tensor = info->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(onnx::TensorProto::FLOAT);
  for (const int64_t dim : dims) tensor->mutable_shape()->add_dim()->set_dim_value(dim);
  tensor->mutable_shape();
}

inline onnx::TensorProto* AddRaw(onnx::GraphProto* graph, const std::string& name, int32_t type,
                                 const std::vector<int64_t>& dims, const std::string& bytes) {
  onnx::TensorProto* tensor = graph->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(type);
  for (const int64_t dim : dims) tensor->add_dims(dim);
  tensor->set_raw_data(bytes);
  return tensor;
}

// y = x + w, float[2].
inline onnx::ModelProto AddModel() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  auto* import = model.add_opset_import();
  import->set_domain("");
  import->set_version(13);
  onnx::GraphProto* graph = model.mutable_graph();
  graph->set_name("main");
  SetFloatType(graph->add_input(), "x", {2});
  SetFloatType(graph->add_output(), "y", {2});
  AddRaw(graph, "w", onnx::TensorProto::FLOAT, {2}, std::string("\0\0\x80\x3f\0\0\0\x40", 8));
  AddNode(graph, "Add", {"x", "w"}, {"y"});
  return model;
}

// "" if equal, unknown fields included; otherwise what differs.
inline std::string Difference(const onnx::ModelProto& a, const onnx::ModelProto& b) {
  google::protobuf::util::MessageDifferencer differencer;
  std::string report;
  differencer.ReportDifferencesToString(&report);
  return differencer.Compare(a, b) ? "" : "differs: " + report;
}

inline onnx::AttributeProto* AddAttribute(onnx::ModelProto& model, const std::string& name) {
  onnx::AttributeProto* attribute = model.mutable_graph()->mutable_node(0)->add_attribute();
  attribute->set_name(name);
  return attribute;
}

// An initializer `typed` without data yet.
inline onnx::TensorProto* AddTyped(onnx::ModelProto& model, int32_t type,
                                   std::vector<int64_t> dims) {
  onnx::TensorProto* tensor = model.mutable_graph()->add_initializer();
  tensor->set_name("typed");
  tensor->set_data_type(type);
  for (const int64_t dim : dims) tensor->add_dims(dim);
  return tensor;
}

inline Result<graph::Model> Parse(const onnx::ModelProto& proto) {
  const std::string bytes = proto.SerializeAsString();
  return ParseOnnx(bytes.data(), bytes.size());
}

inline onnx::ModelProto Rewritten(const graph::Model& model) {
  const auto bytes = SerializeOnnx(model);
  REQUIRE(bytes.ok());
  onnx::ModelProto proto;
  REQUIRE(proto.ParseFromString(*bytes));
  return proto;
}

// Reading and writing gives the same message, and the bytes that protobuf itself would write.
inline void CheckSurvives(const onnx::ModelProto& proto) {
  const auto model = Parse(proto);
  INFO(model.status().message());
  REQUIRE(model.ok());
  CHECK(Difference(proto, Rewritten(*model)) == "");
  CHECK(*SerializeOnnx(*model) == proto.SerializeAsString());  // protobuf's own order of fields
  CHECK(Difference(proto, Rewritten(graph::Clone(*model))) == "");
}

}  // namespace roundel::io::testing
