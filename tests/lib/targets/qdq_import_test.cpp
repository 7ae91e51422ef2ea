
#include "lib/base/random.h"
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

struct Imported {
  FloatModel out;
  std::vector<std::string> kept;
  std::string text() const { return graph::Print(*out.model.graph); }
  const Encoding& operator[](const std::string& name) const {
    REQUIRE(out.encodings.contains(name));
    return out.encodings.at(name);
  }
};

Imported Import(const std::string& text) {
  Imported imported;
  auto out = ImportQdq(ParseModel(text), &imported.kept);
  INFO(out.status().message());
  REQUIRE(out.ok());
  imported.out = std::move(out).value();
  return imported;
}

std::string GraphText(const std::string& text) { return graph::Print(*ParseModel(text).graph); }

void CheckSame(const quant::EncodingTable& a, const quant::EncodingTable& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [name, e] : a) {
    INFO(name);
    REQUIRE(b.contains(name));
    const Encoding& f = b.at(name);
    CHECK(e.role == f.role);
    CHECK(e.grid == f.grid);
    CHECK(e.granularity == f.granularity);
    CHECK(e.axis == f.axis);
    CHECK(e.block_size == f.block_size);
    CHECK(e.params == f.params);
  }
}

}  // namespace

TEST_CASE("import undoes export: graph, names, encodings, codes") {
  const char* const text = R"(opset 21
graph g (float32[1,2,4,4] x) => (float32[1,3] y, float32[1,3,4,4] s) {
  float32[3,2,1,1] w = random(1)
  float32[3] b = random(2)
  float32[3,3] v = random(3)
  float32[5,3] u = random(4)
  float32[1,3,4,4] k = random(5)
  [conv] t = Conv(x, w, b)
  s = Add(t, k)
  p = GlobalAveragePool(s)
  f = Flatten(p)
  m = MatMul(f, v)
  y = Gemm<transB=1>(m, u)
})";
  const graph::Model model = ParseModel(text);
  const Grid uint8{.bits = 8}, int3{.bits = 3, .is_signed = true, .symmetric = true};
  quant::EncodingTable table;
  table["x"] = {.grid = uint8, .params = {{0.02f, 128}}};
  table["s"] = {.grid = {.bits = 16, .is_signed = true, .symmetric = true},
                .params = {{0.001f, 0}}};
  table["f"] = {.grid = {.bits = 8, .is_signed = true}, .params = {{0.01f, 0}}};
  table["y"] = {.grid = uint8, .params = {{0.3f, 17}}};
  table["k"] = {.role = Role::kWeight,
                .grid = {.bits = 8, .is_signed = true, .symmetric = true},
                .params = {{0.01f, 0}}};
  table["w"] = {.role = Role::kWeight,
                .grid = {.bits = 8, .is_signed = true, .symmetric = true, .narrow_range = true},
                .granularity = Granularity::kChannel,
                .params = {{0.01f, 0}, {0.02f, 0}, {0.03f, 0}}};
  table["b"] = {.role = Role::kBias,
                .grid = {.bits = 32, .is_signed = true, .symmetric = true},
                .granularity = Granularity::kChannel,
                .params = {{0.0002f, 0}, {0.0004f, 0}, {0.0006f, 0}}};
  table["v"] = {.role = Role::kWeight, .grid = int3, .params = {{0.3f, 0}}};
  table["u"] = {.role = Role::kWeight,
                .grid = {.bits = 4},
                .granularity = Granularity::kBlock,
                .axis = 1,
                .block_size = 2};
  for (int i = 0; i < 10; ++i)
    table["u"].params.push_back({0.1f + 0.01f * static_cast<float>(i), 7});

  const auto exported = ExportQdq(model, table, {});
  REQUIRE(exported.ok());
  std::vector<std::string> kept;
  const auto back = ImportQdq(*exported, &kept);
  REQUIRE(back.ok());
  CHECK(kept.empty());
  CheckSame(table, back->encodings);
  for (const char* name : {"w", "b", "v", "u", "k"}) {
    const Tensor& original = *model.graph->FindInitializer(name);
    const Encoding& e = back->encodings.at(name);
    REQUIRE(e.codes.has_value());
    CHECK(*e.codes == quant::QuantizeTensor(original, table.at(name)));
    CHECK(*back->model.graph->FindInitializer(name) ==
          quant::FakeQuantizeTensor(original, table.at(name)));
  }
  // The same nodes and values; only the weights hold what their codes stand for.
  graph::Model expected = graph::Clone(model);
  for (const char* name : {"w", "b", "v", "u", "k"})
    expected.graph->SetInitializer(name, *back->model.graph->FindInitializer(name));
  REQUIRE(back->model.graph->nodes().size() == expected.graph->nodes().size());
  for (size_t i = 0; i < expected.graph->nodes().size(); ++i)
    CHECK(graph::Print(*back->model.graph->nodes()[i]) ==
          graph::Print(*expected.graph->nodes()[i]));
  CHECK(back->model.metadata.empty());
  // Exporting again gives the same bytes.
  const auto again = ExportQdq(back->model, back->encodings, {});
  REQUIRE(again.ok());
  CHECK(graph::Print(*again, 1000) == graph::Print(*exported, 1000));
}

