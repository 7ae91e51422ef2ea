// Layers that find the grid of their input at run time:
//
//   x -> DynamicQuantizeLinear -> MatMulInteger(w) -> Cast -> * (s_x * s_w) -> + bias -> y
//
// and ConvInteger alike. Scales of weights per output channel multiply behind the integer sum. Gemm
// becomes MatMulInteger over codes that are transposed where they have to be.

#include <algorithm>
#include <map>

#include "lib/base/text.h"
#include "lib/targets/export.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;
using quant::Encoding;
using quant::Granularity;

Tensor Transposed(const Tensor& codes) {
  const int64_t rows = codes.dim(0), columns = codes.dim(1);
  Tensor out = Tensor::Empty(codes.dtype(), {columns, rows});
  const auto* from = static_cast<const uint8_t*>(codes.raw());
  auto* to = static_cast<uint8_t*>(out.mutable_raw());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) to[j * rows + i] = from[i * columns + j];
  return out;
}

bool SameZeroPoints(const Encoding& e) {
  for (const quant::QParams& p : e.params)
    if (p.zero_point != e.params[0].zero_point) return false;
  return true;
}

class DynamicWriter {
 public:
  DynamicWriter(const std::vector<std::string>& layers, graph::Model* model,
                quant::EncodingTable* table)
      : layers_(layers.begin(), layers.end()),
        model_(*model),
        g_(*model->graph),
        table_(*table),
        names_(g_),
        made_(EmptyCopy(g_)) {}

  void Run() {
    for (const auto& initializer : g_.initializers()) made_->AddInitializer(initializer);
    for (const auto& node : g_.nodes())
      if (!layers_.contains(MainOutput(*node)) ||
          !(node->Is("LSTM")                        ? WriteLstm(*node)
            : node->Is("Attention", kContribDomain) ? WriteAttention(*node)
                                                    : Write(*node)))
        made_->AddNode(Node(*node));
    CopyValueInfo(g_, made_.get());
    RemoveUnusedConstants(made_.get());
    // A weight that some reader still has as floats keeps its entry.
    std::erase_if(table_, [&](const auto& entry) {
      return written_.contains(entry.first) && !made_->Constant(entry.first);
    });
    model_.graph = made_;
  }

 private:
  bool Write(const Node& node) {
    const std::string& value = node.input(1);
    const auto entry = table_.find(value);
    const Tensor* weight = g_.Constant(value);
    if (entry == table_.end() || !weight) return false;
    const Encoding& e = entry->second;
    const bool conv = node.Is("Conv");
    // ConvInteger takes one zero point; blocks have no integer sum to multiply behind.
    if (!IsInteger(e.grid.storage_type()) || BitWidth(e.grid.storage_type()) != 8 ||
        e.granularity == Granularity::kBlock || (conv && !SameZeroPoints(e)))
      return false;
    const graph::LayerSlots slots = *graph::FindLayerSlots(g_, node, weight->rank());
    if (e.granularity == Granularity::kChannel && e.axis != slots.channel_axis) return false;
    const Quantized& x = QuantizeInput(node.input(0));
    const std::string sum = WriteProduct(node, value, e, x);
    WriteScaled(node, value, e, sum, x, weight->rank());
    written_.insert(value);
    return true;
  }

