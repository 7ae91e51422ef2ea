// QDQ -> float graph + encodings: the inverse of export, for any tool's QDQ models.
//
//   integers -> DQ -> w                    weight or bias (int32): float initializer + codes
//   w (float constant) -> Q -> DQ          the same; older TensorRT flow
//   x -> Q -> DQ                           encoding of x
//   x -> Q1 -> DQ1 -> Q2 -> DQ2            equal pairs collapse; other ones get their own value
//
// An encoding applies to every reader of its value. Where only some readers of x read it through
// Q/DQ, or through different ones, each distinct pair becomes Identity(x) with an encoding.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <tuple>
#include <unordered_set>

#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "lib/targets/export.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/grid_name.h"
#include "lib/targets/kept_float.h"
#include "lib/targets/qdq.h"
#include "lib/targets/restore_clamps.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;
using quant::Encoding;
using quant::Granularity;
using quant::Role;

// Integers and the floats that are grids.
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

bool SameQuantizer(const Encoding& a, const Encoding& b) {
  return a.grid.storage_type() == b.grid.storage_type() && a.granularity == b.granularity &&
         a.axis == b.axis && a.block_size == b.block_size && a.params == b.params;
}

std::string StripSuffix(const std::string& name, const std::string& suffix) {
  return name.size() > suffix.size() && name.ends_with(suffix)
             ? name.substr(0, name.size() - suffix.size())
             : name;
}

// An encoding, or why the node cannot be expressed as one.
struct ReadResult {
  Encoding encoding;
  std::string problem;
};

class ParamReader {
 public:
  explicit ParamReader(const Graph& g) : g_(g) {}

