// Placement goldens: the placement of small graphs, as text.

#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "lib/targets/grid_name.h"
#include "lib/targets/profile.h"
#include "tests/support/catch.h"
#include "tests/support/parse_model.h"
#include "tests/support/placement_text.h"

namespace roundel::target {
namespace {

using support::ParseModel;

struct Setup {
  Profile profile = LoadProfile("ort-cpu").value();
  GridChoice choice = DefaultChoice(profile);
};

std::string PlaceText(const std::string& model, const Setup& setup = {}) {
  const auto placement = Place(ParseModel(model), setup.profile, setup.choice);
  INFO(placement.status().message());
  REQUIRE(placement.ok());
  return PlacementText(*placement);
}

Status PlaceError(const std::string& model, const Setup& setup) {
  return Place(ParseModel(model), setup.profile, setup.choice).status();
}

const char* const kConvRelu = R"(opset 13
graph g (float32[N,3,8,8] x) => (float32[N,4,8,8] y) {
  float32[4,3,1,1] w = ones
  float32[4] b = zeros
  [conv] t = Conv(x, w, b)
  [relu] y = Relu(t)
})";

TEST_CASE(
    "recurrent layers have weights as codes where they are asked for, or a form runs on codes") {
  const char* const text = R"(opset 14
graph g (float32[7,2,12] x) => (float32 y) {
  float32[1,64,12] w = ones
  float32[1,64,16] r = ones
  float32[1,48,12] v = ones
  float32[1,48,16] u = ones
  a, b, c = LSTM<hidden_size=16>(x, w, r)
  h, y = GRU<hidden_size=16>(x, v, u)
})";
  Setup setup;
  setup.choice = DefaultChoice(setup.profile);
  const std::string of_lstm = R"(weight w: int8 symmetric narrow, per channel of axis 1
weight r: int8 symmetric narrow, per channel of axis 1
)";
  const std::string of_gru = R"(weight v: int8 symmetric narrow, per channel of axis 1
weight u: int8 symmetric narrow, per channel of axis 1
)";
  const auto stays_float = [](const std::string& op, const std::string& value) {
    return StrCat("float ", op, " producing '", value,
                  "': runs in float, where codes would be dequantized in every run; a rule {op: ",
                  op, ", activations: float} quantizes its weights anyway\n");
  };
  CHECK(PlaceText(text, setup) == stays_float("LSTM", "a") + stays_float("GRU", "h"));
  setup.choice.mode = ActivationMode::kDynamic;
  CHECK(PlaceText(text, setup) == of_lstm + stays_float("GRU", "h") + "dynamic a\n");
  setup.choice.mode = ActivationMode::kFloat;
  CHECK(PlaceText(text, setup) == of_lstm + of_gru);
  setup.choice.mode = ActivationMode::kStatic;
  setup.choice.rules = {{.op = "GRU", .mode = ActivationMode::kFloat}};
  CHECK(PlaceText(text, setup) == of_gru + stays_float("LSTM", "a"));
}

TEST_CASE("dynamic convolutions have the unsigned weights that a target takes, or stay float") {
  const auto place = [](const char* target) {
    Setup setup;
    setup.profile = LoadProfile(target).value();
    setup.choice = DefaultChoice(setup.profile);
    setup.choice.mode = ActivationMode::kDynamic;
    return PlaceText(
        "opset 13\ngraph g (float32[N,3,8,8] x) => (float32[N,4,8,8] y) {\n"
        "  float32[4,3,1,1] w = ones\n  y = Conv(x, w)\n}",
        setup);
  };
  const std::string quantized = "weight w: uint8 symmetric, per channel of axis 0\ndynamic y\n";
  CHECK(place("ort-cpu") == quantized);
  CHECK(place("ort-cpu-avx2") == quantized);  // 7 bits are for signed ones
  CHECK(
      place("ort-mobile-xnnpack") ==
      "float Conv producing 'y': ConvInteger takes unsigned weights, which the target does not\n");
}

