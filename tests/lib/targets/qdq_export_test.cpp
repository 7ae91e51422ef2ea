#include <algorithm>
#include <cmath>

#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "lib/targets/qdq.h"
#include "tests/support/catch.h"
#include "tests/support/parse_model.h"

namespace roundel::target {
namespace {

using support::ParseModel;

using quant::Encoding;
using quant::Granularity;
using quant::Grid;
using quant::Role;

const Grid kUint8{.bits = 8};
const Grid kInt8{.bits = 8, .is_signed = true, .symmetric = true, .narrow_range = true};
const Grid kInt4{.bits = 4, .is_signed = true, .symmetric = true};
const Grid kInt32{.bits = 32, .is_signed = true, .symmetric = true};

Encoding Activation(float scale, int32_t zero_point, Grid grid = kUint8) {
  return {.role = Role::kActivation, .grid = grid, .params = {{scale, zero_point}}};
}
Encoding Channels(Role role, Grid grid, std::vector<float> scales, int64_t axis = 0) {
  Encoding e{.role = role, .grid = grid, .granularity = Granularity::kChannel, .axis = axis};
  for (const float scale : scales) e.params.push_back({scale, 0});
  return e;
}

graph::Model Export(const std::string& model, const quant::EncodingTable& table,
                    const QdqOptions& options = {}) {
  auto out = ExportQdq(ParseModel(model), table, options);
  INFO(out.status().message());
  REQUIRE(out.ok());
  return std::move(out).value();
}
Status ExportError(const std::string& model, const quant::EncodingTable& table,
                   const QdqOptions& options = {}) {
  return ExportQdq(ParseModel(model), table, options).status();
}

int64_t CountNodes(const graph::Model& model, const std::string& op_type) {
  const auto& nodes = model.graph->nodes();
  return std::count_if(nodes.begin(), nodes.end(),
                       [&](const auto& node) { return node->op_type == op_type; });
}

// Conv(x, w, b) -> Relu. Weights in quarters and halves, so that every code is exact by hand.
const char* const kConvRelu = R"(opset 13
graph g (float32[1,1,1,2] x) => (float32[1,2,1,2] y) {
  float32[2,1,1,1] w = {31.75, -0.5}
  float32[2] b = {1, -2}
  [conv] t = Conv(x, w, b)
  [relu] y = Relu(t)
})";
quant::EncodingTable ConvReluTable() {
  return {{"x", Activation(0.5f, 128)},
          {"y", Activation(0.25f, 0)},
          {"w", Channels(Role::kWeight, kInt8, {0.25f, 0.5f})},
          {"b", Channels(Role::kBias, kInt32, {0.125f, 0.25f})}};
}

}  // namespace

TEST_CASE("Conv and Relu become integers between DequantizeLinear and QuantizeLinear") {
  graph::Model out = Export(kConvRelu, ConvReluTable());
  CHECK(out.Opset() == 13);
  CHECK(graph::Print(*out.graph) == graph::Print(*ParseModel(R"(opset 13
graph g (float32[1,1,1,2] x) => (float32[1,2,1,2] y) {
  float32[] x_scale = {0.5}
  uint8[] x_zero_point = {128}
  float32[2] b_quantized_scale = {0.125, 0.25}
  int32[2] b_quantized_zero_point = {0, 0}
  int32[2] b_quantized = {8, -8}
  float32[2] w_scale = {0.25, 0.5}
  int8[2] w_zero_point = {0, 0}
  int8[2,1,1,1] w_quantized = {127, -1}
  float32[] y_scale = {0.25}
  uint8[] y_zero_point = {0}
  [x_QuantizeLinear] x_QuantizeLinear_Output = QuantizeLinear(x, x_scale, x_zero_point)
  [x_DequantizeLinear] x_DequantizeLinear_Output = DequantizeLinear(x_QuantizeLinear_Output, x_scale, x_zero_point)
  [b_DequantizeLinear] b = DequantizeLinear<axis=0>(b_quantized, b_quantized_scale, b_quantized_zero_point)
  [w_DequantizeLinear] w_DequantizeLinear_Output = DequantizeLinear<axis=0>(w_quantized, w_scale, w_zero_point)
  [conv] y_QuantizeLinear_Input = Conv(x_DequantizeLinear_Output, w_DequantizeLinear_Output, b)
  [y_QuantizeLinear] y_QuantizeLinear_Output = QuantizeLinear(y_QuantizeLinear_Input, y_scale, y_zero_point)
  [y_DequantizeLinear] y = DequantizeLinear(y_QuantizeLinear_Output, y_scale, y_zero_point)
})")
                                                      .graph));
  CHECK(std::find(out.metadata.begin(), out.metadata.end(),
                  std::pair<std::string, std::string>("roundel.format", "QDQ")) !=
        out.metadata.end());
}

