// Lint accepts exported models and names single faults.

#include <algorithm>

#include "lib/graph/text.h"
#include "lib/targets/aimet_config.h"
#include "lib/targets/kept_float.h"
#include "lib/targets/lint.h"
#include "lib/targets/qdq.h"
#include "tests/support/catch.h"
#include "tests/support/placement_text.h"

namespace roundel::target {
namespace {

// conv and relu between pairs; the bias is int32 with the scale of x * w.
std::string Model(const std::string& x_zero, const std::string& bias_scale,
                  const std::string& between) {
  return R"(opset 13
graph g (float32[N,1,2,2] x) => (float32[N,1,2,2] y) {
  float32[] sx = {0.5}
  float32[] sw = {0.25}
  float32[] sb = {)" +
         bias_scale + R"(}
  float32[] sy = {1}
  )" + x_zero +
         R"([] z = {0}
  int8[] zw = {0}
  int32[] zb = {0}
  int8[1,1,1,1] wq = {100}
  int32[1] bq = {8}
  xq = QuantizeLinear(x, sx, z)
  xd = DequantizeLinear(xq, sx, z)
  w = DequantizeLinear(wq, sw, zw)
  b = DequantizeLinear(bq, sb, zb)
  c = Conv(xd, w, b)
  )" + between +
         R"(
  yq = QuantizeLinear(r, sy, z)
  y = DequantizeLinear(yq, sy, z)
})";
}

const char* const kRelu = "r = Relu(c)";

std::vector<Violation> Faults(const std::string& text, const char* target) {
  const auto model = graph::Parse(text);
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  const auto result = Lint(*model, LoadProfile(target).value());
  INFO((result.ok() ? "" : result.status().message()));
  REQUIRE(result.ok());
  return result->violations;
}

bool Names(const std::vector<Violation>& violations, const std::string& what) {
  return std::any_of(violations.begin(), violations.end(), [&](const Violation& v) {
    return v.what.find(what) != std::string::npos && !v.where.empty() && !v.why.empty() &&
           !v.advice.empty();
  });
}

}  // namespace

TEST_CASE("a model as the target wants it has no violations") {
  CHECK(Faults(Model("uint8", "0.125", kRelu), "ort-cpu").empty());
}

TEST_CASE("faults are named") {
  const std::string good = Model("uint8", "0.125", kRelu);
  CHECK(Names(Faults(good, "tensorrt"), "activation on uint8"));
  CHECK(Names(Faults(good, "tensorrt"), "bias on int32"));
  // A code of 100 needs 8 bits.
  CHECK(Names(Faults(good, "ort-cpu-avx2"), "weight on int8"));
  CHECK(Names(Faults(good, "llm-matmulnbits"), "activations have grids"));

  const auto bias = Faults(Model("uint8", "0.2", kRelu), "ort-cpu");
  REQUIRE(bias.size() == 1);
  CHECK(Names(bias, "bias scale 0.2, input scale times weight scale 0.125"));

  const auto extra = Faults(Model("uint8", "0.125",
                                  "cq = QuantizeLinear(c, sy, z)\n  cd = DequantizeLinear(cq, sy, "
                                  "z)\n  r = Relu(cd)"),
                            "ort-cpu");
  REQUIRE(extra.size() == 1);
  CHECK(Names(extra, "a quantizer between Conv and Relu"));
}

TEST_CASE("operators that a target has not") {
  const auto packed = Faults(R"(opset 13, com.microsoft 1
graph g (float32[N,16] x) => (float32[N,1] y) {
  uint8[1,1,8] b = zeros
  float32[1,1] s = ones
  y = com.microsoft.MatMulNBits<K=16, N=1, bits=4, block_size=16>(x, b, s)
})",
                             "tensorrt");
  CHECK(Names(packed, "operator MatMulNBits of com.microsoft"));
  CHECK(Names(packed, "MatMulNBits, format matmulnbits"));
}

// A matrix of 3 x 40 in blocks of 16: 3 blocks of 8 bytes a row.
std::string Packed(const std::string& attributes, const std::string& weights,
                   const std::string& scales, const std::string& rest = "") {
  return "opset 13, com.microsoft 1\ngraph g (float32[N,40] x) => (float32[N,3] y) {\n  uint8" +
         weights + " b = zeros\n  float32" + scales +
         " s = ones\n  uint8[3,2] z = zeros\n  y = com.microsoft.MatMulNBits<" + attributes +
         ">(x, b, s" + rest + ")\n}";
}

