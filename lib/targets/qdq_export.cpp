// Float graph + encodings -> QDQ:
//
//   from   x -> Conv(w, b) -> Relu -> y
//   to     x -> Q -> DQ -> Conv(DQ(w_quantized), DQ(b_quantized)) -> Q -> DQ -> y
//
// with the names of ONNX Runtime's quantizer. 16-bit floats have no codes: there a pair of Casts stands
// for Q and DQ. Scales that are codes (NVFP4) have a DequantizeLinear of their own. The float graph is rebuilt node by node; nothing else
// of it changes, and its inputs and outputs keep name, shape and type.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <unordered_set>

#include "lib/base/text.h"
#include "lib/graph/opset.h"
#include "lib/quant/coded_scales.h"
#include "lib/quant/float_grid.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/grid_name.h"
#include "lib/targets/op_facts.h"
#include "lib/targets/qdq.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Model;
using graph::Node;
using quant::Encoding;
using quant::Granularity;
using quant::Role;

// ---- does the table fit the model, and which opset does it need

bool FillsStorage(const quant::Grid& grid) {
  return grid.bits == BitWidth(grid.storage_type()) && !(grid.symmetric && grid.narrow_range);
}

Status CheckParams(const Encoding& e) {
  for (const quant::QParams& p : e.params) {
    const float size = e.grid.scales == quant::ScaleKind::kSigned ? std::fabs(p.scale) : p.scale;
    if (!(std::isfinite(size) && size > 0))
      return ModelError(StrCat("scale ", p.scale, " is not a positive number"));
    const bool inside = e.grid.is_float()
                            ? p.zero_point == 0
                            : p.zero_point >= e.grid.qmin() && p.zero_point <= e.grid.qmax();
    if (!inside)
      return ModelError(StrCat("zero point ", p.zero_point, " lies outside of ", e.grid.Name()));
  }
  return OkStatus();
}

Status CheckConstant(const Encoding& e, const Tensor& value) {
  if (value.dtype() != DType::kFloat)
    return ModelError(StrCat("is ", DTypeName(value.dtype()), "; only float32 is quantized"));
  // The bound keeps sums of a dimension and a block size inside int64.
  if (e.block_size > INT32_MAX) return ModelError(StrCat("block size ", e.block_size));
  RETURN_IF_ERROR(quant::CheckEncoding(e, value.shape()));
  if (e.codes && e.codes->shape() != value.shape())
    return ModelError(StrCat("codes have shape ", ShapeString(e.codes->shape()), ", the value ",
                             ShapeString(value.shape())));
  return OkStatus();
}

Status CheckActivation(const Encoding& e) {
  if (e.granularity == Granularity::kBlock || e.params.empty() ||
      (e.granularity == Granularity::kTensor && e.params.size() != 1))
    return ModelError("an activation takes one scale, or one per channel");
  // QuantizeLinear saturates at the ends of its type; a Clip does where the grid ends earlier, with
  // one pair of bounds.
  const bool clipped = e.grid.kind == quant::GridKind::kInteger && !e.grid.narrow_range &&
                       e.granularity == Granularity::kTensor;
  if (!FillsStorage(e.grid) && !clipped)
    return UsageError(StrCat("an activation cannot be exported as ", e.grid.Name(),
                             "; use the full range and one scale"));
  return OkStatus();
}

Status CheckTable(const Graph& g, const quant::EncodingTable& table) {
  for (const auto& [name, e] : table) {
    const std::string where = StrCat("encoding of '", name, "'");
    const Tensor* constant = g.Constant(name);
    if (!constant && !g.Producer(name) && !g.IsInput(name))
      return ModelError(StrCat(where, ": the model has no such value"));
    RETURN_IF_ERROR((constant ? CheckConstant(e, *constant) : CheckActivation(e)).At(where));
    RETURN_IF_ERROR(CheckParams(e).At(where));
  }
  return OkStatus();
}

// Whether the scales are written in their own type. Settled by SettleScales, they all are powers.
bool HasPowerScales(const Encoding& e, const QdqOptions& options) {
  return options.e8m0_scales && e.grid.scales == quant::ScaleKind::kPowerOfTwo &&
         std::all_of(e.params.begin(), e.params.end(), [](const quant::QParams& p) {
           return p.scale == std::ldexp(1.0f, std::ilogb(p.scale));
         });
}

struct OpsetNeed {
  int64_t version = 10;
  std::string why = "QuantizeLinear";
  bool contrib_works = true;  // com.microsoft Q/DQ can express it too
};