TEST_CASE("fused operators with weights inside that have no form as codes are named") {
  const std::string expected =
      "float EmbedLayerNormalization producing 'y': op com.microsoft.EmbedLayerNormalization has "
      "no "
      "form with its weights as codes\n";
  Setup setup;
  setup.choice = DefaultChoice(setup.profile);
  for (const ActivationMode mode : {ActivationMode::kStatic, ActivationMode::kDynamic}) {
    setup.choice.mode = mode;
    CHECK(PlaceText(R"(opset 14, com.microsoft 1
graph g (int32[1,4] ids) => (float32[1,4,8] y) {
  float32[10,8] table = ones
  float32[6,8] places = ones
  float32[8] scale = ones
  float32[8] shift = zeros
  y, m = com.microsoft.EmbedLayerNormalization(ids, "", table, places, "", scale, shift)
})",
                    setup) == expected);
  }
}

}  // namespace

TEST_CASE("Conv and Relu: one quantizer behind both, none between") {
  CHECK(PlaceText(kConvRelu) == R"(activation x: uint8, group 0
activation y: uint8, group 1, whole range
weight w: int8 symmetric narrow, per channel of axis 0
bias b: int32 symmetric, per channel of axis 0, scale of x * w
absorbable y
)");
  Setup generic{LoadProfile("generic").value(), DefaultChoice(LoadProfile("generic").value())};
  CHECK(PlaceText(kConvRelu, generic) == R"(activation x: uint8, group 0
activation y: uint8, group 1, whole range
weight w: int8 symmetric narrow, per channel of axis 0
bias b: int32 symmetric, per channel of axis 0, scale of x * w
)");
}

TEST_CASE("symmetric activations absorb nothing, for zero is not the end of their grid") {
  Setup setup;
  setup.choice.activations = {.bits = 8, .is_signed = true, .symmetric = true};
  const std::string text = PlaceText(kConvRelu, setup);
  CHECK(text.find("absorbable") == std::string::npos);
  CHECK(text.find("activation t") == std::string::npos);
}