TEST_CASE("packed matrices are looked into") {
  const char* const target = "llm-matmulnbits";
  const std::string good = "K=40, N=3, bits=4, block_size=16";
  CHECK(Faults(Packed(good, "[3,3,8]", "[3,3]"), target).empty());
  CHECK(Faults(Packed(good, "[3,3,8]", "[9]", ", z"), target).empty());
  CHECK(Faults(Packed("K=40, N=3, bits=8, block_size=64", "[3,1,64]", "[3]"), target).empty());
  const auto fault = [&](const std::string& attributes, const std::string& weights,
                         const std::string& scales, const std::string& what,
                         const std::string& rest = "") {
    INFO(attributes << " " << weights << scales);
    const auto faults = Faults(Packed(attributes, weights, scales, rest), target);
    CHECK(faults.size() == 1);
    CHECK(Names(faults, what));
  };
  fault("K=40, N=3, bits=3, block_size=16", "[3,3,6]", "[3,3]", "codes of 3 bits");
  fault("K=40, N=3, bits=4, block_size=8", "[3,5,4]", "[3,5]", "blocks of 8");
  fault("K=40, N=3, bits=4, block_size=24", "[3,2,12]", "[3,2]", "blocks of 24");
  fault("K=40, N=3, bits=4, block_size=512", "[3,1,256]", "[3,1]", "blocks of 512");
  fault("K=40, N=3, bits=4, block_size=-16", "[3,3,8]", "[3,3]", "blocks of -16");
  fault("K=0, N=3, bits=4, block_size=16", "[3,3,8]", "[3,3]", "3 x 0");
  fault(good, "[3,3,4]", "[3,3]", "weights of shape [3, 3, 4]");
  fault(good, "[3,3,8]", "[3,2]", "scales of shape [3, 2]");
  fault("K=100, N=3, bits=4, block_size=16", "[3,7,8]", "[3,7]", "zero points of shape [3, 2]",
        ", z");
  fault("K=9223372036854775807, N=3, bits=4, block_size=16", "[3,3,8]", "[3,3]", "a matrix of");
}

std::string Table(const std::string& attributes, const std::string& data,
                  const std::string& scales) {
  return "opset 13, com.microsoft 1\ngraph g (int64[N] i) => (float32[N,64] y) {\n  " + data +
         " d = zeros\n  float32" + scales + " s = ones\n  y = com.microsoft.GatherBlockQuantized<" +
         attributes + ">(d, i, s)\n}";
}

TEST_CASE("packed tables are looked into") {
  const char* const target = "llm-matmulnbits";
  const std::string good = "bits=4, block_size=32, gather_axis=0, quantize_axis=1";
  CHECK(Faults(Table(good, "uint8[10,32]", "[10,2]"), target).empty());
  CHECK(Faults(Table(good, "uint4[10,64]", "[10,2]"), target).empty());
  // ONNX Runtime computes it (tests/e2e/weight_only_test.cpp).
  CHECK(Faults(Table("bits=2, block_size=32, quantize_axis=1", "uint8[10,16]", "[10,2]"), target)
            .empty());
  CHECK(Names(Faults(Table(good, "uint8[10,32]", "[10,1]"), target), "scales of shape [10, 1]"));
  CHECK(Names(
      Faults(Table("bits=4, block_size=48, quantize_axis=1", "uint8[10,32]", "[10,2]"), target),
      "blocks of 48"));
  CHECK(Names(Faults(Table("bits=5, block_size=32", "uint8[10,32]", "[10,2]"), target),
              "codes of 5 bits"));
  CHECK(Names(
      Faults(Table("bits=4, block_size=32, quantize_axis=7", "uint8[10,32]", "[10,2]"), target),
      "quantize_axis 7"));
}

TEST_CASE("ranges that are too narrow for the target are named") {
  const auto model = [](const std::string& scale) {
    return "opset 13\ngraph g (float32[N] x) => (float32[N] y) {\n  float32[] s = {" + scale +
           "}\n  uint8[] z = {0}\n  q = QuantizeLinear(x, s, z)\n  d = DequantizeLinear(q, s, z)\n "
           " "
           "r = Relu(d)\n  p = QuantizeLinear(r, s, z)\n  y = DequantizeLinear(p, s, z)\n}";
  };
  CHECK(Names(Faults(model("1e-7"), "qnn-htp"), "a range of width"));
  CHECK(Faults(model("0.0000003921569"), "qnn-htp").empty());  // 255 steps to 1e-4
  CHECK(Faults(model("1e-7"), "ort-cpu").empty());
}

