#pragma once
// Operators of com.microsoft on 8-bit codes.

#include <vector>

#include "tests/support/op_case.h"

// The graphs are read better than their lines are wrapped.
// clang-format off

namespace roundel::op_cases {

inline const std::vector<OpCase> kContribInteger = {
  {"add", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[64,64] a, uint8[64,64] b, uint8[64] c, uint8[1] d) => (uint8 x, uint8 y, uint8 z, uint8 w) {
       float32[] sa = {0.023}
       uint8[] za = {117}
       float32[] sb = {0.031}
       uint8[] zb = {3}
       float32[] sy = {0.041}
       uint8[] zy = {90}
       x = com.microsoft.QLinearAdd(a, sa, za, b, sb, zb, sy, zy)
       y = com.microsoft.QLinearAdd(a, sa, za, c, sb, zb, sy, zy)
       z = com.microsoft.QLinearAdd(d, sa, za, b, sb, zb, sy, zy)
       w = com.microsoft.QLinearAdd(a, sa, za, d, sb, zb, sy, zy)
     })"},
  {"add_signed", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (int8[64,64] a, int8[64,64] b) => (int8 x) {
       float32[] sa = {0.023}
       int8[] za = {-17}
       float32[] sb = {0.031}
       int8[] zb = {3}
       float32[] sy = {0.041}
       int8[] zy = {-90}
       x = com.microsoft.QLinearAdd(a, sa, za, b, sb, zb, sy, zy)
     })"},
  {"mul", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[64,64] a, uint8[64,64] b, uint8[64] c, int8[30,1,30] e, int8[30,1] f) => (uint8 x, uint8 y, int8 z) {
       float32[] sa = {0.023}
       uint8[] za = {117}
       float32[] sb = {0.031}
       uint8[] zb = {3}
       float32[] sy = {0.041}
       uint8[] zy = {90}
       int8[] m = {-5}
       x = com.microsoft.QLinearMul(a, sa, za, b, sb, zb, sy, zy)
       y = com.microsoft.QLinearMul(a, sa, za, c, sb, zb, sy, zy)
       z = com.microsoft.QLinearMul(e, sa, m, f, sb, m, sy, m)
     })"},
  {"unary", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[40,40] a, int8[40,40] b) => (uint8 x, int8 y, uint8 z, int8 w) {
       float32[] sa = {0.053}
       uint8[] za = {117}
       int8[] zb = {-10}
       float32[] sy = {0.0039}
       uint8[] zy = {0}
       int8[] zw = {-128}
       float32[] sl = {0.047}
       x = com.microsoft.QLinearSigmoid(a, sa, za, sy, zy)
       y = com.microsoft.QLinearSigmoid(b, sa, zb, sy, zw)
       z = com.microsoft.QLinearLeakyRelu<alpha=0.1>(a, sa, za, sl, za)
       w = com.microsoft.QLinearLeakyRelu<alpha=0.3>(b, sa, zb, sl, zb)
     })"},
  {"softmax", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[10,4,50] a, int8[10,4,50] b) => (uint8 x, int8 y, uint8 z, uint8 w) {
       float32[] sa = {0.053}
       uint8[] za = {117}
       int8[] zb = {-10}
       float32[] sy = {0.00390625}
       uint8[] zy = {0}
       int8[] zw = {-128}
       x = com.microsoft.QLinearSoftmax<axis=-1, opset=13>(a, sa, za, sy, zy)
       y = com.microsoft.QLinearSoftmax<axis=-1, opset=13>(b, sa, zb, sy, zw)
       z = com.microsoft.QLinearSoftmax<axis=1, opset=13>(a, sa, za, sy, zy)
       w = com.microsoft.QLinearSoftmax<axis=1, opset=12>(a, sa, za, sy, zy)
     })", 0, 0, 0},
  {"concat", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[3,40] a, uint8[5,40] b, uint8[2,40] c) => (uint8 x) {
       float32[] sa = {0.053}
       uint8[] za = {117}
       float32[] sb = {0.031}
       uint8[] zb = {3}
       x = com.microsoft.QLinearConcat<axis=0>(sa, za, a, sa, za, b, sb, zb, c, sa, zb)
     })"},
  {"where", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (bool[3,40] n, uint8[3,40] a, uint8[40] b) => (uint8 x) {
       float32[] sa = {0.053}
       uint8[] za = {117}
       float32[] sb = {0.031}
       uint8[] zb = {3}
       x = com.microsoft.QLinearWhere(n, a, sa, za, b, sb, zb, sa, zb)
     })"},
  {"global_average", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[3,40,5,7] a, int8[3,5,7,40] b) => (uint8 x, int8 y) {
       float32[] sa = {0.053}
       uint8[] za = {117}
       int8[] zb = {-10}
       float32[] sy = {0.0171}
       uint8[] zy = {100}
       x = com.microsoft.QLinearGlobalAveragePool(a, sa, za, sy, zy)
       y = com.microsoft.QLinearGlobalAveragePool<channels_last=1>(b, sa, zb, sy, zb)
     })"},
  {"average_pool", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[3,10,8,9] a, int8[3,8,9,10] b) => (uint8 x, int8 y, uint8 z) {
       float32[] sa = {0.053}
       uint8[] za = {117}
       int8[] zb = {-10}
       float32[] sy = {0.0371}
       uint8[] zy = {100}
       x = com.microsoft.QLinearAveragePool<kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1]>(a, sa, za, sy, zy)
       y = com.microsoft.QLinearAveragePool<kernel_shape=[2,2], channels_last=1>(b, sa, zb, sy, zb)
       z = com.microsoft.QLinearAveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1, ceil_mode=1, strides=[2,2]>(a, sa, za, sy, zy)
     })"},
};