  // DynamicQuantizeLSTM of com.microsoft, which takes both weights transposed, [directions, inputs,
  // 4 * hidden], and one scale per direction, or per direction and gate row.
  bool WriteLstm(const Node& node) {
    constexpr size_t kWeights[] = {1, 2}, kOtherInputs = 8;
    for (const size_t i : kWeights) {
      const auto entry = table_.find(node.input(i));
      const Tensor* weight = g_.Constant(node.input(i));
      if (entry == table_.end() || !weight || weight->rank() != 3) return false;
      const Encoding& e = entry->second;
      const bool by_row = e.granularity == Granularity::kChannel && e.axis == 1;
      if (!IsInteger(e.grid.storage_type()) || BitWidth(e.grid.storage_type()) != 8 ||
          !SameZeroPoints(e) || (!by_row && e.granularity != Granularity::kTensor))
        return false;
    }
    Node made{.name = names_.Fresh(node.name.empty() ? MainOutput(node) + "_quant"
                                                     : node.name + "_quant"),
              .op_type = "DynamicQuantizeLSTM",
              .domain = kContribDomain,
              .inputs = node.inputs,
              .outputs = node.outputs,
              .attributes = node.attributes};
    made.RemoveAttribute("layout");
    made.inputs.resize(kOtherInputs);
    for (const size_t i : kWeights) AddLstmWeight(node.input(i), i, &made);
    made_->AddNode(std::move(made));
    constexpr int64_t kVersion = 1;
    model_.SetOpset(kContribDomain, std::max(kVersion, model_.Opset(kContribDomain)));
    return true;
  }

