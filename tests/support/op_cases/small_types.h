#pragma once
// Quantizers of and casts to types of few bits.

#include <vector>

#include "tests/support/op_case.h"

// The graphs are read better than their lines are wrapped.
// clang-format off

namespace roundel::op_cases {

inline const std::vector<OpCase> kQuantizers = {
  {"int16_int4_uint4", R"(ir_version 10 opset 21
     graph g (float32[4,6] x) => (float32 a, float32 b, float32 c, float32 d) {
       float32[] s = {0.01}
       int16[] z = {-100}
       q = QuantizeLinear(x, s, z)
       a = DequantizeLinear(q, s, z)
       float32[] s4 = {0.3}
       int4[] z4 = {1}
       q4 = QuantizeLinear(x, s4, z4)
       b = DequantizeLinear(q4, s4, z4)
       uint4[] u4 = {7}
       qu4 = QuantizeLinear(x, s4, u4)
       c = DequantizeLinear(qu4, s4, u4)
       uint16[] z16 = {30000}
       q16 = QuantizeLinear(x, s, z16)
       d = DequantizeLinear(q16, s, z16)
     })"},
  {"blocked", R"(ir_version 10 opset 21
     graph g (float32[4,6] x) => (float32 a, int8 q) {
       float32[4,2] s = random(5, 0.01, 0.05)
       int8[4,2] z = {1,2,3,4,5,6,7,8}
       q = QuantizeLinear<axis=1, block_size=3>(x, s, z)
       a = DequantizeLinear<axis=1, block_size=3>(q, s, z)
     })"},
  {"output_dtype", R"(ir_version 10 opset 21
     graph g (float32[4,6] x) => (int8 q) {
       float32[] s = {0.02}
       q = QuantizeLinear<output_dtype=3>(x, s)
     })"},
  {"float8", R"(ir_version 9 opset 19
     graph g (float32[40] x) => (float32 a, float32 b, float32 c, float32 d, float32 e, float32 f) {
       p = Cast<to=17>(x)
       a = Cast<to=1>(p)
       r = Cast<to=18>(x)
       b = Cast<to=1>(r)
       t = Cast<to=19>(x)
       c = Cast<to=1>(t)
       u = Cast<to=20>(x)
       d = Cast<to=1>(u)
       float32[] big = {1e-4}
       y = Div(x, big)
       v = Cast<to=17, saturate=0>(y)
       e = Cast<to=1>(v)
       w = Cast<to=19>(y)
       f = Cast<to=1>(w)
     })"},
  {"int2", R"(ir_version 13 opset 25
     graph g (float32[4,6] x) => (float32 a, float32 b, float32 c) {
       float32[] s = {0.5}
       int2[] z = {-1}
       q = QuantizeLinear(x, s, z)
       a = DequantizeLinear(q, s, z)
       uint2[] u = {1}
       r = QuantizeLinear(x, s, u)
       b = DequantizeLinear(r, s, u)
       c = Cast<to=1>(r)
     })"},
  {"powers_of_two", R"(ir_version 11 opset 24
     graph g (float32[4,6] x) => (float32 a, float32 b) {
       y = Abs(x)
       q = Cast<to=24>(y)
       a = Cast<to=1>(q)
       r = Cast<to=24, round_mode="down">(y)
       b = Cast<to=1>(r)
     })"},
  {"float8_quantizer", R"(ir_version 9 opset 19
     graph g (float32[4,60] x) => (float32 a, float32 b) {
       float32[] s = {0.037}
       float32[] z = {0}
       z0 = Cast<to=17>(z)
       q = QuantizeLinear(x, s, z0)
       a = DequantizeLinear(q, s, z0)
       z1 = Cast<to=19>(z)
       r = QuantizeLinear(x, s, z1)
       b = DequantizeLinear(r, s, z1)
     })"},
  {"half_quantizer", R"(ir_version 10 opset 21
     graph g (float16[4,60] x) => (int8 q, float16 a) {
       float16[] s = {0.037}
       int8[] z = {3}
       q = QuantizeLinear(x, s, z)
       a = DequantizeLinear(q, s, z)
     })"},
  {"int4_casts", R"(ir_version 10 opset 21
     graph g (uint8[9] x) => (uint8 a, float32 b) {
       uint8[9] fifteen = fill(15)
       m = BitwiseAnd(x, fifteen)
       q = Cast<to=21>(m)
       a = Cast<to=2>(q)
       b = Cast<to=1>(q)
     })"},
};

}  // namespace roundel::op_cases

// clang-format on