TEST_CASE("the model that is exported is not changed") {
  const graph::Model model = ParseModel(kConvRelu);
  const std::string before = graph::Print(model);
  REQUIRE(ExportQdq(model, ConvReluTable(), {.min_opset = 13}).ok());
  CHECK(graph::Print(model) == before);
}

TEST_CASE("a clamp is dropped exactly where the quantizer clamps alike") {
  const auto relus = [](Encoding y, bool absorb = true) {
    quant::EncodingTable table = ConvReluTable();
    table["y"] = y;
    return CountNodes(Export(kConvRelu, table, {.absorb_relu = absorb}), "Relu");
  };
  CHECK(relus(Activation(0.25f, 0)) == 0);
  CHECK(relus(Activation(0.25f, 0), false) == 1);
  CHECK(relus(Activation(0.25f, 1)) == 1);  // -0.25 would pass
  CHECK(relus(Activation(0.25f, -128, {.bits = 8, .is_signed = true})) == 0);
  CHECK(relus(Activation(0.25f, 0, {.bits = 8, .is_signed = true})) == 1);

  const auto clips = [](float scale, int32_t zero_point, const char* bounds) {
    return CountNodes(Export(StrCat(R"(opset 13
graph g (float32[1,1,1,2] x) => (float32[1,1,1,2] y) {
  float32[1,1,1,1] w = {1}
  t = Conv(x, w)
  )",
                                    bounds, "\n}"),
                             {{"y", Activation(scale, zero_point)}}),
                      "Clip");
  };
  const char* const relu6 = "float32[] a = {0} float32[] b = {6} y = Clip(t, a, b)";
  // The largest value is 255 * scale; 6 must round to code 255, that is 6 / scale >= 254.5.
  CHECK(clips(6.0f / 255, 0, relu6) == 0);
  CHECK(clips(6.0f / 254.6f, 0, relu6) == 0);
  CHECK(clips(6.0f / 254.4f, 0, relu6) == 1);
  CHECK(clips(5.0f / 255, 0, relu6) == 0);
  CHECK(clips(6.0f / 255, 3, relu6) == 1);
  CHECK(clips(2.0f / 255, 128, "float32[] a = {-1} float32[] b = {1} y = Clip(t, a, b)") == 1);
  CHECK(clips(1.0f / 255, 0, "float32[] b = {1} y = Clip(t, \"\", b)") == 0);
}

TEST_CASE("Relu and Min are dropped together, or only the one in reach") {
  const auto left = [](float bound, std::vector<std::string> encoded = {"y"}) {
    quant::EncodingTable table;
    for (const std::string& value : encoded) table[value] = Activation(4.0f / 255, 0);
    const graph::Model out = Export(StrCat(R"(opset 13
graph g (float32[1,2,1,1] x) => (float32[1,2,1,1] y) {
  float32[2,2,1,1] w = {1, 0, 0, 1}
  float32[1,2,1,1] top = {6, )",
                                           bound, R"(}
  t = Conv(x, w)
  r = Relu(t)
  y = Min(r, top)
})"),
                                    table);
    return std::pair(CountNodes(out, "Relu"), CountNodes(out, "Min"));
  };
  // With the same grid in front of the Min, the Relu is always in reach.
  CHECK(left(5, {"r", "y"}) == std::pair<int64_t, int64_t>(0, 0));
  CHECK(left(3, {"r", "y"}) == std::pair<int64_t, int64_t>(0, 1));
  CHECK(left(5) == std::pair<int64_t, int64_t>(0, 0));
  CHECK(left(3) ==
        std::pair<int64_t, int64_t>(1, 1));  // 3 < 4: the Min still cuts, behind its Relu
}

TEST_CASE("a Relu whose input somebody else reads, or that is quantized itself, stays") {
  const char* const model = R"(opset 13
graph g (float32[1,2] x) => (float32[1,2] y, float32[1,2] z) {
  t = Add(x, x)
  y = Relu(t)
  z = Add(t, x)
})";
  CHECK(CountNodes(Export(model, {{"y", Activation(0.1f, 0)}}), "Relu") == 1);
  CHECK(CountNodes(Export("opset 13\ngraph g (float32[2] x) => (float32[2] y) { y = Relu(x) }",
                          {{"y", Activation(0.1f, 0)}}),
                   "Relu") == 1);
  CHECK(CountNodes(Export(R"(opset 13
graph g (float32[1,2] x) => (float32[1,2] y) { t = Add(x, x)  y = Relu(t) })",
                          {{"t", Activation(0.1f, 5)}, {"y", Activation(0.1f, 0)}}),
                   "Relu") == 1);
}