// The type of a value's codes: wider than the grid needs, if `least_bits` says so, and 4 bits for
// weights of 2 that meet quantized activations: runtimes take such layers for integer kernels, which
// do not have the type.
DType StorageType(const Graph& g, const quant::EncodingTable& table, const std::string& value,
                  const Encoding& e, int least_bits) {
  const DType type = e.grid.storage_type();
  if (BitWidth(type) > 2 || !g.Constant(value)) return type;
  for (const graph::Use& use : g.Uses(value))
    if (use.index > 0 && table.contains(use.node->input(0))) least_bits = std::max(least_bits, 4);
  return least_bits <= 2   ? type
         : least_bits <= 4 ? (e.grid.is_signed ? DType::kInt4 : DType::kUint4)
                           : (e.grid.is_signed ? DType::kInt8 : DType::kUint8);
}

// The table of gates is that of the QuantizeLinear and DequantizeLinear specifications.
OpsetNeed NeededOpset(const Graph& g, const quant::EncodingTable& table, const QdqOptions& options,
                      int least_bits) {
  OpsetNeed need;
  const auto raise = [&need](int64_t version, const std::string& why) {
    if (version <= need.version) return;
    need.version = version;
    need.why = why;
  };
  for (const auto& [name, e] : table) {
    const DType type = StorageType(g, table, name, e, least_bits);
    const int width = BitWidth(type);
    constexpr int64_t kClipWithInputs = 11;
    if (!g.Constant(name) && !FillsStorage(e.grid)) raise(kClipWithInputs, "Clip with bounds");
    if (e.granularity == Granularity::kChannel) raise(13, "per-channel scales");
    raise(QuantizeOpset(type), DTypeName(type) + " quantization");
    if (HasPowerScales(e, options)) raise(QuantizeOpset(DType::kFloat8E8M0), "float8e8m0 scales");
    if (e.granularity == Granularity::kBlock) raise(21, "block-wise scales");
    need.contrib_works &= e.granularity != Granularity::kBlock && width != 2 && !e.grid.is_float();
  }
  return need;
}

// ---- the rebuilt graph

// Zero points in their storage type.
Tensor IntegerTensor(const std::vector<int32_t>& values, const Shape& shape, DType type) {
  const auto as = [&]<typename T>(T) {
    return Tensor::FromVector(shape, std::vector<T>(values.begin(), values.end()));
  };
  switch (type) {
    case DType::kInt32: return as(int32_t{});
    case DType::kInt16: return as(int16_t{});
    case DType::kUint16: return as(uint16_t{});
    case DType::kInt8:
    case DType::kInt4:
    case DType::kInt2: return quant::PackCodes(as(int8_t{}), type);
    default: return quant::PackCodes(as(uint8_t{}), type);
  }
}

// float8e8m0: the biased exponent of each power of two.
Tensor PowersOfTwo(const std::vector<float>& powers, const Shape& shape) {
  constexpr int kBias = 127;
  Tensor codes = Tensor::Empty(DType::kFloat8E8M0, shape);
  auto* to = static_cast<uint8_t*>(codes.mutable_raw());
  for (const float power : powers) *to++ = static_cast<uint8_t>(std::ilogb(power) + kBias);
  return codes;
}

// What the model's opset makes of the table.
struct TypeChoice {
  bool contrib = false;  // Q and DQ are com.microsoft's
  int least_bits = 2;    // of stored codes
};

class Exporter {
 public:
  Exporter(Model* model, const quant::EncodingTable& table, const QdqOptions& options,
           const TypeChoice& types)
      : model_(*model),
        g_(*model->graph),
        table_(table),
        options_(options),
        names_(g_),
        domain_(types.contrib ? kContribDomain : ""),
        least_bits_(types.least_bits),
        out_(EmptyCopy(g_)) {}

  void Run() {
    if (options_.absorb_relu) FindAbsorbed();
    NameValues();
    OrderConstants();
    for (const auto& initializer : g_.initializers())
      if (!IsReplacedConstant(initializer.name)) out_->AddInitializer(initializer);
    for (const auto& input : g_.inputs) AddPair(input.name);
    for (const auto& node : g_.nodes()) CopyNode(*node);
    CopyValueInfo(g_, out_.get());
    RemoveUnusedConstants(out_.get());
    model_.graph = out_;
  }

 private:
  const Encoding* Find(const std::string& value) const {
    const auto it = table_.find(value);
    return it == table_.end() ? nullptr : &it->second;
  }
  bool IsUsed(const std::string& value) const {
    return !g_.Uses(value).empty() || g_.IsOutput(value);
  }
  // A constant that its consumers read through a DequantizeLinear.
  bool IsReplacedConstant(const std::string& value) const {
    return Find(value) && g_.Constant(value) && !g_.IsOutput(value);
  }

