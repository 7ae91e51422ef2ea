#pragma once
// Fused operators of floats, and weights of few bits, of com.microsoft.

#include <vector>

#include "tests/support/op_case.h"

// The graphs are read better than their lines are wrapped.
// clang-format off

namespace roundel::op_cases {

inline const std::vector<OpCase> kContribFused = {
  {"gelus", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[3,8] x, float32[8] b) => (float32 c, float32 d, float32 e, float32 f, float32 h) {
       c = com.microsoft.Gelu(x)
       d = com.microsoft.FastGelu(x)
       e = com.microsoft.FastGelu(x, b)
       f = com.microsoft.BiasGelu(x, b)
       h = com.microsoft.QuickGelu<alpha=1.3>(x)
     })"},
  {"skip_layer_norm", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,3,8] x, float32[2,3,8] s, float32[8] g, float32[8] b, float32[8] c) => (float32 y, float32 z, float32 sum) {
       y = com.microsoft.SkipLayerNormalization<epsilon=0.001>(x, s, g, b)
       z, "", "", sum = com.microsoft.SkipLayerNormalization(x, s, g, b, c)
     })"},
  {"skip_repeats", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,3,8] x, float32[1,3,8] s, float32[3,8] t, float32[8] g) => (float32 y, float32 z) {
       y = com.microsoft.SkipLayerNormalization(x, s, g)
       z = com.microsoft.SkipLayerNormalization(x, t, g)
     })"},
  {"simplified", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,3,8] x, float32[2,3,8] s, float32[8] g, float32[8] c) => (float32 y, float32 z, float32 sum, float32 w) {
       w = SimplifiedLayerNormalization<axis=-1, epsilon=0.01, stash_type=1>(x, g)
       y = com.microsoft.SkipSimplifiedLayerNormalization<epsilon=0.001>(x, s, g)
       z, "", "", sum = com.microsoft.SkipSimplifiedLayerNormalization(x, s, g, c)
     })"},
  {"layer_norm_of_old_opset", R"(ir_version 7 opset 13
     graph g (float32[2,3,8] x, float32[8] g, float32[8] b) => (float32 y) {
       y = LayerNormalization<axis=-1, epsilon=0.01>(x, g, b)
     })"},
  {"embed", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[10,8] w, float32[6,8] p, float32[2,8] t, float32[8] g, float32[8] b) => (float32 y, int32 m, float32 z, float32 sum) {
       int32[2,4] ids = {1,2,3,9, 0,5,5,7}
       int32[2,4] types = {0,0,1,1, 0,1,1,1}
       int32[2,4] mask = {1,1,1,0, 1,1,0,0}
       int32[2,4] places = {3,2,1,0, 5,4,3,2}
       y, m = com.microsoft.EmbedLayerNormalization<epsilon=0.001>(ids, types, w, p, t, g, b, mask)
       z, n, sum = com.microsoft.EmbedLayerNormalization(ids, "", w, p, "", g, b, "", places)
     })"},
  {"fused_matmul", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,3,4,5] a, float32[2,3,4,6] b, float32[3,2,5,4] c, float32[4,2,3,5] e) => (float32 y, float32 z, float32 w, float32 u) {
       y = com.microsoft.FusedMatMul<transA=1, alpha=0.5>(a, b)
       z = com.microsoft.FusedMatMul<transB=1>(a, a)
       w = com.microsoft.FusedMatMul<transBatchA=1, transB=1>(e, e2)
       u = com.microsoft.TransposeMatMul<transA=1>(a, b)
       e2 = Transpose<perm=[1,2,0,3]>(e)
     })"},
  {"fused_gemm", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[5,4] a, float32[5,6] b, float32[6] c) => (float32 y, float32 z) {
       y = com.microsoft.FusedGemm<transA=1, alpha=0.5, beta=2.0, activation="Relu">(a, b, c)
       z = com.microsoft.FusedGemm<transA=1, activation="LeakyRelu", activation_alpha=0.2>(a, b, c)
     })"},
  {"fused_conv", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[1,3,6,6] x, float32[4,3,3,3] w, float32[4] b, float32[1,4,6,6] s) => (float32 y, float32 z, float32 u, float32 v) {
       y = com.microsoft.FusedConv<activation="Relu", pads=[1,1,1,1], kernel_shape=[3,3]>(x, w, b, s)
       z = com.microsoft.FusedConv<activation="Clip", activation_params=[-0.5,1.0], pads=[1,1,1,1]>(x, w)
       u = com.microsoft.FusedConv<activation="HardSigmoid", activation_params=[0.3,0.4]>(x, w)
       v = com.microsoft.FusedConv<activation="LeakyRelu", activation_params=[0.3]>(x, w, b)
     })"},
  {"nhwc_max_pool", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (uint8[1,6,7,3] x, int8[2,5,5,2] z) => (uint8 y, int8 w) {
       y = com.microsoft.NhwcMaxPool<kernel_shape=[3,2], strides=[2,2], pads=[1,0,1,1]>(x)
       w = com.microsoft.NhwcMaxPool<kernel_shape=[2,2]>(z)
     })"},
  {"half", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float16[2,3,8] x, float16[2,3,8] s, float16[8] g, float16[8] b) => (float16 y, float16 z, float16 sum) {
       y = com.microsoft.SkipLayerNormalization<epsilon=0.001>(x, s, g, b)
       z, "", "", sum = com.microsoft.SkipSimplifiedLayerNormalization(x, s, g, b)
     })", 2e-3},
  {"inverse_trilu", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,4,4] x) => (float32 y, float32 z, float32 p) {
       int64[] k = {1}
       y = com.microsoft.Inverse(x)
       z = com.microsoft.Trilu<upper=0>(x, k)
       int64[6] pads = {0,1,2,0,1,0}
       float32[1] v = {2}
       p = com.microsoft.Pad(x, pads, v)
     })", 1e-4},
};

