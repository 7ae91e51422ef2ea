#pragma once
// Attention of the default domain.

#include <vector>

#include "tests/support/op_case.h"

// The graphs are read better than their lines are wrapped.
// clang-format off

namespace roundel::op_cases {

inline const std::vector<OpCase> kAttention = {
  {"plain_4d", R"(ir_version 10 opset 23
     graph g (float32[2,3,4,8] q, float32[2,3,6,8] k, float32[2,3,6,10] v) => (float32 y) {
       y = Attention(q, k, v)
     })"},
  {"plain_3d_gqa", R"(ir_version 10 opset 23
     graph g (float32[2,4,48] q, float32[2,6,16] k, float32[2,6,20] v) => (float32 y) {
       y = Attention<q_num_heads=6, kv_num_heads=2, scale=0.3>(q, k, v)
     })"},
  {"bool_mask_causal", R"(ir_version 10 opset 23
     graph g (float32[2,3,5,8] q, float32[2,3,5,8] k, float32[2,3,5,8] v) => (float32 y) {
       bool[5,5] m = {1,0,1,1,1, 1,1,0,0,1, 1,0,1,1,0, 1,1,1,1,1, 1,1,0,1,1}
       y = Attention<is_causal=1>(q, k, v, m)
     })"},
  {"float_mask_softcap", R"(ir_version 10 opset 23
     graph g (float32[2,4,5,8] q, float32[2,2,7,8] k, float32[2,2,7,8] v, float32[2,1,5,7] m) => (float32 y) {
       y = Attention<softcap=1.5>(q, k, v, m)
     })"},
  {"cache", R"(ir_version 10 opset 23
     graph g (float32[2,3,2,8] q, float32[2,3,2,8] k, float32[2,3,2,8] v,
              float32[2,3,4,8] pk, float32[2,3,4,8] pv) => (float32 y, float32 nk, float32 nv) {
       y, nk, nv = Attention(q, k, v, "", pk, pv)
     })"},
  {"cache_causal_3d", R"(ir_version 10 opset 23
     graph g (float32[2,2,24] q, float32[2,2,24] k, float32[2,2,24] v,
              float32[2,3,4,8] pk, float32[2,3,4,8] pv) => (float32 y, float32 nk, float32 nv) {
       y, nk, nv = Attention<is_causal=1, q_num_heads=3, kv_num_heads=3>(q, k, v, "", pk, pv)
     })"},
  {"scores_raw", R"(ir_version 10 opset 23
     graph g (float32[1,3,4,8] q, float32[1,3,6,8] k, float32[1,3,6,8] v, float32[4,6] m) => (float32 y, float32 s) {
       y, "", "", s = Attention<softcap=2.0, qk_matmul_output_mode=0>(q, k, v, m)
     })"},
  {"scores_1", R"(ir_version 10 opset 23
     graph g (float32[1,3,4,8] q, float32[1,3,6,8] k, float32[1,3,6,8] v, float32[4,6] m) => (float32 y, float32 s) {
       y, "", "", s = Attention<softcap=2.0, qk_matmul_output_mode=1>(q, k, v, m)
     })"},
  {"scores_2", R"(ir_version 10 opset 23
     graph g (float32[1,3,4,8] q, float32[1,3,6,8] k, float32[1,3,6,8] v, float32[4,6] m) => (float32 y, float32 s) {
       y, "", "", s = Attention<softcap=2.0, qk_matmul_output_mode=2>(q, k, v, m)
     })"},
  {"scores_softmax", R"(ir_version 10 opset 23
     graph g (float32[1,3,4,8] q, float32[1,3,6,8] k, float32[1,3,6,8] v, float32[4,6] m) => (float32 y, float32 s) {
       y, "", "", s = Attention<qk_matmul_output_mode=3>(q, k, v, m)
     })"},
  {"padding_of_keys", R"(ir_version 11 opset 24
     graph g (float32[2,3,4,8] q, float32[2,3,6,8] k, float32[2,3,6,8] v) => (float32 y) {
       int64[2] n = {6, 4}
       y = Attention(q, k, v, "", "", "", n)
     })"},
  {"padding_causal", R"(ir_version 11 opset 24
     graph g (float32[2,3,4,8] q, float32[2,3,6,8] k, float32[2,3,6,8] v) => (float32 y) {
       int64[2] n = {6, 5}
       y = Attention<is_causal=1>(q, k, v, "", "", "", n)
     })"},
  {"half", R"(ir_version 10 opset 23
     graph g (float16[2,3,4,8] q, float16[2,3,6,8] k, float16[2,3,6,8] v) => (float16 y) {
       y = Attention(q, k, v)
     })", 2e-3},
};

}  // namespace roundel::op_cases

// clang-format on
