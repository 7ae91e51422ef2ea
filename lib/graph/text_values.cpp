#include "lib/graph/text_values.h"

#include "lib/base/text.h"
#include "lib/graph/text_tensor.h"

namespace roundel::graph {
namespace {

Status ParseDim(TextCursor& in, std::vector<Dim>* dims) {
  Dim dim;
  if (!in.TakeIf("?")) {
    const bool quoted = in.Peek().kind == TokenKind::kString;
    const auto value = ParseInteger(in.Peek().text);
    ASSIGN_OR_RETURN(std::string text, in.TakeName("a dimension"));
    if (value && !quoted)
      dim.value = value;
    else
      dim.symbol = std::move(text);
  }
  dims->push_back(std::move(dim));
  return OkStatus();
}

Result<Tensor> Placed(const TextCursor& in, Result<Tensor> tensor) {
  if (tensor.ok()) return tensor;
  return in.Here(std::move(tensor).status());
}

}  // namespace

bool IsTypeName(const Token& token) {
  return token.kind == TokenKind::kWord && ParseDType(token.text) != DType::kUndefined;
}

Status ParseSignature(TextCursor& in, std::vector<ValueInfo>* values) {
  RETURN_IF_ERROR(in.Expect("("));
  return in.ParseList(")", [&]() -> Status {
    ASSIGN_OR_RETURN(ValueInfo info, ParseTyped(in));
    values->push_back(std::move(info));
    return OkStatus();
  });
}

Result<ValueInfo> ParseTyped(TextCursor& in) {
  ValueInfo info;
  if (in.IsWord("other")) {
    in.Take();
    ASSIGN_OR_RETURN(info.type_bytes, in.TakeHexInParentheses());
  } else if (IsTypeName(in.Peek())) {
    info.dtype = ParseDType(in.Take().text);
  } else if (!in.TakeIf("?")) {
    return in.Unexpected("a type");
  }
  if (in.TakeIf("[")) {
    info.shape.emplace();
    RETURN_IF_ERROR(in.ParseList("]", [&] { return ParseDim(in, &*info.shape); }));
  }
  ASSIGN_OR_RETURN(info.name, in.TakeName("a value's name"));
  return info;
}

Result<Shape> StaticShape(const TextCursor& in, const ValueInfo& info) {
  Shape shape;
  if (info.dtype == DType::kUndefined || !info.shape)
    return in.Here(ModelError("a tensor needs a type and a shape, as in float32[2,3]"));
  for (const Dim& dim : *info.shape) {
    if (!dim.value) return in.Here(ModelError("the dimensions of a tensor must be numbers"));
    shape.push_back(*dim.value);
  }
  return shape;
}

Result<Tensor> ParseTensorBody(TextCursor& in, DType type, const Shape& shape) {
  if (in.TakeIf("{")) {
    std::vector<std::string> literals;
    RETURN_IF_ERROR(in.ParseNames("}", &literals));
    return Placed(in, TensorFromLiterals(type, shape, literals));
  }
  const std::string word = in.Peek().kind == TokenKind::kWord ? in.Peek().text : "";
  if (word == "hash")
    return in.Here(
        ModelError("a tensor printed as hash(...) has lost its elements; print with a "
                   "larger max_elements"));
  if (word != "zeros" && word != "ones" && word != "fill" && word != "random" && word != "raw")
    return in.Unexpected("{...}, zeros, ones, fill(x), random(seed) or raw(\"..\")");
  in.Take();
  if (word == "zeros") return Placed(in, FilledTensor(type, shape, "0"));
  if (word == "ones") return Placed(in, FilledTensor(type, shape, "1"));
  if (word == "raw") {
    ASSIGN_OR_RETURN(const std::string bytes, in.TakeHexInParentheses());
    return Placed(in, TensorFromBytes(type, shape, bytes));
  }
  RETURN_IF_ERROR(in.Expect("("));
  if (word == "fill") {
    ASSIGN_OR_RETURN(const std::string value, in.TakeName("a value"));
    RETURN_IF_ERROR(in.Expect(")"));
    return Placed(in, FilledTensor(type, shape, value));
  }
  ASSIGN_OR_RETURN(const int64_t seed, in.TakeInteger("a seed"));
  double low = -1, high = 1;
  if (in.TakeIf(",")) {
    ASSIGN_OR_RETURN(low, in.TakeDouble());
    RETURN_IF_ERROR(in.Expect(","));
    ASSIGN_OR_RETURN(high, in.TakeDouble());
  }
  RETURN_IF_ERROR(in.Expect(")"));
  return Placed(in, RandomTensor(type, shape, static_cast<uint64_t>(seed), low, high));
}

Result<Tensor> ParseTensor(TextCursor& in) {
  ValueInfo info{.dtype = ParseDType(in.Take().text)};
  RETURN_IF_ERROR(in.Expect("["));
  info.shape.emplace();
  RETURN_IF_ERROR(in.ParseList("]", [&] { return ParseDim(in, &*info.shape); }));
  ASSIGN_OR_RETURN(const Shape shape, StaticShape(in, info));
  return ParseTensorBody(in, info.dtype, shape);
}

}  // namespace roundel::graph
