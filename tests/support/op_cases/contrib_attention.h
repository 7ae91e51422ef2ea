#pragma once
// Attention operators of com.microsoft.

#include <vector>

#include "tests/support/op_case.h"

// The graphs are read better than their lines are wrapped.
// clang-format off

namespace roundel::op_cases {

inline const std::vector<OpCase> kContribAttention = {
  {"rotary_offset", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,4,24] x, float32[10,4] c, float32[10,4] s) => (float32 y) {
       int64[1] p = {3}
       y = com.microsoft.RotaryEmbedding(x, p, c, s)
     })"},
  {"rotary_4d_interleaved", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,3,4,8] x, float32[10,4] c, float32[10,4] s) => (float32 y) {
       int64[2,4] p = {0,1,2,3, 5,6,9,1}
       y = com.microsoft.RotaryEmbedding<interleaved=1>(x, p, c, s)
     })"},
  {"rotary_partial", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,4,24] x, float32[10,2] c, float32[10,2] s) => (float32 y) {
       int64[2,4] p = {0,1,2,3, 5,6,9,1}
       y = com.microsoft.RotaryEmbedding<num_heads=3, rotary_embedding_dim=4>(x, p, c, s)
     })"},
  {"attention", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,5,12] x, float32[12,48] w, float32[48] b) => (float32 y) {
       y = com.microsoft.Attention<num_heads=4>(x, w, b)
     })"},
  {"attention_causal_mask", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,5,12] x, float32[12,44] w, float32[44] b) => (float32 y) {
       int32[2,5] m = {1,1,1,1,0, 1,1,1,0,0}
       y = com.microsoft.Attention<num_heads=4, unidirectional=1, qkv_hidden_sizes=[16,16,12]>(x, w, b, m)
     })"},
  {"attention_past", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,3,12] x, float32[12,48] w, float32[48] b, float32[2,2,4,6,4] p) => (float32 y, float32 n) {
       y, n = com.microsoft.Attention<num_heads=4, unidirectional=1, scale=0.4>(x, w, b, "", p)
     })"},
  {"attention_bias", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,5,12] x, float32[12,48] w, float32[48] b, float32[2,1,5,5] bias) => (float32 y) {
       y = com.microsoft.Attention<num_heads=4>(x, w, b, "", "", bias)
     })"},
  {"attention_ends", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,5,12] x, float32[12,48] w, float32[48] b) => (float32 y, float32 z) {
       int32[2] m = {4, 2}
       int32[4] n = {5, 4, 1, 0}
       y = com.microsoft.Attention<num_heads=4>(x, w, b, m)
       z = com.microsoft.Attention<num_heads=4>(x, w, b, n)
     })"},
  {"attention_mask_3d", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[1,3,12] x, float32[12,48] w, float32[48] b) => (float32 y) {
       int32[1,3,3] m = {1,0,1, 1,1,0, 0,0,1}
       y = com.microsoft.Attention<num_heads=4, mask_filter_value=-500.0>(x, w, b, m)
     })"},
  {"mha", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,4,24] q, float32[2,6,24] k, float32[2,6,30] v, float32[78] b) => (float32 y, float32 z) {
       y = com.microsoft.MultiHeadAttention<num_heads=3>(q, k, v)
       z = com.microsoft.MultiHeadAttention<num_heads=3, scale=0.2>(q, k, v, b)
     })"},
  {"mha_mask_bias", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,4,24] q, float32[2,6,24] k, float32[2,6,24] v, float32[1,3,4,6] a) => (float32 y, float32 z) {
       int32[2,6] m = {1,1,1,1,0,0, 1,1,1,1,1,0}
       int32[2] n = {3, 6}
       y = com.microsoft.MultiHeadAttention<num_heads=3>(q, k, v, "", m, a)
       z = com.microsoft.MultiHeadAttention<num_heads=3>(q, k, v, "", n)
     })"},
  {"mha_past", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,2,24] q, float32[2,2,24] k, float32[2,2,24] v, float32[72] b,
              float32[2,3,5,8] pk, float32[2,3,5,8] pv) => (float32 y, float32 nk, float32 nv) {
       y, nk, nv = com.microsoft.MultiHeadAttention<num_heads=3, unidirectional=1>(q, k, v, b, "", "", pk, pv)
     })"},
  {"mha_4d_keys", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,4,24] q, float32[2,3,6,8] k, float32[2,3,6,8] v) => (float32 y) {
       y = com.microsoft.MultiHeadAttention<num_heads=3>(q, k, v)
     })"},
};