TEST_CASE("one pair serves all readers, sub-graphs read it too, Constant nodes become integers") {
  const graph::Model out =
      Export(R"(opset 13
graph g (float32[2] x, bool c) => (float32[2] y, float32[2] v) {
  k = Constant<value=float32[2]{0.5, 1}>()
  a = Add(x, k)
  y = If<then_branch=graph t () => (float32[2] p) { p = Mul(a, k) },
         else_branch=graph e () => (float32[2] q) { q = Relu(a) }>(c)
  v = Mul(a, a)
})",
             {{"a", Activation(0.5f, 10)},
              {"k", {.role = Role::kWeight, .grid = kUint8, .params = {{0.5f, 0}}}}});
  CHECK(graph::Print(*out.graph) == graph::Print(*ParseModel(R"(opset 13
graph g (float32[2] x, bool c) => (float32[2] y, float32[2] v) {
  float32[] k_scale = {0.5}
  uint8[] k_zero_point = {0}
  uint8[2] k_quantized = {1, 2}
  float32[] a_scale = {0.5}
  uint8[] a_zero_point = {10}
  [k_DequantizeLinear] k_DequantizeLinear_Output = DequantizeLinear(k_quantized, k_scale, k_zero_point)
  a = Add(x, k_DequantizeLinear_Output)
  [a_QuantizeLinear] a_QuantizeLinear_Output = QuantizeLinear(a, a_scale, a_zero_point)
  [a_DequantizeLinear] a_DequantizeLinear_Output = DequantizeLinear(a_QuantizeLinear_Output, a_scale, a_zero_point)
  y = If<then_branch=graph t () => (float32[2] p) { p = Mul(a_DequantizeLinear_Output, k_DequantizeLinear_Output) },
         else_branch=graph e () => (float32[2] q) { q = Relu(a_DequantizeLinear_Output) }>(c)
  v = Mul(a_DequantizeLinear_Output, a_DequantizeLinear_Output)
})")
                                                      .graph));
}

TEST_CASE("inputs that are outputs, outputs with readers, names that are taken") {
  const graph::Model out = Export(R"(opset 13
graph g (float32[2] x) => (float32[2] x, float32[2] y) {
  y = Add(x, x)
  x_scale = Neg(y)
})",
                                  {{"x", Activation(0.5f, 0)}, {"y", Activation(0.25f, 0)}});
  const graph::Graph& g = *out.graph;
  CHECK(g.inputs[0].name == "x");
  CHECK(g.outputs[0].name == "x");
  CHECK(g.Producer("y")->op_type == "DequantizeLinear");
  CHECK(g.Producer("x_scale")->op_type == "Neg");
  CHECK(g.Producer("x_scale")->input(0) == "y");
  CHECK(g.FindInitializer("x_scale_1") != nullptr);
  CHECK(g.Producer("y_QuantizeLinear_Input")->input(0) == "x_DequantizeLinear_Output");
}

TEST_CASE("four bits are packed two to a byte, low element first, and need opset 21") {
  const char* const text = R"(opset 21
graph g (float32[1,3] x) => (float32[1,1] y) {
  float32[3,1] w = {1, -8, 7}
  y = MatMul(x, w)
})";
  const quant::EncodingTable table = {
      {"w", {.role = Role::kWeight, .grid = kInt4, .params = {{1, 0}}}}};
  const graph::Model out = Export(text, table);
  const Tensor& codes = *out.graph->FindInitializer("w_quantized");
  CHECK(codes.dtype() == DType::kInt4);
  CHECK(codes.shape() == Shape{3, 1});
  const auto* bytes = static_cast<const uint8_t*>(codes.raw());
  CHECK(bytes[0] == 0x81);  // 1 | -8 << 4
  CHECK(bytes[1] == 0x07);
  CHECK(out.graph->FindInitializer("w_zero_point")->dtype() == DType::kInt4);
}

TEST_CASE("blocks: scale per block and column, axis and block_size attributes") {
  Encoding e{.role = Role::kWeight,
             .grid = kInt4,
             .granularity = Granularity::kBlock,
             .axis = 0,
             .block_size = 2,
             .params = {{1, 0}, {2, 0}, {0.5f, 0}, {4, 0}}};
  const graph::Model out = Export(R"(opset 21
graph g (float32[1,3] x) => (float32[1,2] y) {
  float32[3,2] w = {1, 2, 3, 4, 0.5, 8}
  y = MatMul(x, w)
})",
                                  {{"w", e}});
  CHECK(out.graph->FindInitializer("w_scale")->shape() == Shape{2, 2});
  CHECK(out.graph->FindInitializer("w_quantized")->ToInt64s() ==
        std::vector<int64_t>{1, 1, 3, 2, 1, 2});
  const graph::Node* dq = out.graph->Producer("w_DequantizeLinear_Output");
  CHECK(dq->Int("axis", -1) == 0);
  CHECK(dq->Int("block_size", -1) == 2);
}