// x, a layer on codes, a second layer, a third one on codes, y. The second one reads codes and has
// codes for its weight; between it and the third no quantizer stands.
std::string HalfPairs(const std::string& second, const std::string& between = "") {
  return R"(opset 13
graph g (float32[N,1,1,1] x) => (float32[N,1,1,1] y) {
  float32[] s = {0.5}
  float32[] sw = {0.25}
  float32[] sb = {0.125}
  uint8[] z = {0}
  int8[] zw = {0}
  int32[] zb = {0}
  int8[1,1,1,1] wq = {100}
  int8[1,1,1,1] vq = {90}
  int8[1,1,1,1] uq = {80}
  int32[1] bq = {8}
  float32[1,1,1,1] floats = {2}
  float32[1] bias = {1}
  xq = QuantizeLinear(x, s, z)
  xd = DequantizeLinear(xq, s, z)
  w = DequantizeLinear(wq, sw, zw)
  v = DequantizeLinear(vq, sw, zw)
  u = DequantizeLinear(uq, sw, zw)
  b = DequantizeLinear(bq, sb, zb)
  c = Conv(xd, w)
  cq = QuantizeLinear(c, s, z)
  cd = DequantizeLinear(cq, s, z)
  )" + second +
         between +
         R"(
  e = Conv(d, u)
  yq = QuantizeLinear(e, s, z)
  y = DequantizeLinear(yq, s, z)
})";
}

TEST_CASE("layers that were left float need no quantizers beside them") {
  // With its bias on codes, or without one, the second layer was meant to run in integers.
  for (const char* meant : {"d = Conv(cd, v, b)", "d = Conv(cd, v)"}) {
    INFO(meant);
    CHECK(Names(Faults(HalfPairs(meant), "ort-cpu"), "its output has no quantizer"));
  }
  // Only its weight has codes, or nothing has: that its neighbors lack quantizers is on purpose.
  for (const std::string left :
       {"Conv(cd, v, bias)", "Conv(cd, floats, bias)", "Conv(cd, floats)"}) {
    INFO(left);
    CHECK(Faults(HalfPairs("d = " + left), "ort-cpu").empty());
    // What joins its floats has no integer neighbor on that side, and runs in float as well.
    CHECK(Faults(HalfPairs("p = " + left, "\n  d = Add(p, cd)"), "ort-cpu").empty());
  }
}

TEST_CASE("values that a model names as kept float are not taken for forgotten") {
  auto model = graph::Parse(HalfPairs("d = Conv(cd, v)"));
  REQUIRE(model.ok());
  const Profile profile = LoadProfile("ort-cpu").value();
  NoteKeptFloat({"d", "another"}, &*model);
  CHECK(KeptFloat(*model) == std::set<std::string>{"d", "another"});
  CHECK(Lint(*model, profile)->violations.empty());
  NoteKeptFloat({"another"}, &*model);
  CHECK(Names(Lint(*model, profile)->violations, "its output has no quantizer"));
  NoteKeptFloat({}, &*model);
  CHECK(model->metadata.empty());
}

TEST_CASE("targets know whole domains, or single operators of them") {
  const auto knows = [](const char* target, const std::string& domain, const std::string& op) {
    return KnowsOperator(LoadProfile(target).value(), {.op_type = op, .domain = domain});
  };
  for (const std::string& target : ProfileNames()) CHECK(knows(target.c_str(), "", "Relu"));
  CHECK(knows("ort-cpu", "my.ops", "Frobnicate"));
  CHECK(knows("qnn-htp", "ai.onnx.ml", "Scaler"));
  CHECK_FALSE(knows("qnn-htp", "my.ops", "Frobnicate"));
  // As OpenVINO's table of supported ONNX operators has them.
  CHECK(knows("openvino", "com.microsoft", "GroupQueryAttention"));
  CHECK(knows("openvino", "ai.onnx.ml", "Normalizer"));
  CHECK_FALSE(knows("openvino", "com.microsoft", "MoE"));
  CHECK_FALSE(knows("openvino", "ai.onnx.ml", "Scaler"));
  CHECK_FALSE(knows("tensorrt", "com.microsoft", "GroupQueryAttention"));
}

TEST_CASE("kernels that give floats need no quantizer behind them") {
  const auto model = [](const std::string& layer) {
    return R"(opset 13
graph g (float32[N,1] x) => (float32 y) {
  float32[] s = {0.5}
  float32[] sw = {0.25}
  uint8[] z = {0}
  int8[] zw = {0}
  int8[1,1] vq = {90}
  xq = QuantizeLinear(x, s, z)
  xd = DequantizeLinear(xq, s, z)
  v = DequantizeLinear(vq, sw, zw)
  y = )" + layer +
           "(xd, v)\n}";
  };
  for (const char* layer : {"Gemm", "MatMul"}) {
    INFO(layer);
    CHECK(Faults(model(layer), "ort-cpu").empty());
    CHECK(Names(Faults(model(layer), "openvino"), "its output has no quantizer"));
  }
}

