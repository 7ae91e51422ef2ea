#include "lib/targets/dynamic_operators.h"

#include <algorithm>
#include <vector>

#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Node;
using quant::Encoding;
using quant::Granularity;

// DynamicQuantizeLSTM needs both weights transposed, [directions, inputs, 4 * hidden], and one
// scale per direction, or per direction and gate row.
void AddLstmWeight(DynamicWriting& s, const std::string& value, size_t index, Node* made) {
  const Encoding& e = s.table.at(value);
  const Tensor& weight = *s.g.Constant(value);
  const Tensor codes = CodesOf(weight, e);
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
  made->inputs[index] = s.AddConstant(value + kQuantizedSuffix, turned);
  made->inputs.push_back(s.AddConstant(value + kScaleSuffix, Tensor::FromVector(shape, scales)));
  made->inputs.push_back(s.AddConstant(value + kZeroPointSuffix, zero_points));
  s.written.insert(value);
}

}  // namespace

bool WriteLstm(DynamicWriting& s, const Node& node) {
  constexpr size_t kWeights[] = {1, 2}, kOtherInputs = 8;
  for (const size_t i : kWeights) {
    const auto entry = s.table.find(node.input(i));
    const Tensor* weight = s.g.Constant(node.input(i));
    if (entry == s.table.end() || !weight || weight->rank() != 3) return false;
    const Encoding& e = entry->second;
    const bool by_row = e.granularity == Granularity::kChannel && e.axis == 1;
    if (!HasByteCodes(e) || !SameZeroPoints(e) ||
        (!by_row && e.granularity != Granularity::kTensor))
      return false;
  }
  Node made{
      .name = s.names.Fresh(node.name.empty() ? MainOutput(node) + "_quant" : node.name + "_quant"),
      .op_type = "DynamicQuantizeLSTM",
      .domain = kContribDomain,
      .inputs = node.inputs,
      .outputs = node.outputs,
      .attributes = node.attributes};
  made.RemoveAttribute("layout");
  made.inputs.resize(kOtherInputs);
  for (const size_t i : kWeights) AddLstmWeight(s, node.input(i), i, &made);
  s.made->AddNode(std::move(made));
  constexpr int64_t kVersion = 1;
  s.model.SetOpset(kContribDomain, std::max(kVersion, s.model.Opset(kContribDomain)));
  return true;
}

bool WriteAttention(DynamicWriting& s, const Node& node) {
  const std::string& value = node.input(1);
  const auto entry = s.table.find(value);
  const Tensor* weight = s.g.Constant(value);
  if (entry == s.table.end() || !weight || weight->rank() != 2) return false;
  const Encoding& e = entry->second;
  const bool by_column = e.granularity == Granularity::kChannel && e.axis == 1;
  if (!HasByteCodes(e) || (!by_column && e.granularity != Granularity::kTensor)) return false;
  const QuantizedInput& x = s.QuantizeInput(node.input(0));
  std::vector<float> scales;
  for (const quant::QParams& p : e.params) scales.push_back(p.scale);
  const Shape shape = by_column ? Shape{std::ssize(scales)} : Shape{};
  const Tensor codes = CodesOf(*weight, e);
  Node made{
      .name = s.names.Fresh(node.NameOrOutput() + "_quant"),
      .op_type = "QAttention",
      .domain = kContribDomain,
      .inputs = {x.codes, s.AddConstant(value + kQuantizedSuffix, codes), node.input(2), x.scale,
                 s.AddConstant(value + kScaleSuffix, Tensor::FromVector(shape, scales)),
                 node.input(3), x.zero_point, s.ZeroPoint(value, e, false), node.input(4)},
      .outputs = node.outputs,
      .attributes = node.attributes};
  while (made.inputs.back().empty()) made.inputs.pop_back();
  s.made->AddNode(std::move(made));
  s.written.insert(value);
  return true;
}

}  // namespace roundel::target