  void AddLstmWeight(const std::string& value, size_t index, Node* made) {
    const Encoding& e = table_.at(value);
    const Tensor& weight = *g_.Constant(value);
    const Tensor codes = e.codes ? *e.codes : quant::QuantizeTensor(weight, e);
    const int64_t directions = weight.dim(0), rows = weight.dim(1), columns = weight.dim(2);
    Tensor turned = Tensor::Empty(codes.dtype(), {directions, columns, rows});
    const auto* from = static_cast<const uint8_t*>(codes.raw());
    auto* to = static_cast<uint8_t*>(turned.mutable_raw());
    for (int64_t d = 0; d < directions; ++d)
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j)
          to[(d * columns + j) * rows + i] = from[(d * rows + i) * columns + j];
    const bool by_row = e.granularity == Granularity::kChannel;
    const Shape shape = by_row ? Shape{directions, rows} : Shape{directions};
    std::vector<float> scales;
    for (int64_t i = 0; i < NumElements(shape); ++i)
      scales.push_back(e.params[static_cast<size_t>(by_row ? i % rows : 0)].scale);
    Tensor zero_points = Tensor::Empty(codes.dtype(), shape);
    std::fill_n(static_cast<uint8_t*>(zero_points.mutable_raw()), zero_points.size(),
                static_cast<uint8_t>(e.params[0].zero_point));
    made->inputs[index] = AddConstant(value + kQuantizedSuffix, turned);
    made->inputs.push_back(AddConstant(value + kScaleSuffix, Tensor::FromVector(shape, scales)));
    made->inputs.push_back(AddConstant(value + kZeroPointSuffix, zero_points));
    written_.insert(value);
  }

  // QAttention: its weight as it is, the input as codes.
  bool WriteAttention(const Node& node) {
    const std::string& value = node.input(1);
    const auto entry = table_.find(value);
    const Tensor* weight = g_.Constant(value);
    if (entry == table_.end() || !weight || weight->rank() != 2) return false;
    const Encoding& e = entry->second;
    const bool by_column = e.granularity == Granularity::kChannel && e.axis == 1;
    if (!IsInteger(e.grid.storage_type()) || BitWidth(e.grid.storage_type()) != 8 ||
        (!by_column && e.granularity != Granularity::kTensor))
      return false;
    const Quantized& x = QuantizeInput(node.input(0));
    std::vector<float> scales;
    for (const quant::QParams& p : e.params) scales.push_back(p.scale);
    const Shape shape = by_column ? Shape{std::ssize(scales)} : Shape{};
    const Tensor codes = e.codes ? *e.codes : quant::QuantizeTensor(*weight, e);
    Node made{
        .name = names_.Fresh(node.NameOrOutput() + "_quant"),
        .op_type = "QAttention",
        .domain = kContribDomain,
        .inputs = {x.codes, AddConstant(value + kQuantizedSuffix, codes), node.input(2), x.scale,
                   AddConstant(value + kScaleSuffix, Tensor::FromVector(shape, scales)),
                   node.input(3), x.zero_point, ZeroPoint(value, e, false), node.input(4)},
        .outputs = node.outputs,
        .attributes = node.attributes};
    while (made.inputs.back().empty()) made.inputs.pop_back();
    made_->AddNode(std::move(made));
    written_.insert(value);
    return true;
  }

  struct Quantized {
    std::string codes, scale, zero_point;
  };

  // One DynamicQuantizeLinear for all layers that read the value.
  const Quantized& QuantizeInput(const std::string& value) {
    const auto [known, fresh] = quantized_.try_emplace(value);
    if (!fresh) return known->second;
    known->second = {names_.Fresh(value + kQuantizedSuffix), names_.Fresh(value + kScaleSuffix),
                     names_.Fresh(value + kZeroPointSuffix)};
    made_->AddNode(
        {.name = names_.Fresh(value + kQuantizeSuffix),
         .op_type = "DynamicQuantizeLinear",
         .inputs = {value},
         .outputs = {known->second.codes, known->second.scale, known->second.zero_point}});
    return known->second;
  }

  static bool IsTransposed(const Node& node) {
    return node.Is("Gemm") && node.Int("transB", 0) != 0;
  }

  // The weight's codes as the product wants them; layers that want the same share them. A matrix
  // that others read as it lies is turned over when the model runs (runtimes fold that), since it
  // would be stored twice otherwise.
  std::string Codes(const Node& node, const std::string& value, const Encoding& e) {
    const bool transposed = IsTransposed(node);
    const auto [known, fresh] = codes_.try_emplace({value, transposed});
    if (!fresh) return known->second;
    const Tensor& weight = *g_.Constant(value);
    const auto& uses = g_.Uses(value);
    const bool alone = std::all_of(uses.begin(), uses.end(), [&](const graph::Use& use) {
      return layers_.contains(MainOutput(*use.node)) && IsTransposed(*use.node);
    });
    if (!transposed || alone) {
      const Tensor codes = e.codes ? *e.codes : quant::QuantizeTensor(weight, e);
      return known->second =
                 AddConstant(value + kQuantizedSuffix, transposed ? Transposed(codes) : codes);
    }
    const auto [plain, first] = codes_.try_emplace({value, false});
    if (first)
      plain->second = AddConstant(value + kQuantizedSuffix,
                                  e.codes ? *e.codes : quant::QuantizeTensor(weight, e));
    const std::string turned = names_.Fresh(value + "_transposed");
    Node transpose{.name = names_.Fresh(value + "_Transpose"),
                   .op_type = "Transpose",
                   .inputs = {plain->second},
                   .outputs = {turned}};
    transpose.SetAttribute("perm", std::vector<int64_t>{1, 0});
    made_->AddNode(std::move(transpose));
    return codes_[{value, true}] = turned;
  }

  std::string AddConstant(const std::string& name, const Tensor& value) {
    const std::string fresh = names_.Fresh(name);
    made_->AddInitializer({.name = fresh, .value = value});
    return fresh;
  }

  std::string ZeroPoint(const std::string& value, const Encoding& e, bool single) {
    const size_t count = single ? 1 : e.params.size();
    const Shape shape = count == 1 && (single || e.granularity == Granularity::kTensor)
                            ? Shape{}
                            : Shape{int64_t(count)};
    Tensor zero_points = Tensor::Empty(e.grid.storage_type(), shape);
    auto* to = static_cast<uint8_t*>(zero_points.mutable_raw());
    for (size_t i = 0; i < count; ++i) to[i] = static_cast<uint8_t>(e.params[i].zero_point);
    return AddConstant(value + kZeroPointSuffix, zero_points);
  }

  // The integer product, cast to float; returns its name.
  std::string WriteProduct(const Node& node, const std::string& value, const Encoding& e,
                           const Quantized& x) {
    const bool conv = node.Is("Conv");
    const std::string& output = node.output(0);
    const std::string sum = names_.Fresh(output + "_quantized_sum");
    Node product{
        .name = names_.Fresh(node.NameOrOutput() + "_quant"),
        .op_type = conv ? "ConvInteger" : "MatMulInteger",
        .inputs = {x.codes, Codes(node, value, e), x.zero_point, ZeroPoint(value, e, conv)},
        .outputs = {sum}};
    if (conv) product.attributes = node.attributes;
    made_->AddNode(std::move(product));
    const std::string cast = names_.Fresh(output + "_sum");
    Node to_float{.name = names_.Fresh(output + "_cast"),
                  .op_type = "Cast",
                  .inputs = {sum},
                  .outputs = {cast}};
    to_float.SetAttribute("to", static_cast<int64_t>(DType::kFloat));
    made_->AddNode(std::move(to_float));
    return cast;
  }

  // Scales of the weight, along the axis on which the output has its channels.
  Tensor ScaleTensor(const Node& node, const Encoding& e, int64_t rank) const {
    std::vector<float> scales;
    const float alpha = node.Is("Gemm") ? node.Float("alpha", 1) : 1.0f;
    for (const quant::QParams& p : e.params) scales.push_back(p.scale * alpha);
    Shape shape;
    if (e.granularity == Granularity::kChannel) shape = {static_cast<int64_t>(scales.size())};
    if (!shape.empty() && node.Is("Conv")) shape.insert(shape.end(), rank - 2, 1);
    return Tensor::FromVector(shape, scales);
  }

  void WriteScaled(const Node& node, const std::string& value, const Encoding& e,
                   const std::string& sum, const Quantized& x, int64_t rank) {
    const std::string& output = node.output(0);
    const std::string scale = names_.Fresh(output + "_scale");
    made_->AddNode(
        {.name = names_.Fresh(output + "_scales_mul"),
         .op_type = "Mul",
         .inputs = {x.scale, AddConstant(value + kScaleSuffix, ScaleTensor(node, e, rank))},
         .outputs = {scale}});
    const std::string bias = WriteBias(node, rank);
    const std::string product = bias.empty() ? output : names_.Fresh(output + "_product");
    made_->AddNode({.name = names_.Fresh(output + "_scale_mul"),
                    .op_type = "Mul",
                    .inputs = {sum, scale},
                    .outputs = {product}});
    if (!bias.empty())
      made_->AddNode({.name = names_.Fresh(output + "_bias_add"),
                      .op_type = "Add",
                      .inputs = {product, bias},
                      .outputs = {output}});
  }

  // The name of what is added at the end; "" if there is nothing.
  std::string WriteBias(const Node& node, int64_t rank) {
    const std::string& bias = node.input(2);
    if (node.Is("MatMul") || bias.empty()) return "";
    if (node.Is("Conv")) {
      const std::string shaped = names_.Fresh(bias + "_reshaped");
      std::vector<int64_t> shape(static_cast<size_t>(rank) - 1, 1);
      shape[0] = -1;
      made_->AddNode(
          {.name = names_.Fresh(bias + "_reshape"),
           .op_type = "Reshape",
           .inputs = {bias, AddConstant(bias + "_shape", Tensor::FromVector({rank - 1}, shape))},
           .outputs = {shaped}});
      return shaped;
    }
    const float beta = node.Float("beta", 1);
    if (beta == 1) return bias;
    const std::string scaled = names_.Fresh(bias + "_scaled");
    made_->AddNode({.name = names_.Fresh(bias + "_beta"),
                    .op_type = "Mul",
                    .inputs = {bias, AddConstant(bias + "_beta", Tensor::Scalar(beta))},
                    .outputs = {scaled}});
    return scaled;
  }

  const std::unordered_set<std::string> layers_;
  graph::Model& model_;
  const Graph& g_;
  quant::EncodingTable& table_;
  NameSet names_;
  std::shared_ptr<Graph> made_;
  std::unordered_map<std::string, Quantized> quantized_;
  std::unordered_set<std::string> written_;
  std::map<std::pair<std::string, bool>, std::string> codes_;  // (weight, transposed) -> name
};

}  // namespace

void WriteDynamic(const std::vector<std::string>& layers, graph::Model* model,
                  quant::EncodingTable* table) {
  if (layers.empty()) return;
  const auto old_graph = model->graph;  // outlives the writer, which reads from it
  DynamicWriter(layers, model, table).Run();
}

}  // namespace roundel::target
