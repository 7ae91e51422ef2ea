// Gradients of attention operators, rotary embedding, Resize and products with weights in blocks, by
// differences.

#include <string>
#include <vector>

#include "tests/lib/grad/grad_check.h"

namespace roundel::grad {
namespace {

const CheckOptions kOptions{.step = 1e-2, .tolerance = 4e-3, .elements = 6};

CheckOptions With(std::map<std::string, Tensor> values) {
  CheckOptions options = kOptions;
  options.values = std::move(values);
  return options;
}

}  // namespace

TEST_CASE("gradients of ONNX's attention") {
  const std::string four = "float32[2,4,3,2] q, float32[2,2,5,2] k, float32[2,2,5,3] v";
  const std::string three = "float32[2,3,4] q, float32[2,3,4] k, float32[2,3,6] v";
  CheckGradients(four, "y = Attention(q, k, v)", kOptions, 23);
  CheckGradients(four, "y = Attention<scale=0.7, softcap=2.0>(q, k, v)", kOptions, 23);
  CheckGradients(four,
                 "float32[3,5] m = {0, 0, -1, 0, 2, 0, 1, 1, 0, 0, 0.5, 0, 0, 0, 1}\n"
                 " y = Attention(q, k, v, m)",
                 kOptions, 23);
  CheckGradients(three, "y = Attention<q_num_heads=2, kv_num_heads=2, is_causal=1>(q, k, v)",
                 kOptions, 23);
  // A past of two keys, and a mask that leaves a query nothing.
  CheckGradients("float32[1,2,2,2] q, float32[1,2,2,2] k, float32[1,2,2,2] v",
                 "float32[1,2,2,2] p = random(3)\n bool[2,4] m = {0, 0, 0, 0, 1, 0, 1, 1}\n"
                 " y = Attention(q, k, v, m, p, p)",
                 kOptions, 23);
  CheckGradients("float32[1,1,1,1] q, float32[1,1,1,1] k, float32[1,1,1,1] v",
                 "y = Attention(q, k, v)", kOptions, 23);
}

TEST_CASE("gradients of attention of com.microsoft") {
  const std::string call = "y = com.microsoft.MultiHeadAttention<num_heads=2";
  const std::string inputs = "float32[2,3,4] q, float32[2,5,4] k, float32[2,5,6] v";
  CheckGradients(inputs, call + ">(q, k, v)", kOptions);
  CheckGradients(inputs + ", float32[14] b", call + ", scale=0.5>(q, k, v, b)", kOptions);
  CheckGradients("float32[1,3,2,3,2] q", call + ", unidirectional=1>(q)", kOptions);
  CheckGradients("float32[1,3,4] q, float32[1,4,2,2,2] k", call + ">(q, k)", kOptions);
  CheckGradients("float32[1,3,4] q, float32[1,2,4,2] k, float32[1,2,4,2] v, float32[12] b",
                 call + ">(q, k, v, b)", kOptions);
  CheckGradients("float32[1,2,4] q, float32[1,2,4] k, float32[1,2,4] v",
                 "float32[1,2,3,2] p = random(3)\n int32[1,5] m = {1, 0, 1, 1, 1}\n " + call +
                     ", unidirectional=1>(q, k, v, \"\", m, \"\", p, p)",
                 kOptions);
  CheckGradients("float32[2,3,5] x, float32[5,12] w, float32[12] b",
                 "y = com.microsoft.Attention<num_heads=2, unidirectional=1>(x, w, b)", kOptions);
  CheckGradients("float32[2,3,5] x, float32[5,14] w",
                 "int32[2,3] m = {1, 1, 0, 1, 1, 1}\n y = com.microsoft.Attention<num_heads=2, "
                 "qkv_hidden_sizes=[4,4,6]>(x, w, \"\", m)",
                 kOptions);
}

TEST_CASE("gradients of grouped queries, with rotation, window, sinks and a cache") {
  const std::string call = "y = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2";
  const std::string inputs = "float32[2,3,16] q, float32[2,3,8] k, float32[2,3,8] v";
  const std::string lengths = "int32[2] s = {2, 2}\n int32[] t = {3}\n ";
  const std::string tables = "float32[6,2] c = random(1)\n float32[6,2] d = random(2)\n ";
  const std::string none = "\"\", \"\", ";
  CheckGradients(inputs, lengths + call + ">(q, k, v, " + none + "s, t)", kOptions);
  CheckGradients(inputs,
                 lengths + tables + call + ", do_rotary=1, local_window_size=2>(q, k, v, " + none +
                     "s, t, c, d)",
                 kOptions);
  CheckGradients("float32[2,3,32] q",
                 lengths + tables + call + ", do_rotary=1, rotary_interleaved=1, softcap=3.0>(q, " +
                     none + none + "s, t, c, d)",
                 kOptions);
  CheckGradients(inputs, lengths + call + ", smooth_softmax=1>(q, k, v, " + none + "s, t)",
                 kOptions);
  CheckGradients("float32[2,1,16] q, float32[2,1,8] k, float32[2,1,8] v",
                 "float32[2,2,4,4] p = random(5)\n int32[2] s = {3, 2}\n int32[] t = {4}\n " +
                     tables + call + ", do_rotary=1>(q, k, v, p, p, s, t, c, d)",
                 kOptions);
}

TEST_CASE("gradients of rotary embedding") {
  const std::string tables = "float32[5,2] c = random(1)\n float32[5,2] s = random(2)\n ";
  const std::string places = "int64[2,3] p = {0, 1, 2, 4, 0, 1}\n ";
  for (const char* more : {"", "<interleaved=1>"}) {
    CheckGradients("float32[2,2,3,4] x",
                   tables + places + "y = RotaryEmbedding" + more + "(x, c, s, p)", kOptions, 23);
    CheckGradients("float32[2,2,3,4] x",
                   tables + places + "y = com.microsoft.RotaryEmbedding" + more + "(x, p, c, s)",
                   kOptions);
  }
  CheckGradients(
      "float32[2,3,12] x",
      tables + places + "y = RotaryEmbedding<num_heads=2, rotary_embedding_dim=4>(x, c, s, p)",
      kOptions, 23);
}

TEST_CASE("gradients of Resize and Upsample") {
  const std::string x = "float32[1,2,3,4] x";
  const std::string scales = "float32[4] s = {1, 1, 2, 1.6}\n ";
  for (const char* how :
       {"mode=\"nearest\"", "mode=\"linear\"", "mode=\"cubic\"",
        "mode=\"linear\", coordinate_transformation_mode=\"align_corners\"",
        "mode=\"nearest\", coordinate_transformation_mode=\"asymmetric\", nearest_mode=\"floor\"",
        "mode=\"linear\", coordinate_transformation_mode=\"pytorch_half_pixel\"",
        "mode=\"cubic\", exclude_outside=1, cubic_coeff_a=-0.5"})
    CheckGradients(x, StrCat(scales, "y = Resize<", how, ">(x, \"\", s)"), kOptions);
  const std::string sizes = "int64[4] s = {1, 2, 2, 3}\n ";
  CheckGradients(x, sizes + "y = Resize<mode=\"linear\", antialias=1>(x, \"\", \"\", s)", kOptions,
                 18);
  CheckGradients(x,
                 sizes +
                     "float32[8] r = {0, 0, -0.2, 0.1, 1, 1, 0.8, 1.3}\n"
                     " y = Resize<mode=\"linear\", extrapolation_value=2.0, "
                     "coordinate_transformation_mode=\"tf_crop_and_resize\">(x, r, \"\", s)",
                 kOptions);
  CheckGradients(x, "int64[2] s = {5, 2}\n y = Resize<axes=[2,3]>(x, \"\", \"\", s)", kOptions, 18);
  CheckGradients(x, scales + "y = Upsample<mode=\"linear\">(x, s)", kOptions, 9);
  CheckGradients(x, "y = Upsample<scales=[1.0,1.0,2.0,3.0]>(x)", kOptions, 7);
  CheckGradients("float32[1,0,3,4] x", scales + "y = Resize(x, \"\", s)", kOptions);
}

TEST_CASE("gradients of a product with weights in blocks of codes") {
  Draw draw(3);
  Tensor codes = Tensor::Zeros(DType::kUint8, {3, 2, 8});
  for (int64_t i = 0; i < codes.size(); ++i)
    codes.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(draw.Int(0, 255));
  const CheckOptions options = With({{"w", codes}});
  CheckGradients(
      "float32[2,2,20] x, uint8[3,2,8] w, float32[3] b",
      "float32[6] s = {0.1, 0.2, 0.1, 0.3, 0.1, 0.2}\n y = com.microsoft.MatMulNBits<K=20, "
      "N=3, bits=4, block_size=16>(x, w, s, \"\", \"\", b)",
      options);
}

}  // namespace roundel::grad
