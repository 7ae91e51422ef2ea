#pragma once
// Operators that came with opsets 18 to 24, or changed with them.

#include <vector>

#include "tests/support/op_case.h"

// The graphs are read better than their lines are wrapped.
// clang-format off

namespace roundel::op_cases {

inline const std::vector<OpCase> kRecent = {
  {"rotary_4d", R"(ir_version 10 opset 23
     graph g (float32[2,3,4,8] x, float32[10,4] c, float32[10,4] s) => (float32 y) {
       int64[2,4] p = {0,1,2,3, 5,6,9,1}
       y = RotaryEmbedding(x, c, s, p)
     })"},
  {"rotary_3d_partial_interleaved", R"(ir_version 10 opset 23
     graph g (float32[2,4,24] x, float32[10,2] c, float32[10,2] s) => (float32 y) {
       int64[2,4] p = {0,1,2,3, 5,6,9,1}
       y = RotaryEmbedding<num_heads=3, rotary_embedding_dim=4, interleaved=1>(x, c, s, p)
     })"},
  {"rotary_by_token", R"(ir_version 10 opset 23
     graph g (float32[2,3,4,8] x, float32[2,4,4] c, float32[2,4,4] s) => (float32 y) {
       y = RotaryEmbedding<interleaved=1>(x, c, s)
     })"},
  {"grid_sample_cubic_border", R"(opset 20
     graph g (float32[2,3,5,6] x, float32[2,7,6,2] grid) => (float32 y, float32 z) {
       y = GridSample<mode="cubic", padding_mode="border">(x, grid)
       z = GridSample<mode="cubic", padding_mode="border", align_corners=1>(x, grid)
     })"},
  // Boxes larger than the image, partly and wholly outside, and one that is nowhere.
  {"roi_align_outside", R"(opset 16
     graph g (float32[2,3,4,3] x) => (float32 y, float32 z, float32 w) {
       float32[6,4] boxes = {0,0,20,30, 2,1,3,8, -40,-50,60,5, 1,1,2,2, 100,100,140,130, -9,-9,-3,-2}
       int64[6] batch = {0,1,1,0,1,0}
       y = RoiAlign<output_height=2, output_width=3, spatial_scale=1.0>(x, boxes, batch)
       z = RoiAlign<output_height=4, output_width=2, spatial_scale=0.5, mode="max">(x, boxes, batch)
       w = RoiAlign<output_height=1, output_width=1, sampling_ratio=3, coordinate_transformation_mode="output_half_pixel">(x, boxes, batch)
     })"},
  {"split_last_part_shorter", R"(opset 18
     graph g (float32[2,10] x) => (float32 a, float32 b, float32 c, float32 d) {
       a, b, c, d = Split<axis=1, num_outputs=4>(x)
     })"},
  {"rms_norm", R"(ir_version 10 opset 23
     graph g (float32[2,3,8] x, float32[8] s) => (float32 y) {
       y = RMSNormalization<epsilon=0.01>(x, s)
     })"},
  {"tensor_scatter", R"(ir_version 11 opset 24
     graph g (float32[2,3,6,4] x, float32[2,3,2,4] u) => (float32 y, float32 z) {
       int64[2] p = {4, 1}
       int64[2] far = {5, 11}
       y = TensorScatter(x, u, p)
       z = TensorScatter<mode="circular", axis=2>(x, u, far)
     })"},
  {"swish", R"(ir_version 11 opset 24
     graph g (float32[2,30] x) => (float32 y) {
       y = Swish<alpha=1.5>(x)
     })"},
  {"col2im", R"(ir_version 8 opset 18
     graph g (float32[2,12,20] x, float32[1,18,16] z) => (float32 y, float32 w) {
       int64[2] image = {5, 6}
       int64[2] block = {2, 2}
       int64[2] image2 = {7, 8}
       int64[2] block2 = {3, 3}
       y = Col2Im(x, image, block)
       w = Col2Im<strides=[2,2], pads=[1,0,1,1], dilations=[1,1]>(z, image2, block2)
     })"},
  {"center_crop_pad", R"(ir_version 8 opset 18
     graph g (float32[5,8,3] x) => (float32 y, float32 z) {
       int64[3] to = {8, 5, 3}
       int64[2] part = {10, 2}
       y = CenterCropPad(x, to)
       z = CenterCropPad<axes=[1,-1]>(x, part)
     })"},
  {"affine_grid_mish_gelu", R"(ir_version 9 opset 20
     graph g (float32[2,2,3] t, float32[2,3,4] m) => (float32 a, float32 b, float32 c, float32 d, float32 e) {
       int64[4] size = {2, 1, 3, 5}
       a = AffineGrid(t, size)
       b = AffineGrid<align_corners=1>(t, size)
       c = Mish(m)
       d = Gelu(m)
       e = Gelu<approximate="tanh">(m)
     })"},
  {"group_norm", R"(ir_version 10 opset 21
     graph g (float32[2,6,4,4] x, float32[6] s, float32[6] b) => (float32 y) {
       y = GroupNormalization<num_groups=3>(x, s, b)
     })"},
  {"group_norm_18", R"(ir_version 8 opset 18
     graph g (float32[2,6,4,4] x, float32[3] s, float32[3] b) => (float32 y) {
       y = GroupNormalization<num_groups=3>(x, s, b)
     })"},
  {"reduce_axes_as_input", R"(ir_version 8 opset 18
     graph g (float32[2,3,4] x) => (float32 a, float32 b, float32 c, float32 d, float32 e) {
       int64[1] axes = {1}
       int64[0] none = {}
       a = ReduceMean<keepdims=0>(x, axes)
       b = ReduceL2(x, axes)
       c = ReduceMax(x)
       d = ReduceSum<noop_with_empty_axes=1>(x, none)
       e = ReduceLogSumExp<keepdims=0>(x, axes)
     })"},
  {"split_num_outputs", R"(ir_version 8 opset 18
     graph g (float32[7,3] x) => (float32 a, float32 b, float32 c) {
       a, b, c = Split<num_outputs=3>(x)
     })"},
  {"resize_18", R"(ir_version 8 opset 18
     graph g (float32[1,2,8,10] x) => (float32 a, float32 b, float32 c, float32 d) {
       int64[2] to = {5, 13}
       float32[4] scales = {1, 1, 0.6, 0.6}
       a = Resize<mode="linear", antialias=1>(x, "", scales)
       b = Resize<mode="cubic", antialias=1>(x, "", scales)
       c = Resize<mode="linear", axes=[2,3], keep_aspect_ratio_policy="not_larger">(x, "", "", to)
       d = Resize<mode="nearest", axes=[3,2], keep_aspect_ratio_policy="not_smaller">(x, "", "", to)
     })"},
  {"resize_19", R"(ir_version 9 opset 19
     graph g (float32[1,2,7,10] x) => (float32 a) {
       float32[4] scales = {1, 1, 0.6, 1.7}
       a = Resize<mode="linear", coordinate_transformation_mode="half_pixel_symmetric">(x, "", scales)
     })"},
  {"pad_axes_wrap", R"(ir_version 9 opset 19
     graph g (float32[3,4,5] x) => (float32 a, float32 b) {
       int64[4] pads = {1, 2, 0, 1}
       int64[2] axes = {0, 2}
       a = Pad<mode="wrap">(x, pads, "", axes)
       b = Pad(x, pads, "", axes)
     })"},
  {"windows", R"(ir_version 8 opset 17
     graph g () => (float32 a, float32 b, float32 c, float32 d) {
       int64[] n = {12}
       a = HannWindow(n)
       b = HammingWindow<periodic=0>(n)
       c = BlackmanWindow(n)
       int64[] bins = {8}
       int64[] dft = {64}
       int64[] rate = {8000}
       float32[] low = {0}
       float32[] high = {4000}
       d = MelWeightMatrix(bins, dft, rate, low, high)
     })"},
  {"dft_stft", R"(ir_version 9 opset 20
     graph g (float32[2,10,1] x, float32[1,32,1] z) => (float32 a, float32 b, float32 c) {
       int64[] axis = {1}
       int64[] length = {8}
       int64[] step = {4}
       int64[] frame = {16}
       float32[16] window = random(3)
       a = DFT(x, "", axis)
       b = DFT<onesided=1>(x, length, axis)
       c = STFT(z, step, window, frame)
     })", 1e-4},
  {"max_roi_pool", R"(ir_version 8 opset 17
     graph g (float32[2,3,8,9] x) => (float32 y) {
       float32[4,5] rois = {0,0,0,7,7, 1,2,3,14,9, 0,5,5,5,5, 1,-3,-2,30,30}
       y = MaxRoiPool<pooled_shape=[3,2], spatial_scale=0.5>(x, rois)
     })"},
  {"roi_align", R"(ir_version 8 opset 16
     graph g (float32[2,3,8,9] x) => (float32 a, float32 b) {
       float32[3,4] rois = {0.5,0.5,7,7, 2,3,14,9, 5,5,6,7}
       int64[3] n = {0, 1, 1}
       a = RoiAlign<output_height=3, output_width=2, spatial_scale=0.5, sampling_ratio=2>(x, rois, n)
       b = RoiAlign<output_height=2, output_width=2, mode="max", coordinate_transformation_mode="output_half_pixel">(x, rois, n)
     })"},
  {"is_inf_bitwise", R"(ir_version 9 opset 20
     graph g (uint8[20] a, uint8[20] b) => (uint8 c, uint8 d, uint8 e, uint8 f, uint8 h) {
       uint8[20] one = fill(1)
       c = BitShift<direction="LEFT">(a, one)
       d = BitwiseAnd(a, b)
       e = BitwiseOr(a, b)
       f = BitwiseXor(a, b)
       h = BitwiseNot(a)
     })"},
  {"deform_conv", R"(ir_version 9 opset 19
     graph g (float32[2,4,7,8] x, float32[6,2,3,3] w, float32[2,36,4,4] o, float32[6] b, float32[2,18,4,4] m) => (float32 y, float32 z) {
       y = DeformConv<group=2, offset_group=2, strides=[2,2], pads=[1,0,1,1]>(x, w, o, b, m)
       z = DeformConv<group=2, offset_group=2, strides=[2,2], pads=[1,0,1,1], kernel_shape=[3,3]>(x, w, o)
     })", 1e-4},
  {"experimental", R"(ir_version 3 opset 7
     graph g (float32[2,3,6,7] x) => (float32 a, float32 b, float32 c, float32 d, float32 e, float32 f, float32 h) {
       a = ImageScaler<scale=0.5, bias=[0.1,0.2,0.3]>(x)
       b = Crop<border=[1,2,0,1]>(x)
       c = Affine<alpha=0.5, beta=2.0>(x)
       d = ScaledTanh<alpha=0.5, beta=2.0>(x)
       e = ParametricSoftplus<alpha=0.5, beta=2.0>(x)
       f = Scale<scale=3.0>(x)
       h = Crop<border=[1,2,0,0], scale=[3,4]>(x)
     })"},
  {"batch_norm_by_element", R"(ir_version 3 opset 7
     graph g (float32[2,3,4] x) => (float32 y) {
       float32[3,4] s = random(1)
       float32[3,4] b = random(2)
       float32[3,4] m = random(3)
       float32[3,4] v = random(4, 0.5, 2)
       y = BatchNormalization<spatial=0>(x, s, b, m, v)
     })"},
};

}  // namespace roundel::op_cases

// clang-format on