  // Whether the grid clamps to [low, high] by itself.
  static bool ClampsAlike(const Encoding& e, const Clamp& clamp) {
    if (!e.grid.is_uniform()) return false;
    return std::all_of(e.params.begin(), e.params.end(), [&](const quant::QParams& p) {
      const int32_t qmin = e.grid.qmin(), qmax = e.grid.qmax();
      return quant::Quantize(clamp.low, p, qmin, qmax) == qmin &&
             quant::Quantize(clamp.high, p, qmin, qmax) == qmax;
    });
  }

  // Clamps in front of a quantizer that repeats them: their producer writes their output itself.
  void FindAbsorbed() {
    for (const auto& [value, e] : table_) {
      for (const Node* node = g_.Producer(value); node;) {
        const auto clamp = FindClamp(g_, *node);
        const std::string& input = node->input(MinDataInput(g_, *node).value_or(0));
        const Node* before = g_.Producer(input);
        // An input on the same grid is clamped by its own quantizer already.
        const auto own = table_.find(input);
        const bool free =
            own == table_.end() || (own->second.grid == e.grid && own->second.params == e.params);
        const bool alone = before && g_.OnlyConsumer(input) == node && free && !g_.IsInput(input);
        if (!clamp || !alone || !ClampsAlike(e, *clamp)) break;
        dropped_.insert(node);
        absorbed_into_[input] = value;
        node = before;
      }
    }
  }

  void NameValues() {
    for (const auto& [value, e] : table_) {
      if (!IsUsed(value)) continue;
      if (g_.Constant(value)) {
        if (e.role == Role::kBias && !g_.IsOutput(value)) continue;  // DQ writes the old name
        reads_[value] = names_.Fresh(value + kDequantizeOutputSuffix);
      } else if (g_.IsOutput(value) && !g_.IsInput(value)) {
        writes_[value] = names_.Fresh(value + kQuantizeInputSuffix);
      } else {
        reads_[value] = names_.Fresh(value + kDequantizeOutputSuffix);
      }
    }
  }

  // The name that consumers of an encoded value read.
  std::string ReadName(const std::string& value) const {
    const auto it = reads_.find(value);
    return it == reads_.end() ? value : it->second;
  }
  // The encoded value that takes the place of one in front of dropped clamps.
  const std::string& Target(const std::string& value) const {
    const std::string* target = &value;
    for (auto it = absorbed_into_.find(value); it != absorbed_into_.end();
         it = absorbed_into_.find(*target))
      target = &it->second;
    return *target;
  }
  // The name under which its producer writes a value.
  std::string WriteName(const std::string& value) const {
    const std::string& target = Target(value);
    const auto it = writes_.find(target);
    return it == writes_.end() ? target : it->second;
  }

  // Weights are dequantized right in front of their first consumer.
  void OrderConstants() {
    std::unordered_map<const Node*, size_t> order;
    for (const auto& node : g_.nodes()) order.emplace(node.get(), order.size());
    for (const auto& [value, e] : table_) {
      const std::vector<graph::Use>& uses = g_.Uses(value);
      if (!g_.Constant(value) || uses.empty()) continue;
      const auto first = std::min_element(
          uses.begin(), uses.end(),
          [&](const auto& a, const auto& b) { return order.at(a.node) < order.at(b.node); });
      constants_before_[first->node].push_back(value);
    }
  }

  void CopyNode(const Node& node) {
    for (const std::string& value : constants_before_[&node]) AddConstant(value);
    if (dropped_.contains(&node)) return;
    if (node.Is("Constant") && IsReplacedConstant(node.output(0))) return;
    Node copy = node;
    RenameReads(reads_, &copy);
    for (std::string& output : copy.outputs)
      if (!output.empty()) output = WriteName(output);
    out_->AddNode(std::move(copy));
    for (const std::string& output : node.outputs) AddPair(Target(output));
  }

  // Scale and zero point initializers; returns their names.
  std::pair<std::string, std::string> AddParams(const std::string& base, const Encoding& e,
                                                DType type, const Shape& value_shape) {
    const Shape shape = e.granularity == Granularity::kChannel
                            ? Shape{static_cast<int64_t>(e.params.size())}
                            : quant::ScaleShape(e, value_shape);
    std::vector<float> scales;
    std::vector<int32_t> zero_points;
    for (const quant::QParams& p : e.params) {
      scales.push_back(p.scale);
      zero_points.push_back(p.zero_point);
    }
    const std::string scale = names_.Fresh(base + kScaleSuffix);
    const std::string zero_point = names_.Fresh(base + kZeroPointSuffix);
    if (!AddCodedScales(scale, e, value_shape))
      out_->AddInitializer({.name = scale, .value = Tensor::FromVector(shape, scales)});
    out_->AddInitializer({.name = zero_point,
                          .value = e.grid.is_float() ? Tensor::Zeros(type, shape)
                                                     : IntegerTensor(zero_points, shape, type)});
    return {scale, zero_point};
  }

