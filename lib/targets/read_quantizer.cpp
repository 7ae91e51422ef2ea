#include "lib/targets/read_quantizer.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "lib/base/text.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/grid_name.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;
using quant::Encoding;
using quant::Granularity;
using quant::Role;

// Integers, and floats of 8 bits and fewer.
bool IsCodeStorage(DType type) {
  switch (type) {
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E5M2:
    case DType::kFloat4E2M1:
    case DType::kInt2:
    case DType::kUint2:
    case DType::kInt4:
    case DType::kUint4:
    case DType::kInt8:
    case DType::kUint8:
    case DType::kInt16:
    case DType::kUint16:
    case DType::kInt32: return true;
    default: return false;
  }
}

quant::Grid GridOfFloats(DType type) {
  for (const quant::NamedGrid& named : quant::NamedGrids())
    if (named.grid.is_float() && named.grid.storage_type() == type) return named.grid;
  INVARIANT(false, "no grid of " + DTypeName(type));
}

bool IsSignedStorage(DType type) {
  return type == DType::kInt2 || type == DType::kInt4 || type == DType::kInt8 ||
         type == DType::kInt16 || type == DType::kInt32;
}

ReadResult Problem(std::string text) { return {{}, std::move(text)}; }

static bool IsZero(const Tensor& values) {
  const Tensor floats = values.ToFloat();
  const auto span = floats.span<float>();
  return std::all_of(span.begin(), span.end(), [](float x) { return x == 0; });
}

// The scale is a constant, or a DequantizeLinear of constant float8 codes with one float scale
// (NVFP4).
std::optional<Tensor> Scale(const Graph& g, const std::string& value) {
  if (const Tensor* constant = g.Constant(value))
    return constant->dtype() == DType::kFloat8E8M0 ? constant->ToFloat() : *constant;
  const Node* dq = g.Producer(value);
  if (!dq || !IsDequantizeNode(*dq)) return std::nullopt;
  const Tensor *codes = g.Constant(dq->input(0)), *unit = g.Constant(dq->input(1)),
               *zero_point = g.Constant(dq->input(2));
  if (!codes || codes->dtype() != DType::kFloat8E4M3FN || !unit || unit->size() != 1 ||
      unit->dtype() != DType::kFloat || (zero_point && !IsZero(*zero_point)))
    return std::nullopt;
  Tensor scale = codes->ToFloat();
  float* to = scale.mutable_data<float>();
  for (int64_t i = 0; i < scale.size(); ++i) to[i] *= unit->data<float>()[0];
  return scale;
}

// Negative scales occur with symmetric constants only.
bool MayBeNegative(const Graph& g, const Node& node, DType storage, int64_t zero_point) {
  return IsDequantizeNode(node) && g.Constant(node.input(0)) && IsSignedStorage(storage) &&
         storage != DType::kInt32 && zero_point == 0;
}

std::string ReadParams(const Graph& g, const Node& node, const Tensor& scale, DType storage,
                       Encoding* e) {
  std::vector<int64_t> zero_points(static_cast<size_t>(scale.size()), 0);
  if (!node.input(2).empty()) {
    const Tensor* zero_point = g.Constant(node.input(2));
    if (!zero_point) return "its zero point is not constant";
    if (zero_point->dtype() != storage || zero_point->size() != scale.size())
      return "its zero point does not fit its scale";
    if (!IsFloating(storage))
      zero_points = zero_point->ToInt64s();
    else if (!IsZero(*zero_point))
      return "its zero point is not 0";
  }
  const float* scales = scale.data<float>();
  for (size_t i = 0; i < zero_points.size(); ++i) {
    if (!std::isfinite(scales[i]) || scales[i] == 0) return "its scale is not a number";
    if (scales[i] < 0 && !MayBeNegative(g, node, storage, zero_points[i]))
      return "its scale is not positive";
    if (scales[i] < 0) e->grid.scales = quant::ScaleKind::kSigned;
    if (storage == DType::kInt32 && zero_points[i] != 0) return "its zero point is not 0";
    e->params.push_back({scales[i], static_cast<int32_t>(zero_points[i])});
  }
  return "";
}

