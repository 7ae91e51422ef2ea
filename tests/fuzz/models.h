#pragma once
// Models in text form (lib/graph/text.h) that fuzz targets and their seeds share.

namespace roundel::fuzz {

// Weights of every kind of layer, for encodings of them.
inline constexpr const char* kLayers = R"(opset 17
graph layers (float32[1,2,4,4] x) => (float32[1,3,4,2] y) {
  float32[2,2,1,1] w = {-1.28, 1.0, 0.5, -0.5}
  float32[2] b = {0.5, -0.25}
  float32[2,2,1,1] u = {0.75, 0.25, 0.1, -0.4}
  float32[4,3] m = random(1)
  float32[3,4] g = random(2)
  float32[2,4] t = random(3)
  conv = Conv(x, w, b)
  up = ConvTranspose(conv, u)
  mat = MatMul(up, m)
  gemm = MatMul(mat, g)
  transposed = Transpose<perm=[1,0]>(t)
  y = MatMul(gemm, transposed)
}
)";

// Attributes of every kind, sub-graphs, a function, symbols, several element types.
inline constexpr const char* kModels[] = {
    R"(opset 17
graph g (float32[N,2] x) => (float32[N,2] y) {
  float32[2] w = {1, 2}
  y = Add(x, w)
}
)",
    R"(opset 17
graph g (bool[] c, float32[2] x) => (float32[2] y) {
  y = If<then_branch=graph a () => (float32[2] s) { s = Neg(x) }, else_branch=graph b () => (float32[2] d) { d = Abs(x) }>(c)
}
)",
    R"(opset 17, com.x 1
function com.x.Twice<alpha, beta=1.0>(a) => (b) {
  opset 17
  t = Elu<alpha=@alpha>(a)
  b = Add(t, t)
}
graph g (float32[2,3] x) => (float32[2,3] y) {
  y = com.x.Twice<alpha=0.5>(x)
}
)",
    R"(ir_version 9 opset 19
metadata "author" = "me"
graph g (float32[1,2,8,8] x) => (float32[1,4,3,3] y, int64[] n, float16[2] h) {
  float32[4,2,3,3] w = random(1)
  float16[2] k = {1, -0.5}
  int64[] seven = {7}
  int8[3] codes = {-1, 0, 127}
  string[2] words = {"a", "b"}
  float32[1,4,6,6] c
  [first] c = Conv<kernel_shape=[3,3], pads=[0,0,0,0], group=1, auto_pad="NOTSET">(x, w)
  y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(c)
  n = Identity(seven)
  h = Identity(k)
}
)",
};

}  // namespace roundel::fuzz