  // Scales in float8, and one float that they are multiples of, or in float8e8m0; false: as floats.
  bool AddCodedScales(const std::string& scale, const Encoding& e, const Shape& value_shape) {
    const bool powers = HasPowerScales(e, options_);
    if (e.grid.scales != quant::ScaleKind::kFloat8 && !powers) return false;
    const auto found = quant::FindScaleCodes(value_shape, e);
    if (!found) return false;
    if (powers) {
      out_->AddInitializer(
          {.name = scale, .value = PowersOfTwo(found->codes, quant::ScaleShape(e, value_shape))});
      return true;
    }
    constexpr DType kType = DType::kFloat8E4M3FN;
    Tensor codes = Tensor::Empty(kType, quant::ScaleShape(e, value_shape));
    quant::EncodeFloats(found->codes.data(), codes.size(), 1.0f, quant::GridKind::kFloat8E4M3FN,
                        codes.mutable_raw());
    const std::string quantized = names_.Fresh(scale + kQuantizedSuffix);
    const std::string unit = names_.Fresh(scale + kScaleSuffix);
    const std::string zero_point = names_.Fresh(scale + kZeroPointSuffix);
    out_->AddInitializer({.name = quantized, .value = codes});
    out_->AddInitializer({.name = unit, .value = Tensor::Scalar(found->units[0])});
    out_->AddInitializer({.name = zero_point, .value = Tensor::Zeros(kType, {})});
    out_->AddNode({.name = names_.Fresh(scale + kDequantizeSuffix),
                   .op_type = "DequantizeLinear",
                   .inputs = {quantized, unit, zero_point},
                   .outputs = {scale}});
    return true;
  }

  // 16-bit floats: `from` rounded to them, as float32 again.
  void AddCast(const std::string& value, const std::string& from, const std::string& to,
               DType type) {
    Node node{.name = names_.Fresh(value + "_Cast"),
              .op_type = "Cast",
              .inputs = {from},
              .outputs = {to}};
    node.SetAttribute("to", static_cast<int64_t>(type));
    out_->AddNode(std::move(node));
  }

  Node MakeNode(const std::string& value, const char* op_type, const char* name_suffix,
                std::vector<std::string> inputs, const std::string& output, const Encoding& e) {
    Node node{.name = names_.Fresh(value + name_suffix),
              .op_type = op_type,
              .domain = domain_,
              .inputs = std::move(inputs),
              .outputs = {output}};
    if (e.granularity != Granularity::kTensor) node.SetAttribute("axis", e.axis);
    if (e.granularity == Granularity::kBlock) node.SetAttribute("block_size", e.block_size);
    return node;
  }

  void AddDequantize(const std::string& value, std::vector<std::string> inputs,
                     const std::string& output, const Encoding& e) {
    Node node =
        MakeNode(value, "DequantizeLinear", kDequantizeSuffix, std::move(inputs), output, e);
    // The storage type does not tell narrow or odd-width grids; import reads them here.
    node.doc_string = e.grid.Name();
    if (HasPowerScales(e, options_))
      node.SetAttribute("output_dtype", static_cast<int64_t>(DType::kFloat));
    out_->AddNode(std::move(node));
  }

  // The value within the ends of a grid that does not fill its type; its name.
  std::string AddClip(const std::string& value, const Encoding& e) {
    Node node{.name = names_.Fresh(value + "_Clip"),
              .op_type = "Clip",
              .inputs = {WriteName(value)},
              .outputs = {names_.Fresh(value + "_Clip_Output")}};
    for (const int32_t code : {e.grid.qmin(), e.grid.qmax()}) {
      const std::string bound = names_.Fresh(value + "_bound");
      out_->AddInitializer(
          {.name = bound, .value = Tensor::Scalar(quant::Dequantize(code, e.params[0]))});
      node.inputs.push_back(bound);
    }
    const std::string output = node.outputs[0];
    out_->AddNode(std::move(node));
    return output;
  }