TEST_CASE("depthwise Conv with Clip, bounds as attributes or inputs") {
  CHECK(PlaceText(R"(opset 10
graph g (float32[N,4,8,8] x) => (float32[N,4,8,8] y) {
  float32[4,1,3,3] w = ones
  t = Conv<group=4, pads=[1,1,1,1]>(x, w)
  y = Clip<min=0.0, max=6.0>(t)
})") == R"(activation x: uint8, group 0
activation y: uint8, group 1, whole range
weight w: int8 symmetric narrow, per channel of axis 0
absorbable y
)");
  // A bound that is computed cannot be checked, but still nothing comes between the two.
  CHECK(PlaceText(R"(opset 13
graph g (float32[N,4,8,8] x, float32[] top) => (float32[N,4,8,8] y) {
  float32[4,1,3,3] w = ones
  t = Conv<group=4>(x, w)
  y = Clip(t, "", top)
})") == R"(activation x: uint8, group 0
activation y: uint8, group 1, whole range
weight w: int8 symmetric narrow, per channel of axis 0
)");
}

TEST_CASE("a Clip per channel, written as Relu and Min, has its Conv's grid on either side") {
  CHECK(PlaceText(R"(opset 13
graph g (float32[N,2,8,8] x) => (float32[N,2,8,8] y) {
  float32[2,2,1,1] w = ones
  float32[1,2,1,1] top = {6, 3}
  t = Conv(x, w)
  r = Relu(t)
  y = Min(r, top)
})") == R"(activation x: uint8, group 0
activation r: uint8, group 1, derived, whole range
activation y: uint8, group 1, whole range
weight w: int8 symmetric narrow, per channel of axis 0
absorbable r
absorbable y
)");
}

TEST_CASE("residual Add: both branches and the sum are quantized") {
  CHECK(PlaceText(R"(opset 13
graph g (float32[N,4,8,8] x) => (float32[N,4,8,8] y) {
  float32[4,4,1,1] w = ones
  t = Conv(x, w)
  s = Add(x, t)
  r = Relu(s)
  y = Conv(r, w)
})") == R"(activation x: uint8, group 0
activation t: uint8, group 1
activation r: uint8, group 2
activation y: uint8, group 3, whole range
weight w: int8 symmetric narrow, per channel of axis 0
absorbable r
)");
}

TEST_CASE("a Relu whose input has other readers stands alone between two quantizers") {
  CHECK(PlaceText(R"(opset 13
graph g (float32[N,4,8,8] x) => (float32[N,4,8,8] y) {
  float32[4,4,1,1] w = ones
  t = Conv(x, w)
  r = Relu(t)
  s = Add(t, r)
  y = Conv(s, w)
})") == R"(activation x: uint8, group 0
activation t: uint8, group 1
activation r: uint8, group 2
activation s: uint8, group 3
activation y: uint8, group 4, whole range
weight w: int8 symmetric narrow, per channel of axis 0
)");
}

TEST_CASE("Concat shares one range between its inputs, constants included, and its output") {
  CHECK(PlaceText(R"(opset 13
graph g (float32[N,4,8,8] x) => (float32[N,4,8,8] y) {
  float32[4,4,1,1] w = ones
  float32[4,12,1,1] v = ones
  float32[1,4,8,8] c = ones
  a = Conv(x, w)
  b = Relu(a)
  j = Concat<axis=1>(b, x, c)
  y = Conv(j, v)
})") == R"(activation x: uint8, group 0
activation b: uint8, group 0
activation j: uint8, group 0, derived
activation y: uint8, group 1, whole range
weight w: int8 symmetric narrow, per channel of axis 0
weight c: uint8, group 0
weight v: int8 symmetric narrow, per channel of axis 0
absorbable b
)");
}

TEST_CASE("pass-through ops carry the range of their input to every output") {
  CHECK(PlaceText(R"(opset 13
graph g (float32[1,4,8,8] x) => (float32[1,32] y, float32[1,32] z) {
  float32[4,4,1,1] w = ones
  int64[2] shape = {1, 64}
  int64[2] parts = {32, 32}
  c = Conv(x, w)
  p, indices = MaxPool<kernel_shape=[2,2], strides=[2,2]>(c)
  f = Reshape(p, shape)
  y, z = Split<axis=1>(f, parts)
})") == R"(activation x: uint8, group 0
activation c: uint8, group 1, whole range
activation p: uint8, group 1, derived, whole range
activation f: uint8, group 1, derived, whole range
activation y: uint8, group 1, derived, whole range
activation z: uint8, group 1, derived, whole range
weight w: int8 symmetric narrow, per channel of axis 0
)");
}

TEST_CASE("Pad with another constant and cubic Resize do not keep the range") {
  CHECK(PlaceText(R"(opset 13
graph g (float32[1,4,8,8] x) => (float32[1,4,9,9] y, float32[1,4,16,16] z) {
  float32[4,4,1,1] w = ones
  int64[8] pads = {0, 0, 0, 0, 0, 0, 1, 1}
  float32[] one = {1}
  float32[4] scales = {1, 1, 2, 2}
  c = Conv(x, w)
  p = Pad(c, pads, one)
  r = Resize<mode="cubic">(c, "", scales)
  y = Conv(p, w)
  z = Conv(r, w)
})") == R"(activation x: uint8, group 0
activation c: uint8, group 1
activation p: uint8, group 2
activation r: uint8, group 3
activation y: uint8, group 4, whole range
activation z: uint8, group 5, whole range
weight w: int8 symmetric narrow, per channel of axis 0
)");
}

TEST_CASE("a pass-through op without a quantized input stays float") {
  CHECK(PlaceText(R"(opset 13
graph g (float32[1,8] x) => (float32[1,4] y) {
  float32[8,4] w = ones
  int64[2] shape = {1, 8}
  e = Erf(x)
  r = Reshape(e, shape)
  y = MatMul(r, w)
})") == R"(activation r: uint8, group 0
activation y: uint8, group 1, whole range
weight w: int8 symmetric narrow, per channel of axis 1
float Erf producing 'e': op Erf is not in the profile
float Reshape producing 'r': its input is not quantized
)");
}

TEST_CASE("batch normalization left between Conv and Relu stays float, with the Relu") {
  CHECK(PlaceText(R"(opset 13
graph g (float32[1,4,8,8] x) => (float32[1,4,8,8] y) {
  float32[4,4,1,1] w = ones
  float32[4] s = ones
  t = Conv(x, w)
  n = BatchNormalization(t, s, s, s, s)
  r = Relu(n)
  y = Conv(r, w)
})") == R"(activation x: uint8, group 0
activation t: uint8, group 1
activation r: uint8, group 2
activation y: uint8, group 3, whole range
weight w: int8 symmetric narrow, per channel of axis 0
float BatchNormalization producing 'n': op BatchNormalization is not in the profile
float Relu producing 'r': its input is not quantized
)");
}

TEST_CASE("Gemm: channel axis by transB, bias scale by alpha and beta") {
  CHECK(PlaceText(R"(opset 13
graph g (float32[1,8] x) => (float32[1,4] y, float32[1,4] z) {
  float32[4,8] w = ones
  float32[8,4] v = ones
  float32[4] b = zeros
  float32[4] c = zeros
  y = Gemm<transB=1, alpha=3.0, beta=2.0>(x, w, b)
  z = Gemm<beta=0.0>(x, v, c)
})") == R"(activation x: uint8, group 0
activation y: uint8, group 1, whole range
activation z: uint8, group 2, whole range
weight w: int8 symmetric narrow, per channel of axis 0
weight v: int8 symmetric narrow, per channel of axis 1
bias b: int32 symmetric, per channel of axis 0, scale of x * w * 1.5
float c: alpha / beta is not positive
)");
}

TEST_CASE("a weight used along two axes gets one scale, a bias between two scales stays float") {
  CHECK(PlaceText(R"(opset 13
graph g (float32[1,4] x) => (float32[1,4] y) {
  float32[4,4] w = ones
  float32[4] b = zeros
  t = Gemm<transB=1>(x, w, b)
  y = Gemm(t, w, b)
})") == R"(activation x: uint8, group 0
activation t: uint8, group 1
activation y: uint8, group 2, whole range
weight w: int8 symmetric narrow
float b: shared by nodes whose scales differ
)");
}

TEST_CASE("a batch of matrices has one scale where its layer takes codes") {
  const std::string model = R"(opset 13
graph g (float32[2,3,4] x) => (float32[2,3,5] y) {
  float32[1,4,5] w = ones
  y = MatMul(x, w)
})";
  Setup setup;
  CHECK(PlaceText(model, setup).find("weight w: int8 symmetric narrow\n") != std::string::npos);
  const auto placement = Place(ParseModel(model), setup.profile, setup.choice);
  REQUIRE(placement->overruled.size() == 1);
  CHECK(placement->overruled[0].node == "w");
  setup.choice.mode = ActivationMode::kDynamic;
  CHECK(PlaceText(model, setup).find("weight w: int8 symmetric narrow\n") != std::string::npos);
  // It is allowed with float inputs.
  setup.choice.mode = ActivationMode::kFloat;
  CHECK(PlaceText(model, setup).find("per channel of axis 2") != std::string::npos);
}

TEST_CASE("per tensor, in blocks, and vectors") {
  const char* const model = R"(opset 13
graph g (float32[1,64] x) => (float32[1,4] y, float32[1] z) {
  float32[64,4] w = ones
  float32[64] v = ones
  float32[4] b = zeros
  y = Gemm(x, w, b)
  z = MatMul(x, v)
})";
  Setup setup;
  setup.choice.weight_granularity = quant::Granularity::kTensor;
  CHECK(PlaceText(model, setup) == R"(activation x: uint8, group 0
activation y: uint8, group 1, whole range
activation z: uint8, group 2, whole range
weight w: int8 symmetric narrow
weight v: int8 symmetric narrow
bias b: int32 symmetric, scale of x * w
)");
  setup.choice.weight_granularity = quant::Granularity::kBlock;
  setup.choice.block_size = 32;
  setup.choice.weights = {.bits = 4, .is_signed = true, .symmetric = true};
  CHECK(PlaceText(model, setup) == R"(activation x: uint8, group 0
activation y: uint8, group 1, whole range
activation z: uint8, group 2, whole range
weight w: int4 symmetric, blocks of 32 along axis 0
weight v: int4 symmetric
float b: the weight is quantized in blocks
)");
}

TEST_CASE("layers without a constant weight: MatMul has two activations, the others stay float") {
  CHECK(PlaceText(R"(opset 13
graph g (float32[1,4,4,4] x, float32[4,4,1,1] k) => (float32[1,4,4,4] y, float32[1,4,4,4] z) {
  y = Conv(x, k)
  z = MatMul(x, x)
})") == R"(activation x: uint8, group 0
activation z: uint8, group 1, whole range
float Conv producing 'y': weight is not constant
)");
  CHECK(PlaceText(R"(opset 13
graph g (float32[1,4] x) => (float32[1,4] y) {
  float32[4] w = ones
  y = Gemm(x, w)
})") == "float Gemm producing 'y': weight has shape [4]\n");
}

TEST_CASE("constant operands take the activation grid, Softmax and Sigmoid have known ranges") {
  Setup setup;
  setup.profile.anchors.clear();
  CHECK(PlaceText(R"(opset 13
graph g (float32[1,4] x) => (float32[1,4] y) {
  float32[] c = {0.5}
  m = Mul(x, c)
  s = Sigmoid(m)
  y = Softmax(s)
})",
                  setup) == R"(activation x: uint8, group 0, whole range
activation m: uint8, group 1, whole range
activation s: uint8, group 2, whole range, fixed to [0, 1]
activation y: uint8, group 3, whole range, fixed to [0, 1]
weight c: uint8
)");
}

TEST_CASE("integers, shapes, indices and nodes of control flow have no quantizer") {
  Setup setup;
  setup.profile.anchors.clear();
  CHECK(PlaceText(R"(opset 13
graph g (float32[2,4] x, bool c) => (float32[2,4] y) {
  int64[2] i = {0, 1}
  int64[1] k = {2}
  s = Shape(x)
  d = Add(s, k)
  g = Gather(x, i)
  a = Add(x, g)
  y = If<then_branch=graph t () => (float32[2,4] p) { p = Add(a, a) },
         else_branch=graph e () => (float32[2,4] q) { q = Relu(a) }>(c)
})",
                  setup) == R"(activation x: uint8, group 0, whole range
activation g: uint8, group 0, derived, whole range
activation a: uint8, group 1, whole range
activation p: uint8, group 2, whole range
activation q: uint8, group 3, whole range
float If producing 'y': op If is not in the profile
)");
}

TEST_CASE(
    "excluded nodes: by name, op type, expression, and patterns that match nothing are told") {
  Setup setup;
  setup.choice.exclude = {"conv"};
  CHECK(PlaceText(kConvRelu, setup) == R"(float 'conv' (Conv): excluded by 'conv'
float 'relu' (Relu): its input is not quantized
)");
  setup.choice.exclude = {"Relu", "re:lin.*"};
  CHECK(PlaceText(kConvRelu, setup) == R"(activation x: uint8, group 0
activation t: uint8, group 1, whole range
weight w: int8 symmetric narrow, per channel of axis 0
bias b: int32 symmetric, per channel of axis 0, scale of x * w
float 'relu' (Relu): excluded by 'Relu'
exclude 're:lin.*' matches no node
)");
  setup.choice.exclude = {"re:c.*v"};
  CHECK(PlaceText(kConvRelu, setup).starts_with("float 'conv' (Conv): excluded by 're:c.*v'"));
  setup.choice.exclude = {"re:c("};
  CHECK(PlaceError(kConvRelu, setup).kind() == ErrorKind::kUsage);
  CHECK(PlaceError(kConvRelu, setup)
            .message()
            .starts_with("exclude: 're:c(' is not a regular expression"));
}

TEST_CASE("expressions that could take exponential time do not") {
  Setup setup;
  setup.choice.exclude = {"re:(a+)+b"};
  const std::string name(4000, 'a');
  const std::string text = PlaceText(
      StrCat("opset 13\ngraph g (float32[1] x) => (float32[1] y) { [", name, "] y = Relu(x) }"),
      setup);
  CHECK(text.find("exclude 're:(a+)+b' matches no node") != std::string::npos);
}

TEST_CASE("the model's interface can stay float") {
  Setup setup;
  setup.profile.quantize_graph_inputs = setup.profile.quantize_graph_outputs = false;
  CHECK(PlaceText(kConvRelu, setup) == R"(weight w: int8 symmetric narrow, per channel of axis 0
absorbable y
float b: the layer's input is not quantized
)");
  setup = {};
  setup.profile.quantize_bias = false;
  CHECK(PlaceText(kConvRelu, setup).find("bias") == std::string::npos);
}

TEST_CASE("half precision and unknown types are declined with the reason") {
  CHECK(PlaceText(R"(opset 13
graph g (float16[1,4] x) => (float16[1,4] y) {
  y = Add(x, x)
})") == "float Add producing 'y': its tensors are float16; only float32 is quantized\n");
  CHECK(PlaceText(R"(opset 13, my.ops 1
graph g (float32[1,4] x) => (float32[1,4] y) {
  u = my.ops.Secret(x)
  y = Sigmoid(u)
})") == R"(float Secret producing 'u': op my.ops.Secret is not in the profile
float Sigmoid producing 'y': the type of 'u' is not known
)");
}

TEST_CASE("grids that the target does not have are usage errors") {
  Setup setup;
  setup.choice.activations = {.bits = 4};
  CHECK(PlaceError(kConvRelu, setup).message() ==
        "activations: target 'ort-cpu' has no uint4; allowed: int16, int8, uint16, uint8");
  setup.choice.activations = {.bits = 1};
  CHECK(PlaceError(kConvRelu, setup).message() == "activations: 1 bits; 2 to 16 are possible");
  setup = {};
  setup.choice.activations = {
      .bits = 8, .is_signed = true, .symmetric = true, .narrow_range = true};
  CHECK(PlaceError(kConvRelu, setup).kind() == ErrorKind::kUsage);
  setup = {};
  setup.choice.weight_granularity = quant::Granularity::kBlock;
  CHECK(PlaceError(kConvRelu, setup).message() ==
        "weights: blocks need a block size of at least 1");
}

TEST_CASE("a rule cannot ask for layers that the target does not run") {
  Setup setup;
  setup.profile = LoadProfile("qnn-htp").value();
  setup.choice = DefaultChoice(setup.profile);
  setup.choice.rules = {{.op = "Conv", .mode = ActivationMode::kFloat}};
  const Status error = PlaceError(kConvRelu, setup);
  CHECK(error.kind() == ErrorKind::kUsage);
  CHECK(error.message().find("target 'qnn-htp' has no layers whose activations are float") !=
        std::string::npos);
}

TEST_CASE("float grids: no integer bias, no absorbed Relu, formats bring their blocks") {
  const auto named = [](const char* name) { return ParseGridName(name).value(); };
  Setup setup{LoadProfile("generic").value(), DefaultChoice(LoadProfile("generic").value())};
  setup.profile.absorb_relu = true;
  setup.choice.activations = setup.choice.weights = named("float8e4m3fn");
  CHECK(PlaceText(kConvRelu, setup) == R"(activation x: float8e4m3fn, group 0
activation y: float8e4m3fn, group 1, whole range
weight w: float8e4m3fn, per channel of axis 0
float b: its layer computes in float
)");
  setup.choice = DefaultChoice(setup.profile);
  setup.choice.weights = named("mxfp4");
  CHECK(PlaceText(kConvRelu, setup).find("weight w: mxfp4, blocks of 32") != std::string::npos);
  setup.choice.weights = named("bfloat16");
  CHECK(PlaceText(kConvRelu, setup).find("weight w: bfloat16\n") != std::string::npos);
  // A weight with two levels is summed in integers like any other.
  setup.choice.weights = named("binary");
  CHECK(PlaceText(kConvRelu, setup).find("bias b: int32") != std::string::npos);
}

TEST_CASE("grids of weights alone, and those that an opset cannot hold, are usage errors") {
  Setup setup{LoadProfile("generic").value(), DefaultChoice(LoadProfile("generic").value())};
  for (const char* name : {"mxfp4", "nvfp4", "ternary", "binary", "int4 symmetric lpbq"}) {
    setup.choice.activations = ParseGridName(name).value();
    CHECK(PlaceError(kConvRelu, setup).message() ==
          StrCat("activations: ", name, " is a format of weights"));
  }
  setup.choice = DefaultChoice(setup.profile);
  setup.profile.max_opset = 21;
  setup.choice.weights = ParseGridName("nvfp4").value();
  CHECK(PlaceError(kConvRelu, setup).message() ==
        "weights: nvfp4 needs opset 23; target 'generic' reads up to 21");
  setup.choice.weights = ParseGridName("float8e5m2").value();
  CHECK(PlaceError(kConvRelu, setup).ok());
  setup = {};
  setup.choice.weights = ParseGridName("mxfp4").value();
  CHECK(PlaceError(kConvRelu, setup).message().find("target 'ort-cpu' has no mxfp4") !=
        std::string::npos);
  setup.choice = DefaultChoice(setup.profile);
  setup.choice.mode = ActivationMode::kDynamic;
  setup.profile.weight_grids.clear();
  setup.choice.weights = ParseGridName("float8e4m3fn").value();
  CHECK(PlaceError(kConvRelu, setup).message().find("5 to 8 bits, not float8e4m3fn") !=
        std::string::npos);
}

}  // namespace roundel::target
