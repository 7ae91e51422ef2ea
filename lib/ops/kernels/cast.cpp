// Cast and CastLike between all element types.

#include <charconv>
#include <cstdlib>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/small_types.h"
#include "lib/ops/kernels/types.h"

namespace roundel::engine {
namespace {

// ---- between types of whole bytes

template <typename From, typename To>
Tensor ConvertTyped(const Tensor& x) {
  Tensor y = Tensor::Empty(DTypeOf<To>::value, x.shape());
  const From* from = x.data<From>();
  To* to = y.mutable_data<To>();
  ParallelFor(x.size(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = ConvertTo<To>(from[i]);
  });
  return y;
}

Result<Tensor> ConvertWhole(const Tensor& x, DType type) {
  Tensor y;
  RETURN_IF_ERROR(VisitNumericOrBool(x.dtype(), [&](auto from) {
    return VisitNumericOrBool(type, [&](auto to) {
      y = ConvertTyped<typename decltype(from)::Type, typename decltype(to)::Type>(x);
      return OkStatus();
    });
  }));
  return y;
}

// ---- strings

// The value of a whole string by the rules of Python's float() and int(); false if it is not a
// number.
bool ParseNumber(const std::string& text, double* value) {
  const std::string trimmed(Trim(text));
  char* end = nullptr;
  *value = std::strtod(trimmed.c_str(), &end);  // accepts "nan", "inf" and "-INF"
  return !trimmed.empty() && end == trimmed.c_str() + trimmed.size();
}

Result<Tensor> FromStrings(const Tensor& x, DType type) {
  Tensor values = Tensor::Empty(DType::kDouble, x.shape());
  double* to = values.mutable_data<double>();
  for (size_t i = 0; i < x.strings().size(); ++i)
    if (!ParseNumber(x.strings()[i], to + i))
      return ModelError(
          StrCat("cannot cast the string '", x.strings()[i], "' to ", DTypeName(type)));
  return CastTensor(values, type, {});
}

// The shortest decimal form that is read back as the same value; integers without a decimal point.
template <typename T>
std::string NumberText(T value) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

Result<Tensor> ToStrings(const Tensor& x) {
  std::vector<std::string> texts;
  RETURN_IF_ERROR(VisitNumericOrBool(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::Type;
    for (const T& value : x.span<T>()) {
      if constexpr (std::is_same_v<T, bool>)
        texts.push_back(value ? "True" : "False");
      else
        texts.push_back(NumberText(static_cast<Wide<T>>(value)));
    }
    return OkStatus();
  }));
  return Tensor::Strings(x.shape(), std::move(texts));
}

// ---- the operators

Status CastTo(OpContext& context, DType type) {
  CastRules rules;
  rules.saturate = context.node().Int("saturate", 1) != 0;
  const std::string round_mode = context.node().String("round_mode", "up");
  if (round_mode == "down")
    rules.rounding = CastRules::kDown;
  else if (round_mode == "nearest")
    rules.rounding = CastRules::kNearest;
  else if (round_mode != "up")
    return ModelError(StrCat("Cast has no round_mode '", round_mode, "'"));
  const Tensor& x = *context.input(0);
  RETURN_IF_ERROR(CheckSize(type, x.shape()));
  ASSIGN_OR_RETURN(Tensor y, CastTensor(x, type, rules));
  context.SetOutput(0, std::move(y));
  return OkStatus();
}

// Opset 1 to 5 give the type by name ("FLOAT").
DType TypeFromWord(std::string word) {
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return ParseDType(word);
}

Status Cast(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const int64_t to = context.node().Int("to", 0);
  if (to == 0) return CastTo(context, TypeFromWord(context.node().String("to", "")));
  return CastTo(context, to > 0 && to < 1 << 16 ? static_cast<DType>(to) : DType::kUndefined);
}

Status CastLike(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  return CastTo(context, context.input(1)->dtype());
}

}  // namespace

Result<Tensor> CastTensor(const Tensor& x, DType type, const CastRules& rules) {
  if (x.dtype() == type) return x;
  if (x.dtype() == DType::kString) return FromStrings(x, type);
  if (type == DType::kString) {
    ASSIGN_OR_RETURN(const Tensor whole, ToWholeBytes(x));
    return ToStrings(whole);
  }
  ASSIGN_OR_RETURN(const Tensor whole, ToWholeBytes(x));
  if (IsSmallType(type)) {
    const DType step = IsFloating(type) ? DType::kFloat : DType::kInt64;
    ASSIGN_OR_RETURN(const Tensor values, ConvertWhole(whole, step));
    return FromWholeBytes(values, type, rules);
  }
  return ConvertWhole(whole, type);
}

std::vector<OpEntry> CastRows() {
  return {
      {"Cast", "", 1, kLatest, &Cast},
      {"CastLike", "", 15, kLatest, &CastLike},
  };
}

}  // namespace roundel::engine
