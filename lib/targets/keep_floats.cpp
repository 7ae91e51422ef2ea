// Float layers between pairs, and how they stay float in ONNX Runtime.
//
//    from   DQ -> Conv(w) -> Relu -> Q          to   DQ -> Conv(w) -> Relu -> Max -> Q
//
// Its optimizer gives such a Conv, ConvTranspose or Gemm integer weights with one scale, and an
// int32 bias, even if the layer is float intentionally. It looks for the pair after the layer only
// through Relu and Clip. A Max with one input stops this search and is not removed.
//
//    from   DQ(x), DQ(w [B, K, N] per channel) -> MatMul      to   DQ(w) -> Max -> MatMul
//
// For this form it makes a QLinearMatMul, which then rejects the list of scales.

#include "lib/targets/export.h"
#include "lib/targets/graph_edit.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

constexpr const char* kMark = "keeps the node beside it in float";

class FloatKeeper {
 public:
  FloatKeeper(const QdqOptions& options, Graph* graph)
      : options_(options), g_(*graph), names_(*graph) {}

  void Run() {
    std::vector<Node*> nodes;
    for (const auto& node : g_.nodes()) nodes.push_back(node.get());
    for (Node* node : nodes) {
      if (options_.quantizes_between_pairs && IsFloatLayer(*node)) KeepLayer(*node);
      if (TakesTooManyScales(*node)) Insert(node, 1);
    }
  }

 private:
  const Node* DequantizeOf(const std::string& value) const {
    const Node* node = g_.Producer(value);
    return node && IsDequantizeNode(*node) ? node : nullptr;
  }

  // A layer on quantized input that is partly float.
  bool IsFloatLayer(const Node& node) const {
    if (!node.Is("Conv") && !node.Is("ConvTranspose") && !node.Is("Gemm")) return false;
    if (!DequantizeOf(node.input(0))) return false;
    const Tensor* bias = g_.Constant(node.input(2));
    return g_.Constant(node.input(1)) || (bias && bias->dtype() == DType::kFloat);
  }

  void KeepLayer(const Node& layer) {
    std::string value = layer.output(0);
    Node* reader = g_.OnlyConsumer(value);
    while (reader && (reader->Is("Relu") || reader->Is("Clip")) && reader->input(0) == value) {
      value = reader->output(0);
      reader = g_.OnlyConsumer(value);
    }
    if (reader && IsQuantizeNode(*reader) && reader->input(0) == value) Insert(reader, 0);
  }

  bool TakesTooManyScales(const Node& node) const {
    if (options_.matmul_channel_rank == 0 || !node.Is("MatMul")) return false;
    const Node* weight = DequantizeOf(node.input(1));
    const Tensor* codes = weight ? g_.Constant(weight->input(0)) : nullptr;
    const Tensor* scale = weight ? g_.Constant(weight->input(1)) : nullptr;
    return codes && scale && codes->rank() > options_.matmul_channel_rank && scale->size() > 1 &&
           DequantizeOf(node.input(0));
  }

  // Inserts a Max before input `index` of `reader`.
  void Insert(Node* reader, size_t index) {
    const std::string value = reader->input(index);
    const std::string kept = names_.Fresh(value + "_kept_float");
    Node max{.name = names_.Fresh(value + "_Max"),
             .op_type = "Max",
             .inputs = {value},
             .outputs = {kept},
             .doc_string = kMark};
    g_.InsertBefore(reader, std::move(max));
    g_.SetInput(reader, index, kept);
  }

  const QdqOptions& options_;
  Graph& g_;
  NameSet names_;
};

}  // namespace

void KeepFloats(const QdqOptions& options, graph::Model* model) {
  FloatKeeper(options, model->graph.get()).Run();
}

bool IsKeptFloat(const Node& node) {
  return node.Is("Max") && node.inputs.size() == 1 && node.doc_string == kMark;
}

}  // namespace roundel::target