TEST_CASE("weights of other tools: float with Q and DQ, DQ without zero point, negative axis") {
  const Imported in = Import(R"(opset 13
graph g (float32[1,2] x) => (float32[1,2] y) {
  float32[2,2] w = {0.5, 1, -1.5, 0.24}
  float32[] s = {0.5}
  int8[] z = {0}
  int8[2,2] q = {1, 2, 3, -128}
  float32[2] t = {0.5, 0.25}
  wq = QuantizeLinear(w, s, z)
  wd = DequantizeLinear(wq, s, z)
  v = DequantizeLinear<axis=-1>(q, t)
  m = MatMul(x, wd)
  y = MatMul(m, v)
})");
  CHECK(in.kept.empty());
  CHECK(in.text() == GraphText(R"(opset 13
graph g (float32[1,2] x) => (float32[1,2] y) {
  float32[2,2] w = {0.5, 1, -1.5, 0}
  float32[2,2] v = {0.5, 0.5, 1.5, -32}
  m = MatMul(x, w)
  y = MatMul(m, v)
})"));
  CHECK(in["w"].codes->ToInt64s() == std::vector<int64_t>{1, 2, -3, 0});
  CHECK(in["w"].role == Role::kWeight);
  CHECK(in["v"].granularity == Granularity::kChannel);
  CHECK(in["v"].axis == 1);
  CHECK(in["v"].grid == Grid{.bits = 8, .is_signed = true, .symmetric = true});  // -128 is used
  CHECK(in["w"].decided_by == "import");
}

TEST_CASE("the name that codes carry comes back, one set of codes is one weight") {
  const Imported in = Import(R"(opset 13
graph g (float32[2] x) => (float32[2] y) {
  float32[] s = {0.5}
  int8[2] w_quantized = {1, 2}
  a = DequantizeLinear(w_quantized, s)
  b = DequantizeLinear(w_quantized, s)
  t = Add(x, a)
  y = Mul(t, b)
})");
  CHECK(in.text() == GraphText(R"(opset 13
graph g (float32[2] x) => (float32[2] y) {
  float32[2] w = {0.5, 1}
  t = Add(x, w)
  y = Mul(t, w)
})"));
}

TEST_CASE("equal pairs collapse, whether in a row or side by side") {
  const Imported in = Import(R"(opset 13
graph g (float32[2] x) => (float32[2] y) {
  float32[] s = {0.5}
  uint8[] z = {3}
  a = QuantizeLinear(x, s, z)
  b = DequantizeLinear(a, s, z)
  c = QuantizeLinear(b, s, z)
  d = DequantizeLinear(c, s, z)
  e = QuantizeLinear(x, s, z)
  f = DequantizeLinear(e, s, z)
  y = Add(d, f)
})");
  CHECK(in.text() ==
        GraphText("opset 13\ngraph g (float32[2] x) => (float32[2] y) { y = Add(x, x) }"));
  CHECK(in.out.encodings.size() == 1);
  CHECK(in["x"].params == std::vector<quant::QParams>{{0.5f, 3}});
  CHECK(in["x"].role == Role::kActivation);
}

TEST_CASE("readers of the float value keep it: the pair gets a value of its own") {
  const Imported in = Import(R"(opset 13
graph g (float32[2] x) => (float32[2] y) {
  float32[] s = {0.5}
  uint8[] z = {3}
  a = QuantizeLinear(x, s, z)
  x_DequantizeLinear_Output = DequantizeLinear(a, s, z)
  x2_DequantizeLinear_Output = DequantizeLinear(a, s, z)
  t = Add(x, x_DequantizeLinear_Output)
  y = Add(t, x2_DequantizeLinear_Output)
})");
  CHECK(in.text() == GraphText(R"(opset 13
graph g (float32[2] x) => (float32[2] y) {
  [x_1_Identity] x_1 = Identity(x)
  t = Add(x, x_1)
  y = Add(t, x_1)
})"));
  CHECK(in.out.encodings.size() == 1);
  CHECK(in["x_1"].params[0].zero_point == 3);
}

TEST_CASE("a conversion from one grid to another is an Identity with the second grid") {
  const Imported in = Import(R"(opset 21
graph g (float32[2] x) => (float32[2] y) {
  float32[] s = {0.5}
  uint8[] z = {3}
  float32[] s2 = {0.001}
  uint16[] z2 = {9}
  a = QuantizeLinear(x, s, z)
  b = DequantizeLinear(a, s, z)
  c = QuantizeLinear(b, s2, z2)
  x_convert = DequantizeLinear(c, s2, z2)
  y = Add(b, x_convert)
})");
  CHECK(in.text() == GraphText(R"(opset 21
graph g (float32[2] x) => (float32[2] y) {
  [x_convert_1_Identity] x_convert_1 = Identity(x)
  y = Add(x, x_convert_1)
})"));
  CHECK(in["x"].grid.bits == 8);
  CHECK(in["x_convert_1"].grid.bits == 16);
}

TEST_CASE("graph outputs get their producer back") {
  const Imported in = Import(R"(opset 13
graph g (float32[2] x) => (float32[2] y) {
  float32[] s = {0.5}
  uint8[] z = {3}
  y_QuantizeLinear_Input = Add(x, x)
  a = QuantizeLinear(y_QuantizeLinear_Input, s, z)
  y = DequantizeLinear(a, s, z)
})");
  CHECK(in.text() ==
        GraphText("opset 13\ngraph g (float32[2] x) => (float32[2] y) { y = Add(x, x) }"));
  CHECK(in["y"].params[0].zero_point == 3);
  // Nothing but a pair: the interface keeps both names.
  const Imported bare = Import(R"(opset 13
graph g (float32[2] x) => (float32[2] y) {
  float32[] s = {0.5}
  uint8[] z = {3}
  a = QuantizeLinear(x, s, z)
  y = DequantizeLinear(a, s, z)
})");
  CHECK(bare.text() ==
        GraphText(
            "opset 13\ngraph g (float32[2] x) => (float32[2] y) { [y_Identity] y = Identity(x) }"));
  CHECK(bare.out.encodings.size() == 1);
}

TEST_CASE("what no encoding expresses stays, with a line that says why") {
  const auto reason = [](const std::string& body) {
    const std::string text = StrCat(R"(opset 21
graph g (float32[2] x, float32[] dynamic) => (float32[2] y) {
  float32[] s = {0.5}
  float32[] negative = {-1}
  float32[2,1] matrix = {1, 1}
  float32[] other = {0.25}
  uint8[] z = {3}
  int8[] z8 = {0}
  int32[] z32 = {1}
  int32[2] i32 = {5, 6}
  )",
                                    body, "\n}");
    const Imported in = Import(text);
    CHECK(in.out.encodings.empty());
    REQUIRE(in.kept.size() == 1);
    const graph::Model before = ParseModel(text);
    CHECK(in.out.model.graph->nodes().size() == before.graph->nodes().size());
    return in.kept[0];
  };
  CHECK(reason("[q] a = QuantizeLinear(x, dynamic, z) y = DequantizeLinear(a, dynamic, z)") ==
        "'q' (QuantizeLinear): its scale is not constant");
  CHECK(reason("[q] a = QuantizeLinear(x, negative, z) y = DequantizeLinear(a, negative, z)") ==
        "'q' (QuantizeLinear): its scale is not positive");
  CHECK(reason("[q] a = QuantizeLinear(x, matrix, z) y = DequantizeLinear(a, matrix, z)") ==
        "'q' (QuantizeLinear): its zero point does not fit its scale");
  CHECK(reason("[q] a = QuantizeLinear(x, matrix) y = DequantizeLinear(a, matrix)") ==
        "'q' (QuantizeLinear): its scale has shape [2, 1]");
  CHECK(reason("[q] a = QuantizeLinear(x, s, z) y = DequantizeLinear(a, other, z)") ==
        "'q' (QuantizeLinear): the DequantizeLinear after it has other parameters");
  CHECK(reason("[q] a = QuantizeLinear(x, s, z) [r] b = Identity(a) y = Cast<to=1>(b)") ==
        "'q' (QuantizeLinear): its codes are used by 'r' (Identity)");
  CHECK(reason("[d] y = DequantizeLinear(i32, s, z32)") ==
        "'d' (DequantizeLinear): its zero point is not 0");
  CHECK(reason("[d] y = DequantizeLinear<block_size=9000000000000000000>(i32, other)") ==
        "'d' (DequantizeLinear): its block size is out of range");
  CHECK(reason("c = Cast<to=2>(x) [d] y = DequantizeLinear(c, s, z)") ==
        "'d' (DequantizeLinear): its input is neither constant nor a QuantizeLinear");
}

TEST_CASE("scales of 16 bits are read, and what they scale is float32 until it is written") {
  for (const char* type : {"float16", "bfloat16"}) {
    const std::string t = type;
    const Imported in = Import("opset 21\ngraph g (" + t + "[2] x) => (" + t + "[2] y) {\n" + t +
                               "[] s = {0.5}\nuint8[] z = {3}\n" + t +
                               "[2] b = {1, 2}\na = QuantizeLinear(x, s, z)\n"
                               "d = DequantizeLinear(a, s, z)\ny = Add(d, b)\n}");
    CHECK(in.kept.empty());
    REQUIRE(in.out.encodings.contains("x"));
    CHECK(in.out.encodings.at("x").params[0] == quant::QParams{0.5f, 3});
    CHECK(in.out.model.graph->inputs[0].dtype == DType::kFloat);
    CHECK(in.out.types.at("x") == ParseDType(t));
    CHECK(in.out.types.at("b") == ParseDType(t));
  }
}

TEST_CASE("scales that do not fit a constant are a model error") {
  const auto out = ImportQdq(ParseModel(R"(opset 13
graph g (float32[3] x) => (float32[3] y) {
  float32[2] s = {1, 2}
  int8[3] w = {1, 2, 3}
  [d] v = DequantizeLinear<axis=0>(w, s)
  y = Add(x, v)
})"));
  CHECK(out.status().kind() == ErrorKind::kModel);
  CHECK(out.status().message() ==
        "node 'd' (DequantizeLinear): 2 scales for shape [3] where 3 are needed");
  const auto blocks = ImportQdq(ParseModel(R"(opset 21
graph g (float32[4,2] x) => (float32[4,2] y) {
  float32[4] s = {1, 2, 3, 4}
  int8[4,2] w = zeros
  [d] v = DequantizeLinear<axis=0, block_size=2>(w, s)
  y = Add(x, v)
})"));
  CHECK(blocks.status().message() ==
        "node 'd' (DequantizeLinear): scales of shape [4] where [2, 2] is needed");
}

}  // namespace roundel::target