std::string ReadGranularity(const Node& node, const Tensor& scale, int64_t rank, Encoding* e) {
  e->block_size = node.Int("block_size", 0);
  // Also avoids overflow of int64 in sums of a dimension and a block size.
  if (e->block_size < 0 || e->block_size > INT32_MAX) return "its block size is out of range";
  if (e->block_size == 0 && scale.size() == 1 && scale.rank() <= 1) return "";
  e->granularity = e->block_size > 0 ? Granularity::kBlock : Granularity::kChannel;
  if (e->granularity == Granularity::kChannel && scale.rank() != 1)
    return StrCat("its scale has shape ", ShapeString(scale.shape()));
  e->axis = node.Int("axis", 1);
  if (e->axis < 0 && rank < 0) return "its axis is negative and the rank is not known";
  if (e->axis < 0) e->axis += rank;
  if (e->axis < 0 || (rank >= 0 && e->axis >= rank)) return "its axis does not exist";
  return "";
}

}  // namespace

ReadResult ReadQuantizer(const Graph& g, const Node& node, DType storage, int64_t rank) {
  const std::optional<Tensor> scale = Scale(g, node.input(1));
  const auto wanted = static_cast<DType>(node.Int("output_dtype", 0));
  if (IsDequantizeNode(node) && wanted != DType::kUndefined && wanted != DType::kFloat)
    return Problem("its result is " + DTypeName(wanted));
  if (!scale) return Problem("its scale is not constant");
  if (scale->dtype() != DType::kFloat) return Problem("its scale is " + DTypeName(scale->dtype()));
  if (!IsCodeStorage(storage)) return Problem("its type is " + DTypeName(storage));
  if (node.Int("saturate", 1) == 0) return Problem("it does not saturate");
  ReadResult result;
  Encoding& e = result.encoding;
  e.grid = {.bits = BitWidth(storage), .is_signed = IsSignedStorage(storage)};
  e.role = storage == DType::kInt32 ? Role::kBias : Role::kActivation;
  if (std::string problem = ReadParams(g, node, *scale, storage, &e); !problem.empty())
    return Problem(problem);
  if (std::string problem = ReadGranularity(node, *scale, rank, &e); !problem.empty())
    return Problem(problem);
  if (IsFloating(storage)) {
    e.grid = GridOfFloats(storage);
    return result;
  }
  e.grid.symmetric = e.grid.is_signed;
  for (const quant::QParams& p : e.params) e.grid.symmetric &= p.zero_point == 0;
  return result;
}

bool HasConstantScale(const Graph& g, const std::string& value) {
  return Scale(g, value).has_value();
}

Shape ScaleShape(const Graph& g, const Node& node) { return Scale(g, node.input(1))->shape(); }

DType StorageOf(const Graph& g, const Node& quantize) {
  if (const Tensor* zero_point = g.Constant(quantize.input(2))) return zero_point->dtype();
  const auto declared = static_cast<DType>(quantize.Int("output_dtype", 0));
  return declared == DType::kUndefined ? DType::kUint8 : declared;
}

bool SameQuantizer(const Encoding& a, const Encoding& b) {
  return a.grid.storage_type() == b.grid.storage_type() && a.granularity == b.granularity &&
         a.axis == b.axis && a.block_size == b.block_size && a.params == b.params;
}

std::optional<quant::Grid> DeclaredGrid(const Node& dq, const Encoding& e) {
  const auto grid = ParseGridName(dq.doc_string);
  const bool narrower = grid && e.codes && e.role != Role::kBias && !grid->is_float() &&
                        grid->is_signed == e.grid.is_signed && !e.grid.is_float() &&
                        BitWidth(grid->storage_type()) < 8 && BitWidth(e.grid.storage_type()) <= 8;
  if (!grid || (grid->storage_type() != e.grid.storage_type() && !narrower)) return std::nullopt;
  if (e.grid.scales == quant::ScaleKind::kSigned && grid->scales != e.grid.scales)
    return std::nullopt;
  if (grid->is_float()) return grid;
  for (const quant::QParams& p : e.params)
    if (p.zero_point < grid->qmin() || p.zero_point > grid->qmax()) return std::nullopt;
  return grid;
}

}  // namespace roundel::target
