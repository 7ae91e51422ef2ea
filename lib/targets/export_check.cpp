#include "lib/targets/export_check.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "lib/base/text.h"
#include "lib/graph/opset.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/grid_name.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Model;
using quant::Encoding;
using quant::Granularity;

Status CheckParams(const Encoding& e) {
  for (const quant::QParams& p : e.params) {
    const float size = e.grid.scales == quant::ScaleKind::kSigned ? std::fabs(p.scale) : p.scale;
    if (!(std::isfinite(size) && size > 0))
      return ModelError(StrCat("scale ", p.scale, " is not a positive number"));
    const bool inside = e.grid.is_float()
                            ? p.zero_point == 0
                            : p.zero_point >= e.grid.qmin() && p.zero_point <= e.grid.qmax();
    if (!inside)
      return ModelError(StrCat("zero point ", p.zero_point, " is outside of ", e.grid.Name()));
  }
  return OkStatus();
}

Status CheckConstant(const Encoding& e, const Tensor& value) {
  if (value.dtype() != DType::kFloat)
    return ModelError(StrCat("is ", DTypeName(value.dtype()), "; only float32 is quantized"));
  // The bound avoids overflow of int64 in sums of a dimension and a block size.
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
  // QuantizeLinear saturates at the ends of its type. If the grid ends earlier, a Clip saturates,
  // with one pair of bounds.
  const bool clipped = e.grid.kind == quant::GridKind::kInteger && !e.grid.narrow_range &&
                       e.granularity == Granularity::kTensor;
  if (!FillsStorage(e.grid) && !clipped)
    return UsageError(StrCat("an activation cannot be exported as ", e.grid.Name(),
                             "; use the full range and one scale"));
  return OkStatus();
}

struct OpsetNeed {
  int64_t version = 10;
  std::string why = "QuantizeLinear";
  bool contrib_works = true;  // com.microsoft Q/DQ can express it too
};

// The versions are those of the QuantizeLinear and DequantizeLinear specifications.
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

}  // namespace

Status CheckExportable(const Model& model, const quant::EncodingTable& table) {
  const Graph& g = *model.graph;
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

bool FillsStorage(const quant::Grid& grid) {
  return grid.bits == BitWidth(grid.storage_type()) && !(grid.symmetric && grid.narrow_range);
}

bool HasPowerScales(const Encoding& e, const QdqOptions& options) {
  return options.e8m0_scales && e.grid.scales == quant::ScaleKind::kPowerOfTwo &&
         std::all_of(e.params.begin(), e.params.end(), [](const quant::QParams& p) {
           return p.scale == std::ldexp(1.0f, std::ilogb(p.scale));
         });
}

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

Result<TypeChoice> RaiseForTable(const quant::EncodingTable& table, const QdqOptions& options,
                                 Model* model) {
  Status problem;
  for (const int least_bits : {2, 4, 8}) {
    const OpsetNeed need = NeededOpset(*model->graph, table, options, least_bits);
    const int64_t current = model->Opset();
    if (current < options.min_opset && options.min_opset > need.version) {
      // This opset is preferred, not needed.
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

}  // namespace roundel::target
