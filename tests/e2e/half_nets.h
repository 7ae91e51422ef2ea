#pragma once
// Networks in float32 that tests give other floating types.

#include "lib/tensor/tensor.h"

namespace roundel::e2e {

struct Net {
  const char* name;
  const char* text;
  Shape input;
};

inline const Net kConvNet = {"conv",
                             R"(opset 17
graph g (float32[N,3,17,15] x) => (float32[N,10] y) {
  float32[16,3,3,3] w1 = random(1)
  float32[16] b1 = random(2)
  float32[16] g1 = random(3, 0.5, 1.5)
  float32[16] n1 = random(4)
  float32[16] m1 = random(5)
  float32[16] v1 = random(6, 0.5, 1.5)
  float32[16,1,3,3] w2 = random(7)
  float32[24,16,1,1] w3 = random(8, -0.4, 0.4)
  float32[24,24,1,1] w4 = random(9, -0.3, 0.3)
  float32[24,10] w5 = random(10, -0.3, 0.3)
  float32[10] b5 = random(11)
  float32[] lo = {0}
  float32[] hi = {6}
  float32[4] twice = {1, 1, 2, 2}
  c1 = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w1, b1)
  n = BatchNormalization(c1, g1, n1, m1, v1)
  r1 = Clip(n, lo, hi)
  c2 = Conv<pads=[1,1,1,1], group=16>(r1, w2)
  r2 = Relu(c2)
  c3 = Conv(r2, w3)
  s = Sigmoid(c3)
  c4 = Mul(c3, s)
  c5 = Conv(c4, w4)
  a = Add(c4, c5)
  u = Resize<mode="linear">(a, "", twice)
  p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(u)
  m = GlobalAveragePool(p)
  f = Flatten(m)
  y = Gemm(f, w5, b5)
})",
                             {2, 3, 17, 15}};

// One layer of an encoder, its normalization as an operator and its Gelu written out.
inline const Net kTransformer = {"transformer",
                                 R"(opset 17
graph g (float32[N,7,32] x) => (float32[N,7,32] y) {
  float32[32] g1 = random(1, 0.5, 1.5)
  float32[32] b1 = random(2)
  float32[32,96] wqkv = random(3, -0.3, 0.3)
  float32[96] bqkv = random(4)
  float32[32,32] wo = random(5, -0.3, 0.3)
  float32[32] g2 = random(6, 0.5, 1.5)
  float32[32] b2 = random(7)
  float32[32,64] wi = random(8, -0.3, 0.3)
  float32[64,32] wf = random(9, -0.2, 0.2)
  float32[] root = {1.4142135}
  float32[] one = {1}
  float32[] half = {0.5}
  float32[] scale = {0.35355338}
  int64[4] heads = {0, 7, 4, 8}
  int64[3] joined = {0, 7, 32}
  int64[3] sizes = {32, 32, 32}
  n1 = LayerNormalization(x, g1, b1)
  qkv0 = MatMul(n1, wqkv)
  qkv = Add(qkv0, bqkv)
  q0, k0, v0 = Split<axis=2>(qkv, sizes)
  q1 = Reshape(q0, heads)
  q = Transpose<perm=[0,2,1,3]>(q1)
  k1 = Reshape(k0, heads)
  k = Transpose<perm=[0,2,3,1]>(k1)
  v1 = Reshape(v0, heads)
  v = Transpose<perm=[0,2,1,3]>(v1)
  s0 = MatMul(q, k)
  s1 = Mul(s0, scale)
  s = Softmax(s1)
  o0 = MatMul(s, v)
  o1 = Transpose<perm=[0,2,1,3]>(o0)
  o2 = Reshape(o1, joined)
  o = MatMul(o2, wo)
  h = Add(x, o)
  n2 = LayerNormalization(h, g2, b2)
  i = MatMul(n2, wi)
  e0 = Div(i, root)
  e1 = Erf(e0)
  e2 = Add(e1, one)
  e3 = Mul(i, e2)
  e = Mul(e3, half)
  f = MatMul(e, wf)
  y = Add(h, f)
})",
                                 {2, 7, 32}};

// A product before, inside of and behind an If, with a constant that both branches capture.
inline const Net kBranches = {"branches",
                              R"(opset 17
graph g (float32[N,24] x) => (float32[N,16] y) {
  float32[24,32] w1 = random(1, -0.3, 0.3)
  float32[32,32] w2 = random(2, -0.3, 0.3)
  float32[32,16] w3 = random(3, -0.3, 0.3)
  float32[32] b = random(4)
  float32[] zero = {0}
  h = MatMul(x, w1)
  m = ReduceMean<keepdims=0>(h)
  c = Greater(m, zero)
  z = If<then_branch=graph t () => (float32[N,32] p) {
    q = MatMul(h, w2)
    p = Add(q, b)
  }, else_branch=graph e () => (float32[N,32] r) {
    s = Add(h, b)
    r = Tanh(s)
  }>(c)
  f = Relu(z)
  y = MatMul(f, w3)
})",
                              {3, 24}};

// A state that a Loop carries.
inline const Net kLoop = {"loop",
                          R"(opset 17
graph g (float32[N,16] x) => (float32[N,8] y) {
  float32[16,16] w = random(1, -0.3, 0.3)
  float32[16,8] v = random(2, -0.4, 0.4)
  int64[] trips = {3}
  bool[] go = {1}
  h = Relu(x)
  state, all = Loop<body=graph b (int64[] i, bool[] go_on, float32[N,16] s) => (bool[] go_out, float32[N,16] next, float32[N,16] seen) {
    m = MatMul(s, w)
    next = Tanh(m)
    seen = Identity(next)
    go_out = Identity(go_on)
  }>(trips, go, h)
  t = ReduceSum<keepdims=0>(all, axes)
  int64[1] axes = {0}
  a = Add(state, t)
  y = MatMul(a, v)
})",
                          {2, 16}};

// Products behind a Transpose of the first axis.
inline const Net kTransposed = {"transposed",
                                R"(opset 17
graph g (float32[5,N,12] x) => (float32[5,N,6] y) {
  float32[12,16] w = random(1, -0.4, 0.4)
  float32[16,6] v = random(2, -0.4, 0.4)
  t = Transpose<perm=[1,0,2]>(x)
  h = MatMul(t, w)
  r = Relu(h)
  u = Transpose<perm=[1,0,2]>(r)
  y = MatMul(u, v)
})",
                                {5, 2, 12}};

// Recurrent layers, which have no grids, between products that have.
inline const Net kRecurrent = {"recurrent",
                               R"(opset 17
graph g (float32[5,N,12] x) => (float32[5,N,6] y) {
  float32[12,16] w = random(1, -0.4, 0.4)
  float32[1,48,16] gw = random(2, -0.3, 0.3)
  float32[1,48,16] gr = random(3, -0.3, 0.3)
  float32[1,96] gb = random(4, -0.2, 0.2)
  float32[16,6] v = random(5, -0.4, 0.4)
  int64[1] axis = {1}
  h = MatMul(x, w)
  g, last = GRU<hidden_size=16, linear_before_reset=1>(h, gw, gr, gb)
  s = Squeeze(g, axis)
  y = MatMul(s, v)
})",
                               {5, 2, 12}};

}  // namespace roundel::e2e