inline const std::vector<OpCase> kBlockWeights = {
  {"bits_4", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[3,40] a) => (float32 y, float32 z) {
       uint8[6,3,8] b = zeros
       float32[18] s = random(1)
       uint8[12] p = zeros
       float32[6] c = random(2)
       y = com.microsoft.MatMulNBits<K=40, N=6, bits=4, block_size=16>(a, b, s)
       z = com.microsoft.MatMulNBits<K=40, N=6, bits=4, block_size=16>(a, b, s, p, "", c)
     })"},
  {"bits_4_float_points", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,3,64] a) => (float32 y) {
       uint8[6,2,16] b = zeros
       float32[6,2] s = random(1)
       float32[6,2] p = random(2, 0, 15)
       y = com.microsoft.MatMulNBits<K=64, N=6, bits=4, block_size=32>(a, b, s, p)
     })"},
  {"half", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float16[3,40] a) => (float16 y) {
       uint8[6,3,8] b = zeros
       float16[18] s = random(1)
       uint8[12] p = zeros
       y = com.microsoft.MatMulNBits<K=40, N=6, bits=4, block_size=16>(a, b, s, p)
     })", 2e-3},
  {"bnb4", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,3,40] a, float32[2,9] e) => (float32 y, float32 z, float32 w) {
       uint8[120] b = zeros
       float32[15] s = random(1, 0.1, 2)
       uint8[32] c = zeros
       float32[2] t = {0.7, 1.3}
       y = com.microsoft.MatMulBnb4<K=40, N=6, block_size=16, quant_type=0>(a, b, s)
       z = com.microsoft.MatMulBnb4<K=40, N=6, block_size=16, quant_type=1>(a, b, s)
       w = com.microsoft.MatMulBnb4<K=9, N=7, block_size=32, quant_type=1>(e, c, t)
     })"},
  {"bits_8", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[3,40] a) => (float32 y, float32 z) {
       uint8[6,3,16] b = zeros
       float32[18] s = random(1, 0, 0.1)
       uint8[18] p = zeros
       y = com.microsoft.MatMulNBits<K=40, N=6, bits=8, block_size=16>(a, b, s)
       z = com.microsoft.MatMulNBits<K=40, N=6, bits=8, block_size=16>(a, b, s, p)
     })", 1e-4},
  {"bits_2", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[3,128] a) => (float32 y, float32 z) {
       uint8[8,2,16] b = zeros
       float32[16] s = random(1)
       uint8[8] p = zeros
       y = com.microsoft.MatMulNBits<K=128, N=8, bits=2, block_size=64>(a, b, s)
       z = com.microsoft.MatMulNBits<K=128, N=8, bits=2, block_size=64>(a, b, s, p)
     })"},
  {"groups", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[3,32] a) => (float32 y) {
       uint8[6,2,8] b = zeros
       float32[12] s = random(1)
       int32[32] g = {0,1,0,1,0,1,0,1,0,1,0,1,0,1,0,1,1,1,1,1,0,0,0,0,1,1,1,1,0,0,0,0}
       y = com.microsoft.MatMulNBits<K=32, N=6, bits=4, block_size=16>(a, b, s, "", g)
     })"},
  {"gather_uint4", R"(ir_version 10 opset 21, com.microsoft 1
     graph g (float32[3] unused) => (float32 y, float32 z) {
       uint4[5,32] d = zeros
       float32[5,2] s = random(1)
       uint4[5,2] p = zeros
       int64[2,2] i = {0, 4, 2, -1}
       y = com.microsoft.GatherBlockQuantized<gather_axis=0, quantize_axis=1, block_size=16>(d, i, s, p)
       z = com.microsoft.GatherBlockQuantized<gather_axis=0, quantize_axis=1, block_size=16>(d, i, s)
     })"},
  {"gather_int4", R"(ir_version 10 opset 21, com.microsoft 1
     graph g (float32[3] unused) => (float32 y) {
       int4[20,6] d = zeros
       float32[2,6] s = random(1)
       int32[3] i = {0, 4, 2}
       y = com.microsoft.GatherBlockQuantized<gather_axis=1, quantize_axis=0, block_size=16>(d, i, s)
     })"},
  {"gather_uint8", R"(ir_version 10 opset 21, com.microsoft 1
     graph g (float32[3] unused) => (float32 y, float32 z, float32 w) {
       uint8[5,32] d = zeros
       float32[5,4] s = random(1)
       uint8[5,2] p = zeros
       int64[2] i = {4, 1}
       float32[5,2] t = random(2)
       uint8[5,2] q = zeros
       y = com.microsoft.GatherBlockQuantized<gather_axis=0, quantize_axis=1, block_size=16>(d, i, s, p)
       z = com.microsoft.GatherBlockQuantized<gather_axis=0, quantize_axis=1, block_size=16>(d, i, s)
       w = com.microsoft.GatherBlockQuantized<gather_axis=0, quantize_axis=1, block_size=16, bits=8>(d, i, t, q)
     })"},
};

}  // namespace roundel::op_cases

// clang-format on