TEST_CASE("codes that a pass fixed are written as they are") {
  quant::EncodingTable table = ConvReluTable();
  table["w"].codes = Tensor::FromVector<int8_t>({2, 1, 1, 1}, {100, 0});
  CHECK(Export(kConvRelu, table).graph->FindInitializer("w_quantized")->ToInt64s() ==
        std::vector<int64_t>{100, 0});
}

TEST_CASE("older models are raised as far as the grids and the target need") {
  const char* const old = R"(opset 10, ir_version 3
graph g (float32[1,2] x) => (float32[1,2] y) {
  y = Add(x, x)
})";
  const quant::EncodingTable table = {{"x", Activation(0.5f, 0)}};
  CHECK(Export(old, table).Opset() == 10);
  CHECK(Export(old, table).ir_version >= 4);
  CHECK(Export(old, table, {.min_opset = 13}).Opset() == 13);
  const quant::EncodingTable wide = {{"x", Activation(0.5f, 0, {.bits = 16})}};
  CHECK(Export(old, wide).Opset() == 21);
  CHECK(Export(old, wide).graph->FindInitializer("x_zero_point")->dtype() == DType::kUint16);
}

TEST_CASE("where the opset cannot be raised: com.microsoft if that is allowed, else an error") {
  // The running mean of a BatchNormalization in training mode has another meaning from opset 14 on.
  const char* const stuck = R"(opset 10
graph g (float32[1,2] x) => (float32[1,2] y, float32[2] m) {
  float32[2] s = ones
  y, m = BatchNormalization(x, s, s, s, s)
})";
  const quant::EncodingTable wide = {{"x", Activation(0.5f, 7, {.bits = 16})}};
  const Status refused = ExportError(stuck, wide);
  CHECK(refused.kind() == ErrorKind::kModel);
  CHECK(refused.message().starts_with(
      "uint16 quantization needs opset 21, the model has 10 and cannot be raised: "));
  const graph::Model out = Export(stuck, wide, {.contrib_qdq = true, .min_opset = 13});
  CHECK(out.Opset() == 10);
  CHECK(out.Opset("com.microsoft") == 1);
  CHECK(out.graph->Producer("x_QuantizeLinear_Output")->domain == "com.microsoft");
  const quant::EncodingTable narrow = {{"x", Activation(0.5f, 7)}};
  CHECK(Export(stuck, narrow, {.contrib_qdq = true, .min_opset = 13})
            .graph->Producer("x_QuantizeLinear_Output")
            ->domain.empty());
}

TEST_CASE("tables that do not fit the model are refused") {
  const auto message = [](const std::string& name, const Encoding& e,
                          ErrorKind kind = ErrorKind::kModel) {
    quant::EncodingTable table = ConvReluTable();
    table[name] = e;
    const Status status = ExportError(kConvRelu, table);
    CHECK(status.kind() == kind);
    return status.message();
  };
  CHECK(message("zz", Activation(1, 0)) == "encoding of 'zz': the model has no such value");
  CHECK(message("x", Activation(0, 0)) == "encoding of 'x': scale 0 is not a positive number");
  CHECK(message("x", Activation(NAN, 0)) == "encoding of 'x': scale nan is not a positive number");
  CHECK(message("x", Activation(1, 256)) == "encoding of 'x': zero point 256 is outside of uint8");
  CHECK(message("w", Channels(Role::kWeight, kInt8, {1, 2, 3})) ==
        "encoding of 'w': 3 scales for shape [2, 1, 1, 1] where 2 are needed");
  CHECK(message("w", Channels(Role::kWeight, kInt8, {1, 2}, 7)) ==
        "encoding of 'w': axis 7 does not exist in shape [2, 1, 1, 1]");
  Encoding blocks{.role = Role::kWeight,
                  .grid = kInt8,
                  .granularity = Granularity::kBlock,
                  .block_size = INT64_MAX,
                  .params = {{1, 0}}};
  CHECK(message("w", blocks) == "encoding of 'w': block size 9223372036854775807");
  Encoding codes = ConvReluTable()["w"];
  codes.codes = Tensor::FromVector<int8_t>({2}, {1, 1});
  CHECK(message("w", codes) == "encoding of 'w': codes have shape [2], the value [2, 1, 1, 1]");
  CHECK(message("x", Activation(1, 0, kInt8), ErrorKind::kUsage) ==
        "encoding of 'x': an activation cannot be exported as int8 symmetric narrow; use the full "
        "range and one scale");
  CHECK(message("x", {.grid = kUint8}) ==
        "encoding of 'x': an activation takes one scale, or one per channel");
}

}  // namespace roundel::target
