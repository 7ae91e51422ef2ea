#pragma once
// Types, dimensions and tensors of graph text; private to its parser.

#include <vector>

#include "lib/graph/graph.h"
#include "lib/graph/text_cursor.h"

namespace roundel::graph {

bool IsTypeName(const Token& token);

// "(float32[N,3] x, ? y)"
Status ParseSignature(TextCursor& in, std::vector<ValueInfo>* values);
// "float32[N,3] name", "? name", "other("hex") name"
Result<ValueInfo> ParseTyped(TextCursor& in);

// Errors: type or dimensions are not given as numbers.
Result<Shape> StaticShape(const TextCursor& in, const ValueInfo& info);
// "{1, 2}", "zeros", "ones", "fill(x)", "random(seed)", "raw(\"hex\")"
Result<Tensor> ParseTensorBody(TextCursor& in, DType type, const Shape& shape);
// "float32[2]{1, 2}"
Result<Tensor> ParseTensor(TextCursor& in);

}  // namespace roundel::graph