// Sums of products, which are exact on machines with a dot product of bytes alone.
inline const std::vector<OpCase> kContribProducts = {
  {"conv_channels_last", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[2,7,8,6] x) => (uint8 y) {
       int8[4,3,3,3] w = zeros
       float32[] sx = {0.02}
       uint8[] zx = {120}
       float32[4] sw = {0.01, 0.02, 0.015, 0.012}
       int8[4] zw = {0, 0, 0, 0}
       float32[] sy = {0.3}
       uint8[] zy = {100}
       int32[4] b = {100, -2000, 3000, 17}
       y = com.microsoft.QLinearConv<channels_last=1, group=2, pads=[1,1,1,1], kernel_shape=[3,3]>(x, sx, zx, w, sw, zw, sy, zy, b)
     })"},
  {"conv_and_matmul", R"(ir_version 8 opset 17
     graph g (uint8[2,6,7,8] x, uint8[3,20] a) => (uint8 y, uint8 m) {
       int8[4,6,3,3] w = zeros
       float32[] sx = {0.02}
       uint8[] zx = {120}
       float32[1] sw = {0.01}
       int8[1] zw = {3}
       float32[] sy = {0.3}
       uint8[] zy = {100}
       y = QLinearConv<strides=[2,1]>(x, sx, zx, w, sw, zw, sy, zy)
       uint8[20,6] v = zeros
       uint8[] zv = {130}
       float32[] sv = {0.01}
       m = QLinearMatMul(a, sx, zx, v, sv, zv, sy, zy)
     })"},
  {"gemm", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[5,20] a, int8[20,5] t) => (uint8 y, float32 z, int8 w) {
       int8[20,6] b = zeros
       int8[6,20] bt = zeros
       float32[] sa = {0.02}
       uint8[] za = {120}
       float32[6] sb = {0.01, 0.02, 0.015, 0.012, 0.03, 0.01}
       int8[6] zb = {0, 0, 0, 0, 0, 0}
       float32[] s1 = {0.01}
       int8[] z1 = {3}
       float32[] sy = {0.3}
       uint8[] zy = {100}
       int8[] zw = {10}
       int32[6] c = {100, -2000, 3000, 17, 0, 50}
       y = com.microsoft.QGemm(a, sa, za, b, sb, zb, c, sy, zy)
       z = com.microsoft.QGemm<transB=1, alpha=0.7>(a, sa, za, bt, s1, z1)
       w = com.microsoft.QGemm<transA=1, transB=1>(t, sa, z1, bt, s1, z1, "", sy, zw)
     })"},
  {"to_float", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[2,5,20] a, float32[2,5,20] x, float32[6] c) => (float32 y, float32 z, float32 w, float32 v) {
       int8[20,6] b = zeros
       float32[] sa = {0.02}
       uint8[] za = {120}
       float32[6] sb = {0.01, 0.02, 0.015, 0.012, 0.03, 0.01}
       int8[6] zb = {0, 1, 0, -5, 0, 9}
       float32[] s1 = {0.01}
       int8[] z1 = {3}
       y = com.microsoft.MatMulIntegerToFloat(a, b, sa, sb, za, zb, c)
       z = com.microsoft.MatMulIntegerToFloat(a, b, sa, s1)
       w = com.microsoft.DynamicQuantizeMatMul(x, b, sb, zb, c)
       v = com.microsoft.DynamicQuantizeMatMul(x, b, s1)
     })"},
  {"lstm", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[5,2,8] x, float32[2,48] b) => (float32 y, float32 h, float32 c) {
       int8[2,8,24] w = zeros
       int8[2,6,24] r = zeros
       float32[2] sw = {0.004, 0.005}
       int8[2] zw = {0, 0}
       y, h, c = com.microsoft.DynamicQuantizeLSTM<hidden_size=6, direction="bidirectional">(x, w, r, b, "", "", "", "", sw, zw, sw, zw)
     })"},
  {"lstm_columns", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[7,3,30] x, float32[1,3,40] h0, float32[1,3,40] c0, float32[1,120] p) => (float32 y, float32 h, float32 c) {
       uint8[1,30,160] w = zeros
       uint8[1,40,160] r = zeros
       float32[1,160] sw = random(1, 0.001, 0.006)
       float32[1,160] sr = random(2, 0.001, 0.006)
       uint8[1,1] zu = {131}
       int64[2] columns = {1, 160}
       z = Expand(zu, columns)
       y, h, c = com.microsoft.DynamicQuantizeLSTM<hidden_size=40, direction="reverse", clip=3.0>(x, w, r, "", "", h0, c0, p, sw, z, sr, z)
     })"},
  {"lstm_lengths", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[6,3,10] x, float32[2,64] b) => (float32 y, float32 h, float32 c) {
       uint8[2,10,32] w = zeros
       uint8[2,8,32] r = zeros
       int32[3] n = {4, 1, 5}
       float32[2] s = {0.006, 0.004}
       uint8[2] z = {128, 120}
       y, h, c = com.microsoft.DynamicQuantizeLSTM<hidden_size=8, direction="bidirectional">(x, w, r, b, n, "", "", "", s, z, s, z)
     })"},
  {"attention", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[2,5,12] x, float32[48] b) => (float32 y, float32 z) {
       int8[12,48] w = zeros
       uint8[12,48] u = zeros
       float32[] sx = {0.02}
       uint8[] zx = {120}
       float32[48] sw = random(1, 0.002, 0.01)
       int8[48] zw = zeros
       float32[] su = {0.006}
       uint8[] zu = {130}
       int32[2,5] m = {1,1,1,1,0, 1,1,1,0,0}
       y = com.microsoft.QAttention<num_heads=4>(x, w, b, sx, sw, m, zx, zw)
       z = com.microsoft.QAttention<num_heads=2, unidirectional=1>(x, u, b, sx, su, "", zx, zu)
     })"},
  {"attention_past", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[2,3,12] x, float32[48] b, float32[2,2,4,6,4] p) => (float32 y, float32 n) {
       int8[12,48] w = zeros
       float32[] sx = {0.02}
       uint8[] zx = {120}
       float32[] sw = {0.005}
       int8[] zw = {0}
       y, n = com.microsoft.QAttention<num_heads=4, unidirectional=1>(x, w, b, sx, sw, "", zx, zw, p)
     })"},
};

}  // namespace roundel::op_cases

// clang-format on