TEST_CASE("zero points of QLinearConv are one value of 8 bits") {
  const auto faults = [](const std::string& zero) {
    return Faults(R"(opset 13
graph g (uint8[N,1,2,2] x) => (uint8[N,2,2,2] y) {
  float32[] s = {0.5}
  uint8[] z = {0}
  int8[2,1,1,1] w = {100, 90}
  )" + zero + R"(
  y = QLinearConv(x, s, z, w, s, v, s, z)
})",
                  "ort-cpu");
  };
  CHECK(faults("int8[] v = {0}").empty());
  CHECK(faults("int8[2] v = {3, 3}").empty());
  CHECK(Names(faults("int8[2] v = {3, 4}"), "zero points that differ by channel"));
  CHECK(Names(faults("float32[2] v = {0, 0.5}"), "a zero point of float32"));
  CHECK(Names(faults("string[2] v = {\"a\", \"b\"}"), "a zero point of string"));
}

TEST_CASE("an AIMET configuration is a target") {
  const char* const config = R"({
    "defaults": {"ops": {"is_output_quantized": "True", "is_symmetric": "False"},
                 "params": {"is_quantized": "True", "is_symmetric": "True"},
                 "strict_symmetric": "True", "per_channel_quantization": "True",
                 "supported_kernels": [{"activation": {"bitwidth": 8, "dtype": "int"},
                                        "param": {"bitwidth": 8, "dtype": "int"}}]},
    "params": {"bias": {"is_quantized": "False"}},
    "op_type": {"Softmax": {"encoding_constraints": {"min": 0.0, "max": 1.0}},
                "Gemm": {"per_channel_quantization": "False"},
                "Sigmoid": {"is_output_quantized": "False"}},
    "supergroups": [{"op_list": ["Conv", "LeakyRelu"]}],
    "model_input": {"is_input_quantized": "True"}, "model_output": {}})";
  const auto profile = ParseAimetConfig(config, "dir/htp.json", LoadProfile("generic").value());
  INFO((profile.ok() ? "" : profile.status().message()));
  REQUIRE(profile.ok());
  CHECK(profile->name == "htp.json");
  const auto model = graph::Parse(R"(opset 13
graph g (float32[N,3,4,4] x) => (float32[N,5] y) {
  float32[4,3,1,1] w = ones
  float32[4] b = ones
  float32[64,5] v = ones
  c = Conv(x, w, b)
  l = LeakyRelu(c)
  s = Sigmoid(l)
  f = Flatten(s)
  g = Gemm(f, v)
  y = Softmax(g)
})");
  REQUIRE(model.ok());
  const auto placement = Place(*model, *profile, DefaultChoice(*profile));
  INFO((placement.ok() ? "" : placement.status().message()));
  REQUIRE(placement.ok());
  // Nothing between Conv and LeakyRelu, one scale for the Gemm, a float bias and Sigmoid.
  CHECK(PlacementText(*placement) == R"(activation x: uint8, group 0
activation l: uint8, group 1
activation f: uint8, group 2
activation g: uint8, group 3
activation y: uint8, group 4, fixed to [0, 1]
weight w: int8 symmetric narrow, per channel of axis 0
weight v: int8 symmetric narrow
float Sigmoid producing 's': op Sigmoid is not in the profile
float Flatten producing 'f': its input is not quantized
)");
  const auto symmetric = [](const std::string& one_sided) {
    return ParseAimetConfig(
        R"({"defaults": {"ops": {"is_output_quantized": "True", "is_symmetric": "True"}, "params": {},
                             "unsigned_symmetric": ")" +
            one_sided + "\"}}",
        "c.json", LoadProfile("generic").value());
  };
  CHECK(symmetric("True")->activations.Name() == "uint8 symmetric unsigned");
  CHECK(symmetric("False")->activations.Name() == "int8 symmetric");
  const auto error = [](const std::string& json) {
    return ParseAimetConfig(json, "c.json", Profile()).status().message();
  };
  CHECK(error("{}").find("'defaults' is missing") != std::string::npos);
  CHECK(error(R"({"defaults": {"ops": {"is_output_quantized": 3}}})").find("\"True\"") !=
        std::string::npos);
  CHECK(error(R"({"defaults": {}, "supergroups": [{"op_list": ["Conv"]}]})").find("supergroup") !=
        std::string::npos);
}

}  // namespace roundel::target
