#include "lib/graph/value_types.h"

#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::graph {
namespace {

std::unordered_map<std::string, DType> Types(const std::string& text) {
  auto model = Parse(text);
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  return InferValueTypes(*model);
}

TEST_CASE("types of values follow from declarations and operators") {
  const auto types = Types(R"(opset 13
graph g (float32[2,4] x, int32[2] n) => (float32[2,4] y) {
  c = Constant<value=int64[1]{3}>()
  d = Constant<value_float=1.0>()
  e = Cast<to=10>(x)
  f = Equal(x, x)
  h = Where(f, x, x)
  i = ArgMax(x)
  j, k = TopK(x, c)
  l = ConstantOfShape<value=int32[1]{7}>(c)
  m = ConstantOfShape(c)
  o = DequantizeLinear(l, d)
  y = Identity(h)
})");
  CHECK(types.at("c") == DType::kInt64);
  CHECK(types.at("d") == DType::kFloat);
  CHECK(types.at("e") == DType::kFloat16);
  CHECK(types.at("f") == DType::kBool);
  CHECK(types.at("h") == DType::kFloat);
  CHECK(types.at("i") == DType::kInt64);
  CHECK(types.at("j") == DType::kFloat);
  CHECK(types.at("k") == DType::kInt64);
  CHECK(types.at("l") == DType::kInt32);
  CHECK(types.at("m") == DType::kFloat);
  CHECK(types.at("o") == DType::kFloat);
  CHECK(types.at("n") == DType::kInt32);
}

TEST_CASE("types behind control flow are those of the bodies") {
  const auto types = Types(R"(opset 17
graph g (float32[2,4] x, bool c, int64 n) => (? y) {
  int64[4] k = {1, 2, 3, 4}
  a = If<then_branch=graph t () => (? ta) { ta = Relu(x) },
         else_branch=graph e () => (? ea) { ea = Neg(x) }>(c)
  b, s = Loop<body=graph l (? i, ? go, ? st) => (? go2, ? st2, ? out) {
      go2 = Identity(go)
      st2 = Add(st, x)
      out = ArgMax(st2) }>(n, c, x)
  d, e = Scan<num_scan_inputs=1, body=graph p (? q, ? r) => (? q2, ? r2) {
      q2 = Add(q, r)
      r2 = Greater(q, r) }>(a, k)
  f = If<then_branch=graph t2 () => (? tf) { tf = Shape(x) },
         else_branch=graph e2 () => (? ef) { ef = Identity(k) }>(c)
  m = SequenceConstruct(x, x)
  o = SequenceMap<body=graph w (? v) => (? u) { u = Cast<to=10>(v) }>(m)
  h = ConcatFromSequence<axis=0>(o)
  y = MatMul(d, x)
})");
  CHECK(types.at("a") == DType::kFloat);
  CHECK(types.at("ta") == DType::kFloat);
  CHECK(types.at("b") == DType::kFloat);
  CHECK(types.at("s") == DType::kInt64);
  CHECK(types.at("st") == DType::kFloat);
  CHECK(types.at("i") == DType::kInt64);
  CHECK(types.at("go") == DType::kBool);
  CHECK(types.at("d") == DType::kFloat);
  CHECK(types.at("e") == DType::kBool);
  CHECK(types.at("r") == DType::kInt64);
  CHECK(types.at("f") == DType::kInt64);
  CHECK(types.at("v") == DType::kFloat);
  CHECK(types.at("h") == DType::kFloat16);
  CHECK(types.at("y") == DType::kFloat);
  CHECK_FALSE(types.contains("m"));
  CHECK_FALSE(types.contains("o"));
}

TEST_CASE("where an operator wants one type, what is known of one value tells the others") {
  const auto types = Types(R"(opset 17, custom 1
graph g (int64[2] x) => (? y) {
  float32[4,4] w = zeros
  a = custom.Unknown(x)
  b = Identity(a)
  c = MatMul(b, w)
  d = custom.Other(c)
  y = Identity(d)
})");
  CHECK(types.at("b") == DType::kFloat);
  CHECK(types.at("c") == DType::kFloat);
  CHECK_FALSE(types.contains("d"));
  CHECK_FALSE(types.contains("y"));
}

}  // namespace
}  // namespace roundel::graph