  void AddPair(const std::string& value) {
    const Encoding* e = Find(value);
    if (!e || g_.Constant(value) || !IsUsed(value)) return;
    if (!e->grid.has_scale()) {
      const std::string words = names_.Fresh(value + "_Cast_Output");
      AddCast(value, WriteName(value), words, e->grid.storage_type());
      return AddCast(value, words, ReadName(value), DType::kFloat);
    }
    const std::string& source = FillsStorage(e->grid) ? WriteName(value) : AddClip(value, *e);
    const auto [scale, zero_point] = AddParams(value, *e, e->grid.storage_type(), {});
    const std::string codes = names_.Fresh(value + kQuantizeOutputSuffix);
    out_->AddNode(
        MakeNode(value, "QuantizeLinear", kQuantizeSuffix, {source, scale, zero_point}, codes, *e));
    AddDequantize(value, {codes, scale, zero_point}, ReadName(value), *e);
  }

  void AddConstant(const std::string& value) {
    const Encoding& e = *Find(value);
    const Tensor& constant = *g_.Constant(value);
    const Tensor codes = e.codes ? *e.codes : quant::QuantizeTensor(constant, e);
    const std::string quantized = names_.Fresh(value + kQuantizedSuffix);
    if (!e.grid.has_scale()) {
      out_->AddInitializer({.name = quantized, .value = codes});
      return AddCast(value, quantized, ReadName(value), DType::kFloat);
    }
    const DType type = StorageType(g_, table_, value, e, least_bits_);
    const std::string base = e.role == Role::kBias ? value + kQuantizedSuffix : value;
    const auto [scale, zero_point] = AddParams(base, e, type, constant.shape());
    out_->AddInitializer({.name = quantized, .value = quant::PackCodes(codes, type)});
    AddDequantize(value, {quantized, scale, zero_point}, ReadName(value), e);
  }

  Model& model_;
  const Graph& g_;
  const quant::EncodingTable& table_;
  const QdqOptions& options_;
  NameSet names_;
  const std::string domain_;
  const int least_bits_;
  std::shared_ptr<Graph> out_;
  std::unordered_set<const Node*> dropped_;
  Renames absorbed_into_;  // output of a clamp's producer -> the encoded value behind the clamps
  Renames reads_, writes_;
  std::unordered_map<const Node*, std::vector<std::string>> constants_before_;
};

// Raises the opset of `model` as far as `table` needs it. Where 2 bits are out of reach, wider types
// hold their codes.
Result<TypeChoice> RaiseForTable(const quant::EncodingTable& table, const QdqOptions& options,
                                 Model* model) {
  Status problem;
  for (const int least_bits : {2, 4, 8}) {
    const OpsetNeed need = NeededOpset(*model->graph, table, options, least_bits);
    const int64_t current = model->Opset();
    if (current < options.min_opset && options.min_opset > need.version) {
      // A wish, not a need.
      if (graph::RaiseOpset(model, options.min_opset).ok()) return TypeChoice{false, least_bits};
    }
    if (current >= need.version) return TypeChoice{false, least_bits};
    Status raised = graph::RaiseOpset(model, need.version);
    if (raised.ok()) return TypeChoice{false, least_bits};
    if (options.contrib_qdq && need.contrib_works) return TypeChoice{true, least_bits};
    if (problem.ok())
      problem = std::move(raised).At(StrCat(need.why, " needs opset ", need.version,
                                            ", the model has ", current, " and cannot be raised"));
  }
  return problem;
}

}  // namespace

Status CheckExportable(const Model& model, const quant::EncodingTable& encodings) {
  return CheckTable(*model.graph, encodings);
}

Result<Model> ExportQdq(const Model& model, const quant::EncodingTable& encodings,
                        const QdqOptions& options) {
  RETURN_IF_ERROR(CheckTable(*model.graph, encodings));
  Model out = graph::Clone(model);
  ASSIGN_OR_RETURN(const TypeChoice types, RaiseForTable(encodings, options, &out));
  const auto old_graph = out.graph;  // outlives the exporter, which reads from it
  Exporter(&out, encodings, options, types).Run();
  // IR 4 is the first whose initializers need not be inputs, 10 the first with 4-bit types.
  constexpr int64_t kIrInitializers = 4, kIrFourBits = 10;
  out.ir_version = std::max(out.ir_version, kIrInitializers);
  if (types.contrib) {
    out.SetOpset(kContribDomain, std::max<int64_t>(1, out.Opset(kContribDomain)));
    for (const auto& [name, e] : encodings)
      if (BitWidth(e.grid.storage_type()) <= 4)
        out.ir_version = std::max(out.ir_version, kIrFourBits);
  }
  out.SetMetadata("roundel.format", "QDQ");
  return out;
}

}  // namespace roundel::target
