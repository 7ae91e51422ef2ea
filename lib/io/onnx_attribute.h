#pragma once
// AttributeProto <-> Attribute, and the functions shared with the reader and the writer of graphs,
// because attributes contain graphs and graphs contain attributes.

#include <cstdint>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/io/onnx_message.h"
#include "lib/io/onnx_tensor.h"

namespace roundel::io {

struct ReadContext {
  TensorFiles files;
  int64_t sparse_budget;  // remaining bytes for expanded sparse initializers
};

// onnx_attribute.cpp
Result<graph::Attribute> TakeAttribute(onnx::AttributeProto* proto, ReadContext* context);
void PutAttribute(const graph::Attribute& attribute, onnx::AttributeProto* proto);

// onnx_read.cpp
Status TakeGraph(onnx::GraphProto* proto, ReadContext* context, graph::Graph* graph);

// onnx_write.cpp: the whole graph, weights included
void PutGraph(const graph::Graph& graph, onnx::GraphProto* proto);

}  // namespace roundel::io