  // Q and DQ share the layout (data, scale, zero point) and attributes. `rank` of the value, -1 if
  // not known.
  ReadResult Read(const Node& node, DType storage, int64_t rank) const {
    const std::optional<Tensor> scale = Scale(node.input(1));
    const auto wanted = static_cast<DType>(node.Int("output_dtype", 0));
    if (IsDequantizeNode(node) && wanted != DType::kUndefined && wanted != DType::kFloat)
      return Problem("its result is " + DTypeName(wanted));
    if (!scale) return Problem("its scale is not constant");
    if (scale->dtype() != DType::kFloat)
      return Problem("its scale is " + DTypeName(scale->dtype()));
    if (!IsCodeStorage(storage)) return Problem("its type is " + DTypeName(storage));
    if (node.Int("saturate", 1) == 0) return Problem("it does not saturate");
    ReadResult result;
    Encoding& e = result.encoding;
    e.grid = {.bits = BitWidth(storage), .is_signed = IsSignedStorage(storage)};
    e.role = storage == DType::kInt32 ? Role::kBias : Role::kActivation;
    if (std::string problem = ReadParams(node, *scale, storage, &e); !problem.empty())
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

  bool HasScale(const std::string& value) const { return Scale(value).has_value(); }
  // Of a node that Read has read.
  Shape ScaleShape(const Node& node) const { return Scale(node.input(1))->shape(); }

 private:
  static ReadResult Problem(std::string text) { return {{}, std::move(text)}; }

  // A constant, or what a DequantizeLinear makes of float8 codes and one float (NVFP4).
  std::optional<Tensor> Scale(const std::string& value) const {
    if (const Tensor* constant = g_.Constant(value))
      return constant->dtype() == DType::kFloat8E8M0 ? constant->ToFloat() : *constant;
    const Node* dq = g_.Producer(value);
    if (!dq || !IsDequantizeNode(*dq)) return std::nullopt;
    const Tensor *codes = g_.Constant(dq->input(0)), *unit = g_.Constant(dq->input(1)),
                 *zero_point = g_.Constant(dq->input(2));
    if (!codes || codes->dtype() != DType::kFloat8E4M3FN || !unit || unit->size() != 1 ||
        unit->dtype() != DType::kFloat || (zero_point && !IsZero(*zero_point)))
      return std::nullopt;
    Tensor scale = codes->ToFloat();
    float* to = scale.mutable_data<float>();
    for (int64_t i = 0; i < scale.size(); ++i) to[i] *= unit->data<float>()[0];
    return scale;
  }

  static bool IsZero(const Tensor& values) {
    const Tensor floats = values.ToFloat();
    const auto span = floats.span<float>();
    return std::all_of(span.begin(), span.end(), [](float x) { return x == 0; });
  }

  // Symmetric constants alone have scales with a sign.
  bool MayBeNegative(const Node& node, DType storage, int64_t zero_point) const {
    return IsDequantizeNode(node) && g_.Constant(node.input(0)) && IsSignedStorage(storage) &&
           storage != DType::kInt32 && zero_point == 0;
  }

  std::string ReadParams(const Node& node, const Tensor& scale, DType storage, Encoding* e) const {
    std::vector<int64_t> zero_points(static_cast<size_t>(scale.size()), 0);
    if (!node.input(2).empty()) {
      const Tensor* zero_point = g_.Constant(node.input(2));
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
      if (scales[i] < 0 && !MayBeNegative(node, storage, zero_points[i]))
        return "its scale is not positive";
      if (scales[i] < 0) e->grid.scales = quant::ScaleKind::kSigned;
      if (storage == DType::kInt32 && zero_points[i] != 0) return "its zero point is not 0";
      e->params.push_back({scales[i], static_cast<int32_t>(zero_points[i])});
    }
    return "";
  }

  std::string ReadGranularity(const Node& node, const Tensor& scale, int64_t rank,
                              Encoding* e) const {
    e->block_size = node.Int("block_size", 0);
    // Also keeps sums of a dimension and a block size inside int64.
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

  const Graph& g_;
};

class Importer {
 public:
  Importer(FloatModel* out, std::vector<std::string>* kept, ImportValues values)
      : values_(values),
        g_(*out->model.graph),
        encodings_(out->encodings),
        kept_(kept),
        names_(g_),
        reader_(g_),
        made_(EmptyCopy(g_)) {}

  Result<std::shared_ptr<Graph>> Run() {
    for (const auto& initializer : g_.initializers()) made_->AddInitializer(initializer);
    for (const auto& node : g_.nodes()) {
      if (IsDequantizeNode(*node))
        RETURN_IF_ERROR(TakeDequantize(*node));
      else if (!IsQuantizeNode(*node))
        CopyNode(*node);
      else if (!TakeQuantize(*node))
        CopyNode(*node);
    }
    for (const auto& node : made_->nodes())
      for (std::string& output : node->outputs)
        if (const auto it = writes_.find(output); it != writes_.end()) output = it->second;
    made_->InvalidateIndex();
    CopyValueInfo(g_, made_.get());
    RemoveUnusedConstants(made_.get());
    return made_;
  }

 private:
  void Keep(const Node& node, const std::string& problem) {
    if (kept_) kept_->push_back(StrCat(node.DisplayName(), ": ", problem));
  }

  std::string Resolve(const std::string& value) const {
    const auto it = reads_.find(value);
    return it == reads_.end() ? value : it->second;
  }

  // What makes the scale of other quantizers is part of their encodings.
  bool MakesScalesOnly(const Node& dq) const {
    const std::vector<graph::Use>& uses = g_.Uses(dq.output(0));
    return !uses.empty() && !g_.IsOutput(dq.output(0)) && reader_.HasScale(dq.output(0)) &&
           std::all_of(uses.begin(), uses.end(), [](const graph::Use& use) {
             return use.index == 1 && (IsDequantizeNode(*use.node) || IsQuantizeNode(*use.node));
           });
  }

  void CopyNode(const Node& node) {
    // One that stays needs its scale.
    const Node* scale =
        IsDequantizeNode(node) || IsQuantizeNode(node) ? g_.Producer(node.input(1)) : nullptr;
    if (scale && scale_nodes_.erase(scale) > 0) CopyNode(*scale);
    Node copy = node;
    RenameReads(reads_, &copy);
    made_->AddNode(std::move(copy));
  }

  int64_t RankOf(const std::string& value) const {
    if (const Tensor* constant = g_.Constant(value)) return constant->rank();
    for (const auto* infos : {&g_.inputs, &g_.outputs, &g_.value_info})
      for (const auto& info : *infos)
        if (info.name == value && info.shape) return static_cast<int64_t>(info.shape->size());
    return -1;
  }

  DType StorageOf(const Node& quantize) const {
    if (const Tensor* zero_point = g_.Constant(quantize.input(2))) return zero_point->dtype();
    const auto declared = static_cast<DType>(quantize.Int("output_dtype", 0));
    return declared == DType::kUndefined ? DType::kUint8 : declared;
  }

  // ---- pairs

  // Whether Q and all DQs behind it form pairs that an encoding can express; false: they stay.
  bool TakeQuantize(const Node& q) {
    ReadResult read = reader_.Read(q, StorageOf(q), RankOf(q.input(0)));
    if (read.problem.empty() && read.encoding.granularity == Granularity::kBlock &&
        !g_.Constant(q.input(0)))
      read.problem = "blocks of an activation";
    if (read.problem.empty() && g_.IsOutput(q.output(0))) read.problem = "its codes are an output";
    if (const Tensor* constant = g_.Constant(q.input(0));
        constant && constant->dtype() != DType::kFloat)
      read.problem = "its input is " + DTypeName(constant->dtype());
    for (const graph::Use& use : g_.Uses(q.output(0))) {
      if (!read.problem.empty()) break;
      if (use.index != 0 || !IsDequantizeNode(*use.node)) {
        read.problem = kKeptForReader + use.node->DisplayName();
        break;
      }
      const ReadResult dq = reader_.Read(*use.node, StorageOf(q), RankOf(q.input(0)));
      if (!dq.problem.empty() || !SameQuantizer(dq.encoding, read.encoding))
        read.problem = "the DequantizeLinear behind it has other parameters";
      else if (const auto grid = DeclaredGrid(*use.node, read.encoding))
        read.encoding.grid = *grid;
    }
    if (!read.problem.empty()) {
      Keep(q, read.problem);
      return false;
    }
    quantizers_.emplace(&q, std::move(read.encoding));
    return true;
  }

  // The grid that export noted, if it goes with the codes. Constants may be stored in a wider type.
  static std::optional<quant::Grid> DeclaredGrid(const Node& dq, const Encoding& e) {
    const auto grid = ParseGridName(dq.doc_string);
    const bool narrower = grid && e.codes && e.role != Role::kBias && !grid->is_float() &&
                          grid->is_signed == e.grid.is_signed && !e.grid.is_float() &&
                          BitWidth(grid->storage_type()) < 8 &&
                          BitWidth(e.grid.storage_type()) <= 8;
    if (!grid || (grid->storage_type() != e.grid.storage_type() && !narrower)) return std::nullopt;
    if (e.grid.scales == quant::ScaleKind::kSigned && grid->scales != e.grid.scales)
      return std::nullopt;
    if (grid->is_float()) return grid;
    for (const quant::QParams& p : e.params)
      if (p.zero_point < grid->qmin() || p.zero_point > grid->qmax()) return std::nullopt;
    return grid;
  }

  Status TakeDequantize(const Node& dq) {
    const std::string& source = dq.input(0);
    if (MakesScalesOnly(dq)) {
      scale_nodes_.insert(&dq);
      return OkStatus();
    }
    if (const Tensor* codes = g_.Constant(source)) return TakeConstant(dq, source, *codes);
    const Node* q = g_.Producer(source);
    const auto pair = q ? quantizers_.find(q) : quantizers_.end();
    if (pair == quantizers_.end()) {
      if (!q || !IsQuantizeNode(*q)) Keep(dq, kKeptForSource);
      CopyNode(dq);
      return OkStatus();
    }
    if (const Tensor* value = g_.Constant(q->input(0)); value && value->dtype() == DType::kFloat)
      return TakeFloatConstant(dq, q->input(0), *value, pair->second);
    TakeActivation(dq, q->input(0), pair->second);
    return OkStatus();
  }

  // Whether everybody reads `value` through equal pairs, of which `e` is one.
  bool HasOneReading(const std::string& value, const Encoding& e) {
    const auto [known, fresh] = one_reading_.try_emplace(value, false);
    if (fresh) known->second = FindOneReading(value, e);
    return known->second;
  }

  bool FindOneReading(const std::string& value, const Encoding& e) const {
    if (g_.IsOutput(value)) return false;
    for (const graph::Use& use : g_.Uses(value)) {
      const auto q = quantizers_.find(use.node);
      if (q != quantizers_.end() && use.index == 0) {
        if (!SameQuantizer(q->second, e)) return false;
        continue;
      }
      // A quantizer further down has not been looked at yet.
      if (use.index != 0 || !IsQuantizeNode(*use.node)) return false;
      const ReadResult later = reader_.Read(*use.node, StorageOf(*use.node), RankOf(value));
      if (!later.problem.empty() || !SameQuantizer(later.encoding, e)) return false;
    }
    return true;
  }

  void TakeActivation(const Node& dq, const std::string& raw, const Encoding& e) {
    const std::string value = Resolve(raw);
    const std::string& output = dq.output(0);
    const bool is_output = g_.IsOutput(output);
    const auto known = encodings_.find(value);
    if (known != encodings_.end() && SameQuantizer(known->second, e)) {
      if (is_output)
        AddIdentity(value, output);
      else
        reads_[output] = value;
      return;
    }
    // Some reader sees the value itself: this pair gets a value of its own. The first of several
    // equal pairs makes it, the others find it.
    if (known != encodings_.end() || value != raw || !HasOneReading(raw, e)) {
      const auto [first, last] = copies_.equal_range(value);
      for (auto copy = first; copy != last && !is_output; ++copy) {
        if (!SameQuantizer(encodings_.at(copy->second), e)) continue;
        reads_[output] = copy->second;
        return;
      }
      const std::string stripped = StripSuffix(output, kDequantizeOutputSuffix);
      const std::string name = is_output ? output : names_.Fresh(stripped);
      AddIdentity(value, name);
      if (!is_output) reads_[output] = name;
      encodings_[name] = e;
      copies_.emplace(value, name);
      return;
    }
    if (!is_output || g_.IsInput(raw)) {
      encodings_[raw] = e;
      if (is_output)
        AddIdentity(raw, output);
      else
        reads_[output] = raw;
      return;
    }
    // x -> Q -> DQ -> graph output: the producer of x writes the output itself again.
    encodings_[output] = e;
    writes_[raw] = output;
    reads_[raw] = output;
  }

  void AddIdentity(const std::string& from, const std::string& to) {
    made_->AddNode({.name = names_.Fresh(to + "_Identity"),
                    .op_type = "Identity",
                    .inputs = {from},
                    .outputs = {to}});
  }

  // ---- constants

  Status TakeConstant(const Node& dq, const std::string& source, const Tensor& stored) {
    const ReadResult read = reader_.Read(dq, stored.dtype(), stored.rank());
    if (!read.problem.empty() || g_.IsOutput(dq.output(0))) {
      Keep(dq, read.problem.empty() ? "its output is a graph output" : read.problem);
      CopyNode(dq);
      return OkStatus();
    }
    const auto key = std::make_tuple(source, dq.input(1), dq.input(2));
    if (const auto known = constants_.find(key); known != constants_.end()) {
      reads_[dq.output(0)] = known->second;
      return OkStatus();
    }
    Encoding e = read.encoding;
    RETURN_IF_ERROR(CheckFit(dq, e, stored.shape()));
    if (e.role != Role::kBias) e.role = Role::kWeight;
    if (IsSkipped(stored)) {
      e.grid = DeclaredGrid(dq, e).value_or(e.grid);
    } else {
      e.codes = quant::UnpackCodes(stored);
      SetConstantGrid(dq, &e);
    }
    const std::string stripped = StripSuffix(dq.output(0), kDequantizeOutputSuffix);
    const std::string name =
        stripped != dq.output(0) ? names_.Fresh(stripped) : ReleaseName(dq, source);
    AddConstant(name, dq, stored.shape(), std::move(e));
    constants_[key] = name;
    return OkStatus();
  }

  // A bias keeps the name that its DequantizeLinear writes; other outputs may hide the name that
  // the codes were made from.
  std::string ReleaseName(const Node& dq, const std::string& source) {
    const std::string stripped = StripSuffix(source, kQuantizedSuffix);
    if (stripped == source || stripped == dq.output(0)) return dq.output(0);
    return names_.Fresh(stripped);
  }

  Status CheckFit(const Node& dq, const Encoding& e, const Shape& shape) const {
    const std::string where = "node " + dq.DisplayName();
    RETURN_IF_ERROR(quant::CheckEncoding(e, shape).At(where));
    const Shape scale = reader_.ScaleShape(dq);
    if (e.granularity == Granularity::kBlock && scale != quant::ScaleShape(e, shape))
      return ModelError(StrCat(where, ": scales of shape ", ShapeString(scale), " where ",
                               ShapeString(quant::ScaleShape(e, shape)), " is needed"));
    return OkStatus();
  }

  static void SetConstantGrid(const Node& dq, Encoding* e) {
    const auto declared = DeclaredGrid(dq, *e);
    if (e->grid.is_float()) {
      e->grid = declared.value_or(e->grid);
      return;
    }
    const std::vector<int64_t> codes = e->codes->ToInt64s();
    const auto holds = [&codes](const quant::Grid& grid) {
      for (const int64_t code : codes)
        if (code < grid.qmin() || code > grid.qmax() ||
            (code == 0 && grid.kind == quant::GridKind::kBinary))
          return false;
      return true;
    };
    if (declared && holds(*declared)) {
      e->grid = *declared;
      return;
    }
    if (!e->grid.symmetric || e->role == Role::kBias || e->grid.scales == quant::ScaleKind::kSigned)
      return;
    quant::Grid narrow = e->grid;
    narrow.narrow_range = true;
    if (holds(narrow)) e->grid = narrow;
  }

  Status TakeFloatConstant(const Node& dq, const std::string& source, const Tensor& value,
                           Encoding e) {
    RETURN_IF_ERROR(CheckFit(dq, e, value.shape()));
    if (g_.IsOutput(dq.output(0))) {
      AddIdentity(source, dq.output(0));
      encodings_[dq.output(0)] = std::move(e);
      return OkStatus();
    }
    const auto known = encodings_.find(source);
    if (known != encodings_.end() && SameQuantizer(known->second, e)) {
      reads_[dq.output(0)] = source;
      return OkStatus();
    }
    e.role = Role::kWeight;
    if (!IsSkipped(value)) e.codes = quant::QuantizeTensor(value, e);
    const bool alone = known == encodings_.end() && g_.FindInitializer(source) != nullptr &&
                       HasOneReading(source, e);
    const std::string name =
        alone ? source : names_.Fresh(StripSuffix(dq.output(0), kDequantizeOutputSuffix));
    AddConstant(name, dq, value.shape(), std::move(e));
    return OkStatus();
  }

  // The float constant that the codes stand for, as an initializer.
  void AddConstant(const std::string& name, const Node& dq, const Shape& shape, Encoding e) {
    made_->SetInitializer(
        name, e.codes ? quant::DequantizeTensor(*e.codes, e) : Tensor::Empty(DType::kFloat, shape));
    if (name != dq.output(0)) reads_[dq.output(0)] = name;
    encodings_[name] = std::move(e);
  }

  // Whether only the shape of the constant counts.
  bool IsSkipped(const Tensor& stored) const {
    constexpr int64_t kSmallSize = 1 << 16;
    return values_ == ImportValues::kSmall && stored.size() > kSmallSize;
  }

  const ImportValues values_;
  const Graph& g_;
  quant::EncodingTable& encodings_;
  std::vector<std::string>* kept_;
  NameSet names_;
  ParamReader reader_;
  std::shared_ptr<Graph> made_;
  Renames reads_, writes_;
  std::unordered_map<const Node*, Encoding> quantizers_;  // Q nodes of pairs
  std::unordered_set<const Node*> scale_nodes_;           // DQs of scales that nobody needs yet
  std::unordered_multimap<std::string, std::string>
      copies_;  // value -> output of an Identity of it
  std::unordered_map<std::string, bool> one_reading_;
  std::map<std::tuple<std::string, std::string, std::string>, std::string> constants_;
};

// What KeepFloats has put in.
void DropKeptFloats(Graph* graph) {
  std::vector<const Node*> kept;
  for (const auto& node : graph->nodes())
    if (IsKeptFloat(*node) && !graph->IsOutput(node->output(0))) kept.push_back(node.get());
  for (const Node* node : kept) graph->ReplaceUses(node->output(0), node->input(0));
  const std::unordered_set<const Node*> gone(kept.begin(), kept.end());
  if (!gone.empty()) graph->RemoveNodes([&](const Node& node) { return gone.contains(&node); });
}

}  // namespace

Result<FloatModel> ImportQdq(const graph::Model& model, std::vector<std::string>* kept,
                             ImportValues values) {
  FloatModel out;
  out.model = graph::Clone(model);
  graph::MakeNamesUnique(&out.model);
  out.types = WidenTypes(&out.model);
  const graph::Bodies bodies = graph::FlattenBodies(&out.model);
  DropKeptFloats(out.model.graph.get());
  const auto old_graph = out.model.graph;  // outlives the importer, which reads from it
  ASSIGN_OR_RETURN(out.model.graph, Importer(&out, kept, values).Run());
  std::erase_if(out.model.metadata,
                [](const auto& entry) { return entry.first == "roundel.format"; });
  NoteKeptFloat({}, &out.model);
  for (auto& [name, e] : out.encodings) e.decided_by = "import";
  RestoreClamps(out.encodings, &out.model);
  graph::RestoreBodies(bodies, &out.model);
  return out;
}

}  // namespace roundel::target
