#include "lib/targets/import_constants.h"

#include "lib/base/text.h"
#include "lib/targets/read_quantizer.h"

namespace roundel::target {
namespace {

using graph::Node;
using quant::Encoding;
using quant::Granularity;
using quant::Role;

// Whether the caller needs only the shape of the constant.
bool IsSkipped(const Importing& s, const Tensor& stored) {
  constexpr int64_t kSmallSize = 1 << 16;
  return s.values == ImportValues::kSmall && stored.size() > kSmallSize;
}

// The name of a constant with the codes `source`. A bias keeps the name of the result of its
// DequantizeLinear.
std::string ReleaseName(Importing& s, const Node& dq, const std::string& source) {
  const std::string stripped = StripSuffix(source, kQuantizedSuffix);
  if (stripped == source || stripped == dq.output(0)) return dq.output(0);
  return s.names.Fresh(stripped);
}

Status CheckFit(const Importing& s, const Node& dq, const Encoding& e, const Shape& shape) {
  const std::string where = "node " + dq.DisplayName();
  RETURN_IF_ERROR(quant::CheckEncoding(e, shape).At(where));
  const Shape scale = ScaleShape(s.g, dq);
  if (e.granularity == Granularity::kBlock && scale != quant::ScaleShape(e, shape))
    return ModelError(StrCat(where, ": scales of shape ", ShapeString(scale), " where ",
                             ShapeString(quant::ScaleShape(e, shape)), " is needed"));
  return OkStatus();
}

void SetConstantGrid(const Node& dq, Encoding* e) {
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

// Adds the float constant that the codes represent as an initializer.
void AddConstant(Importing& s, const std::string& name, const Node& dq, const Shape& shape,
                 Encoding e) {
  s.made->SetInitializer(
      name, e.codes ? quant::DequantizeTensor(*e.codes, e) : Tensor::Empty(DType::kFloat, shape));
  if (name != dq.output(0)) s.reads[dq.output(0)] = name;
  s.encodings[name] = std::move(e);
}

}  // namespace

Status TakeConstant(Importing& s, const Node& dq, const std::string& source, const Tensor& stored) {
  const ReadResult read = ReadQuantizer(s.g, dq, stored.dtype(), stored.rank());
  if (!read.problem.empty() || s.g.IsOutput(dq.output(0))) {
    s.Keep(dq, read.problem.empty() ? "its output is a graph output" : read.problem);
    s.CopyNode(dq);
    return OkStatus();
  }
  const auto key = std::make_tuple(source, dq.input(1), dq.input(2));
  if (const auto known = s.constants.find(key); known != s.constants.end()) {
    s.reads[dq.output(0)] = known->second;
    return OkStatus();
  }
  Encoding e = read.encoding;
  RETURN_IF_ERROR(CheckFit(s, dq, e, stored.shape()));
  if (e.role != Role::kBias) e.role = Role::kWeight;
  if (IsSkipped(s, stored)) {
    e.grid = DeclaredGrid(dq, e).value_or(e.grid);
  } else {
    e.codes = quant::UnpackCodes(stored);
    SetConstantGrid(dq, &e);
  }
  const std::string stripped = StripSuffix(dq.output(0), kDequantizeOutputSuffix);
  const std::string name =
      stripped != dq.output(0) ? s.names.Fresh(stripped) : ReleaseName(s, dq, source);
  AddConstant(s, name, dq, stored.shape(), std::move(e));
  s.constants[key] = name;
  return OkStatus();
}

Status TakeFloatConstant(Importing& s, const Node& dq, const std::string& source,
                         const Tensor& value, Encoding e) {
  RETURN_IF_ERROR(CheckFit(s, dq, e, value.shape()));
  if (s.g.IsOutput(dq.output(0))) {
    s.AddIdentity(source, dq.output(0));
    s.encodings[dq.output(0)] = std::move(e);
    return OkStatus();
  }
  const auto known = s.encodings.find(source);
  if (known != s.encodings.end() && SameQuantizer(known->second, e)) {
    s.reads[dq.output(0)] = source;
    return OkStatus();
  }
  e.role = Role::kWeight;
  if (!IsSkipped(s, value)) e.codes = quant::QuantizeTensor(value, e);
  const bool alone = known == s.encodings.end() && s.g.FindInitializer(source) != nullptr &&
                     s.HasOneReading(source, e);
  const std::string name =
      alone ? source : s.names.Fresh(StripSuffix(dq.output(0), kDequantizeOutputSuffix));
  AddConstant(s, name, dq, value.shape(), std::move(e));
  return OkStatus();
}

}  // namespace roundel::target