inline const std::vector<OpCase> kGroupQuery = {
  {"prompt", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,4,32] q, float32[2,4,16] k, float32[2,4,16] v) => (float32 y, float32 nk, float32 nv) {
       int32[2] l = {3, 3}
       int32[] t = {4}
       y, nk, nv = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2>(q, k, v, "", "", l, t)
     })"},
  {"token_rotary", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,1,64] q, float32[2,1,32] k, float32[2,1,32] v, float32[2,2,6,16] pk, float32[2,2,6,16] pv,
              float32[16,8] c, float32[16,8] s) => (float32 y, float32 nk, float32 nv) {
       int32[2] l = {5, 5}
       int32[] t = {6}
       y, nk, nv = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2, do_rotary=1>(q, k, v, pk, pv, l, t, c, s)
     })"},
  {"token_grows", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[1,1,64] q, float32[1,1,32] k, float32[1,1,32] v, float32[1,2,6,16] pk, float32[1,2,6,16] pv,
              float32[16,8] c, float32[16,8] s) => (float32 y, float32 nk, float32 nv) {
       int32[1] l = {6}
       int32[] t = {7}
       y, nk, nv = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2, do_rotary=1, rotary_interleaved=1, softcap=2.0>(q, k, v, pk, pv, l, t, c, s)
     })"},
  {"several_tokens", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[1,3,64] q, float32[1,3,32] k, float32[1,3,32] v, float32[1,2,6,16] pk, float32[1,2,6,16] pv,
              float32[16,8] c, float32[16,8] s) => (float32 y, float32 nk, float32 nv) {
       int32[1] l = {8}
       int32[] t = {9}
       y, nk, nv = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2, do_rotary=1>(q, k, v, pk, pv, l, t, c, s)
     })"},
  {"window", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[1,7,32] q, float32[1,7,16] k, float32[1,7,16] v) => (float32 y, float32 nk, float32 nv) {
       int32[1] l = {6}
       int32[] t = {7}
       y, nk, nv = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2, local_window_size=3, scale=0.5>(q, k, v, "", "", l, t)
     })"},
  {"packed", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,3,128] q, float32[16,8] c, float32[16,8] s) => (float32 y, float32 nk, float32 nv) {
       int32[2] l = {2, 2}
       int32[] t = {3}
       y, nk, nv = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2, do_rotary=1>(q, "", "", "", "", l, t, c, s)
     })"},
  {"ragged_tokens", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[2,1,32] q, float32[2,1,16] k, float32[2,1,16] v, float32[2,2,8,8] pk, float32[2,2,8,8] pv) => (float32 y) {
       int32[2] l = {3, 6}
       int32[] t = {7}
       y, nk, nv = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2>(q, k, v, pk, pv, l, t)
     })"},
  {"smooth_and_bias", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[1,4,32] q, float32[1,4,16] k, float32[1,4,16] v, float32[1,1,4,4] a) => (float32 y, float32 z) {
       int32[1] l = {3}
       int32[] t = {4}
       y, nk, nv = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2, smooth_softmax=1>(q, k, v, "", "", l, t)
       z, nk2, nv2 = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2>(q, k, v, "", "", l, t, "", "", "", a)
     })"},
  {"sinks_and_scores", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[1,4,32] q, float32[1,4,16] k, float32[1,4,16] v, float32[4] h) => (float32 y, float32 s) {
       int32[1] l = {3}
       int32[] t = {4}
       y, nk, nv, s = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2, qk_output=2>(q, k, v, "", "", l, t, "", "", "", "", h)
     })"},
  {"scores_before", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float32[1,4,32] q, float32[1,4,16] k, float32[1,4,16] v) => (float32 y, float32 s) {
       int32[1] l = {3}
       int32[] t = {4}
       y, nk, nv, s = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2, qk_output=1, softcap=1.0>(q, k, v, "", "", l, t)
     })"},
  {"half", R"(ir_version 8 opset 17, com.microsoft 1
     graph g (float16[2,4,32] q, float16[2,4,16] k, float16[2,4,16] v) => (float16 y) {
       int32[2] l = {3, 3}
       int32[] t = {4}
       y, nk, nv = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2>(q, k, v, "", "", l, t)
     })", 2e-3},
};

}  // namespace roundel::op_cases

// clang-format on
