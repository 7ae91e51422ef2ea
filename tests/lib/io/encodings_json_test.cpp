#include "lib/io/encodings_json.h"

#include <algorithm>
#include <functional>

#include "lib/base/text.h"
#include "lib/io/tensorrt_cache.h"
#include "tests/support/catch.h"

namespace roundel::io {
namespace {

using graph::Graph;
using graph::Node;
using quant::Encoding;
using quant::EncodingTable;
using quant::Granularity;
using quant::Role;

// x -> Conv(w, b) -> ConvTranspose(u) -> MatMul(m) -> Gemm(g), Gemm transB(t): every axis rule.
std::unique_ptr<Graph> MakeGraph() {
  auto graph = std::make_unique<Graph>();
  graph->inputs.push_back({.name = "x", .dtype = DType::kFloat});
  graph->outputs.push_back({.name = "y", .dtype = DType::kFloat});
  // -128 * 0.01 in channel 0 of `w`: its grid is not narrow.
  graph->SetInitializer("w", Tensor::FromVector<float>({2, 1, 1, 2}, {-1.28f, 1.0f, 0.5f, -0.5f}));
  graph->SetInitializer("b", Tensor::FromVector<float>({2}, {0.5f, -0.25f}));
  graph->SetInitializer("u", Tensor::FromVector<float>({1, 2, 1, 1}, {0.75f, 0.25f}));
  graph->SetInitializer("m", Tensor::Zeros(DType::kFloat, {4, 3}));
  graph->SetInitializer("g", Tensor::Zeros(DType::kFloat, {3, 4}));
  graph->SetInitializer("t", Tensor::Zeros(DType::kFloat, {2, 4}));
  const auto add = [&](const char* type, std::vector<std::string> inputs, const char* output) {
    return graph->AddNode({.op_type = type, .inputs = std::move(inputs), .outputs = {output}});
  };
  add("Conv", {"x", "w", "b"}, "conv");
  add("ConvTranspose", {"conv", "u"}, "up");
  add("MatMul", {"up", "m"}, "mat");
  add("Gemm", {"mat", "g"}, "gemm");
  add("Gemm", {"gemm", "t"}, "y")->SetAttribute("transB", int64_t{1});
  return graph;
}

Encoding Activation(float scale, int32_t zero_point) {
  return {.role = Role::kActivation, .grid = {.bits = 8}, .params = {{scale, zero_point}}};
}

Encoding Weight(Granularity granularity, int64_t axis, std::vector<float> scales,
                bool narrow = true) {
  Encoding e{.role = Role::kWeight,
             .grid = {.bits = 8, .is_signed = true, .symmetric = true, .narrow_range = narrow},
             .granularity = granularity,
             .axis = axis};
  for (const float scale : scales) e.params.push_back({scale, 0});
  return e;
}

Encoding Bias(std::vector<float> scales) {
  Encoding e{.role = Role::kBias,
             .grid = {.bits = 32, .is_signed = true, .symmetric = true},
             .granularity = scales.size() == 1 ? Granularity::kTensor : Granularity::kChannel};
  for (const float scale : scales) e.params.push_back({scale, 0});
  return e;
}

// What all versions hold.
EncodingTable MakeTable() {
  return {{"x", Activation(0.0117647f, 42)},
          {"conv", Activation(0.1f, 0)},
          {"w", Weight(Granularity::kChannel, 0, {0.01f, 0.02f}, false)},
          {"b", Bias({0.000117647f, 0.000235294f})},
          {"u", Weight(Granularity::kChannel, 1, {1.0f / 3, 0.25f})},
          {"m", Weight(Granularity::kChannel, 1, {0.1f, 0.2f, 0.3f})},
          {"g", Weight(Granularity::kChannel, 1, {0.1f, 0.2f, 0.3f, 0.4f})},
          {"t", Weight(Granularity::kTensor, 0, {1e-30f})}};
}

void CheckSame(const EncodingTable& a, const EncodingTable& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [name, e] : a) {
    INFO(name);
    REQUIRE(b.contains(name));
    const Encoding& other = b.at(name);
    CHECK(e.role == other.role);
    CHECK(e.grid == other.grid);
    CHECK(e.granularity == other.granularity);
    CHECK(e.axis == other.axis);
    CHECK(e.block_size == other.block_size);
    CHECK(e.params == other.params);  // bit for bit
  }
}

// Swaps the first `from` for `to`.
std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("an encodings table survives each version") {
  const auto graph = MakeGraph();
  for (const char* version : {"0.6.1", "1.0.0", "2.0.0", "2.1.0"}) {
    INFO(version);
    const auto json = EncodingsJson(MakeTable(), version, graph.get());
    REQUIRE(json.ok());
    CHECK(*json == *EncodingsJson(MakeTable(), version));  // the graph only checks
    const auto table = ParseEncodingsJson(*json, "file", *graph);
    INFO(table.status().message());
    REQUIRE(table.ok());
    CheckSame(MakeTable(), *table);
  }
}

TEST_CASE("blocks survive versions 1.0.0 and 2.0.0") {
  const auto graph = MakeGraph();
  Encoding e = Weight(Granularity::kBlock, 0, {});  // of m[4, 3]: blocks of 3 and 1 rows
  e.grid.bits = 4;
  e.block_size = 3;
  for (const float scale : {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f}) e.params.push_back({scale, 0});
  Encoding transposed = e;  // of t[2, 4]
  transposed.axis = 1;
  transposed.block_size = 2;
  transposed.params.resize(4);
  const EncodingTable table = {{"m", e}, {"t", transposed}};
  for (const char* version : {"1.0.0", "2.0.0", "2.1.0"}) {
    INFO(version);
    const auto json = EncodingsJson(table, version, graph.get());
    REQUIRE(json.ok());
    const auto read = ParseEncodingsJson(*json, "file", *graph);
    INFO(read.status().message());
    REQUIRE(read.ok());
    CheckSame(table, *read);
  }
  // 1.0.0 lists all blocks of the first output channel first, whatever the axes.
  CHECK(EncodingsJson({{"m", e}}, "1.0.0", graph.get())
            ->find("\"scale\":[0.10000000149011612,0.4000000059604645,0.20000000298023224") !=
        std::string::npos);
  // 2.0.0 nests them as QuantizeLinear's scale: one row per block.
  CHECK(EncodingsJson({{"m", e}}, "2.0.0", graph.get())
            ->find("\"y_scale\":[[0.10000000149011612,0.20000000298023224,0.30000001192092896],") !=
        std::string::npos);
  const auto old = EncodingsJson(table, "0.6.1", graph.get());
  CHECK(old.status().kind() == ErrorKind::kUsage);
  CHECK(old.status().message() == "encoding of 'm': encodings version 0.6.1 cannot hold blocks");
  CHECK(EncodingsJson(table, "2.0.0").status().message() ==
        "encoding of 'm': blocks of a value of unknown shape");
}

// The expected texts are written by hand after the format's published examples.
TEST_CASE("golden encodings, version 0.6.1") {
  EncodingTable table = {{"x", Activation(0.5f, 42)},
                         {"w", Weight(Granularity::kChannel, 0, {0.25f, 0.5f}, false)},
                         {"b", Bias({0.125f})}};
  CHECK(*EncodingsJson(table, "0.6.1") == R"({
 "version": "0.6.1",
 "activation_encodings": {
  "x": [{"bitwidth":8,"dtype":"int","is_symmetric":"False","max":106.5,"min":-21.0,"offset":-42,"scale":0.5}]
 },
 "param_encodings": {
  "b": [{"bitwidth":32,"dtype":"int","is_symmetric":"True","max":268435455.875,"min":-268435456.0,"offset":-2147483648,"scale":0.125}],
  "w": [{"bitwidth":8,"dtype":"int","is_symmetric":"True","max":31.75,"min":-32.0,"offset":-128,"scale":0.25},{"bitwidth":8,"dtype":"int","is_symmetric":"True","max":63.5,"min":-64.0,"offset":-128,"scale":0.5}]
 },
 "quantizer_args": {"activation_bitwidth":8,"dtype":"int","is_symmetric":"True","param_bitwidth":8,"per_channel_quantization":"True","quant_scheme":"post_training_tf"}
}
)");
}

TEST_CASE("golden encodings, version 1.0.0") {
  Encoding blocks = Weight(Granularity::kBlock, 1, {0.1f, 0.2f, 0.3f, 0.4f});
  blocks.grid.bits = 4;
  blocks.block_size = 32;
  blocks.codes = Tensor::Zeros(DType::kInt8, {2, 64});
  const EncodingTable table = {{"x", Activation(0.5f, 42)},
                               {"w", Weight(Granularity::kChannel, 0, {0.25f, 0.5f})},
                               {"v", blocks},
                               {"b", Bias({0.125f, 0.25f})}};
  CHECK(*EncodingsJson(table, "1.0.0") == R"({
 "version": "1.0.0",
 "activation_encodings": [
  {"name":"x","enc_type":"PER_TENSOR","dtype":"INT","bw":8,"is_sym":false,"scale":[0.5],"offset":[-42]}
 ],
 "param_encodings": [
  {"name":"b","enc_type":"PER_CHANNEL","dtype":"INT","bw":32,"is_sym":true,"scale":[0.125,0.25],"offset":[-2147483648,-2147483648]},
  {"name":"v","enc_type":"PER_BLOCK","dtype":"INT","bw":4,"is_sym":true,"block_size":32,"scale":[0.10000000149011612,0.20000000298023224,0.30000001192092896,0.4000000059604645],"offset":[-8,-8,-8,-8]},
  {"name":"w","enc_type":"PER_CHANNEL","dtype":"INT","bw":8,"is_sym":true,"scale":[0.25,0.5],"offset":[-128,-128]}
 ],
 "quantizer_args": {"activation_bitwidth":8,"dtype":"int","is_symmetric":true,"param_bitwidth":4,"per_channel_quantization":true,"quant_scheme":"post_training_tf"},
 "excluded_layers": []
}
)");
}

TEST_CASE("golden encodings, version 2.0.0") {
  Encoding blocks = Weight(Granularity::kBlock, 1, {0.125f, 0.25f, 0.5f, 1.0f});
  blocks.grid.bits = 4;
  blocks.block_size = 32;
  blocks.codes = Tensor::Zeros(DType::kInt8, {2, 64});
  const EncodingTable table = {{"x", Activation(0.5f, 41)},
                               {"w", Weight(Granularity::kChannel, 0, {0.25f, 0.5f})},
                               {"v", blocks},
                               {"b", Bias({0.125f})}};
  CHECK(*EncodingsJson(table, "2.0.0") == R"({
 "version": "2.0.0",
 "encodings": [
  {"name":"b","output_dtype":"int32","y_scale":0.125},
  {"name":"v","output_dtype":"int4","y_scale":[[0.125,0.25],[0.5,1.0]],"axis":1,"block_size":32},
  {"name":"w","output_dtype":"int8","y_scale":[0.25,0.5],"axis":0},
  {"name":"x","output_dtype":"uint8","y_scale":0.5,"y_zero_point":41}
 ]
}
)");
}

TEST_CASE("scales with a sign are written as a shift of the same levels") {
  const auto graph = MakeGraph();
  for (const float first : {0.25f, -0.25f})
    for (const char* version : {"0.6.1", "1.0.0", "2.0.0"}) {
      EncodingTable table = {{"w", Weight(Granularity::kChannel, 0, {first, -0.5f}, false)}};
      table.at("w").grid.scales = quant::ScaleKind::kSigned;
      const bool tells_symmetric =
          EncodingsJson(table, version, graph.get())->find("\"is_sym\":true") != std::string::npos;
      CHECK(tells_symmetric == (version == std::string("1.0.0") && first > 0));
      const auto read =
          ParseEncodingsJson(*EncodingsJson(table, version, graph.get()), "e.json", *graph);
      REQUIRE(read.ok());
      const Encoding& e = read->at("w");
      for (size_t c = 0; c < 2; ++c) {
        std::vector<float> written, wanted;
        for (int32_t code = -128; code <= 127; ++code) {
          wanted.push_back(quant::Dequantize(code, table.at("w").params[c]));
          written.push_back(quant::Dequantize(code + (e.grid.is_signed ? 0 : 128), e.params[c]));
        }
        std::sort(wanted.begin(), wanted.end());
        CHECK(written == wanted);
      }
    }
}

TEST_CASE("small floats: whole in 2.0.0, a width in the versions before") {
  const quant::Grid float8{
      .bits = 8, .is_signed = true, .symmetric = true, .kind = quant::GridKind::kFloat8E4M3FN};
  const quant::Grid float4{
      .bits = 4, .is_signed = true, .symmetric = true, .kind = quant::GridKind::kFloat4E2M1};
  const quant::Grid float16{
      .bits = 16, .is_signed = true, .symmetric = true, .kind = quant::GridKind::kFloat16};
  EncodingTable table = {{"x", Activation(0.5f, 0)},
                         {"w", Weight(Granularity::kChannel, 0, {0.25f, 0.5f})},
                         {"m", Weight(Granularity::kBlock, 0, {1, 2, 3, 4, 5, 6})},
                         {"conv", Activation(1, 0)}};
  table.at("x").grid = table.at("w").grid = float8;
  table.at("m").grid = float4;
  table.at("m").block_size = 2;
  table.at("conv").grid = float16;
  const auto graph = MakeGraph();
  const std::string json = *EncodingsJson(table, "2.0.0", graph.get());
  CHECK(json == R"({
 "version": "2.0.0",
 "encodings": [
  {"name":"m","output_dtype":"float4e2m1","y_scale":[[1.0,2.0,3.0],[4.0,5.0,6.0]],"axis":0,"block_size":2},
  {"name":"w","output_dtype":"float8e4m3fn","y_scale":[0.25,0.5],"axis":0},
  {"name":"x","output_dtype":"float8e4m3fn","y_scale":0.5}
 ]
}
)");
  const auto read = ParseEncodingsJson(json, "e.json", *graph);
  INFO((read.ok() ? "" : read.status().message()));
  REQUIRE(read.ok());
  CHECK(read->size() == 3);
  for (const auto& [name, e] : *read) {
    CHECK(e.grid == table.at(name).grid);
    CHECK(e.params == table.at(name).params);
    CHECK(e.block_size == table.at(name).block_size);
  }
  const std::string old = *EncodingsJson(table, "1.0.0", graph.get());
  CHECK(old.find(R"({"name":"m","enc_type":"PER_TENSOR","dtype":"FLOAT","bw":4})") !=
        std::string::npos);
  CHECK(ParseEncodingsJson(old, "e.json", *graph)->empty());
  CHECK(EncodingsJson(table, "0.6.1", graph.get())
            ->find(R"("conv": [{"bitwidth":16,"dtype":"float"}])") != std::string::npos);
  const auto shifted = ParseEncodingsJson(
      R"({"version": "2.0.0", "encodings": [{"name": "x", "output_dtype": "float8e5m2",
          "y_scale": 0.5, "y_zero_point": 3}]})",
      "e.json", *graph);
  CHECK(shifted.status().message().find("floats have no zero point") != std::string::npos);
}

TEST_CASE("an empty table gives empty sections") {
  CHECK(*EncodingsJson({}, "2.0.0") == "{\n \"version\": \"2.0.0\",\n \"encodings\": []\n}\n");
  Graph graph;
  for (const char* version : {"0.6.1", "1.0.0", "2.0.0", "2.1.0"})
    CHECK(ParseEncodingsJson(*EncodingsJson({}, version), "file", graph)->empty());
}

TEST_CASE("a narrow grid is recognized where the version does not tell") {
  const auto graph = MakeGraph();
  for (const char* version : {"0.6.1", "1.0.0", "2.0.0", "2.1.0"}) {
    INFO(version);
    for (const bool narrow : {true, false}) {
      // With 0.01 the first element of w rounds to -128; with 0.02 none does.
      const EncodingTable table = {
          {"w", Weight(Granularity::kTensor, 0, {narrow ? 0.02f : 0.01f}, narrow)}};
      CheckSame(table, *ParseEncodingsJson(*EncodingsJson(table, version), "file", *graph));
    }
  }
}

TEST_CASE("encodings of other writers") {
  const auto graph = MakeGraph();
  SECTION("booleans as text or not, offsets as floats, float entries") {
    const auto table = ParseEncodingsJson(R"({"version": "0.6.1",
      "activation_encodings": {"x": [{"bitwidth": 8, "dtype": "int", "is_symmetric": false, "max": 1,
        "min": 0, "offset": -3.0, "scale": 0.1}], "conv": [{"bitwidth": 16, "dtype": "float"}]},
      "param_encodings": {"w": [{"bitwidth": 8, "dtype": "int", "is_symmetric": "true", "max": 1,
        "min": -1, "offset": -128, "scale": 0.01}]}, "anything_else": [1]})",
                                          "file", *graph);
    INFO(table.status().message());
    REQUIRE(table.ok());
    CHECK(table->size() == 2);
    CHECK(table->at("x").params == std::vector<quant::QParams>{{0.1f, 3}});
    CHECK(table->at("w").grid.is_signed);
  }
  SECTION("strict symmetric grids leave out the highest unsigned code: the narrow grid") {
    const auto table = ParseEncodingsJson(R"({"version": "1.0.0", "activation_encodings": [],
      "param_encodings": [{"name": "t", "enc_type": "PER_TENSOR", "dtype": "INT", "bw": 8,
        "is_sym": true, "scale": [0.01], "offset": [-127]}]})",
                                          "file", *graph);
    REQUIRE(table.ok());
    const Encoding& e = table->at("t");
    CHECK(e.grid.narrow_range);
    CHECK(e.grid.is_signed);
    CHECK(e.params[0].zero_point == 0);
  }
  SECTION("an unsigned symmetric activation stands for the same values when read as signed") {
    Encoding e = Activation(0.5f, 128);
    e.grid.symmetric = true;
    const auto table = ParseEncodingsJson(*EncodingsJson({{"x", e}}, "1.0.0"), "file", *graph);
    REQUIRE(table.ok());
    CHECK(table->at("x").grid.is_signed);
    for (const float value : {-100.0f, -64.0f, -3.3f, 0.0f, 63.5f, 80.0f}) {
      const Tensor t = Tensor::Scalar(value);
      CHECK(FakeQuantizeTensor(t, e) == FakeQuantizeTensor(t, table->at("x")));
    }
  }
  SECTION("2.0.0 may count axes from the end") {
    const auto table = ParseEncodingsJson(R"({"version": "2.0.0", "encodings": [{"name": "m",
      "output_dtype": "int8", "y_scale": [1, 2, 3], "axis": -1}]})",
                                          "file", *graph);
    REQUIRE(table.ok());
    CHECK(table->at("m").axis == 1);
  }
}

TEST_CASE("the TensorRT cache holds the larger side by 127, as bits of a float32") {
  Encoding e = Activation(1.0f, 254);  // [-254, 1]
  CHECK(TensorRtCache({{"x", e}, {"w", Weight(Granularity::kTensor, 0, {1.0f})}}) ==
        "TRT-8601-EntropyCalibration2\nx: 40000000\n");  // 254 / 127 = 2.0
}

TEST_CASE("encodings that a version cannot hold") {
  const auto graph = MakeGraph();
  struct Case {
    const char* version;
    EncodingTable table;
    std::string message;
  };
  Encoding five_bits = Activation(1, 0), channels = Activation(1, 0), no_scale = Activation(0, 0);
  five_bits.grid.bits = 5;
  channels.granularity = Granularity::kChannel;
  const Case cases[] = {
      {"0.9", {}, "encodings version '0.9' is not one of 0.6.1, 1.0.0, 2.0.0, 2.1.0"},
      {"2.0.0",
       {{"x", five_bits}},
       "encoding of 'x': encodings version 2.0.0 cannot hold a grid of 5 bits"},
      {"1.0.0",
       {{"x", channels}},
       "encoding of 'x': encodings version 1.0.0 cannot hold activations with more than one scale"},
      {"1.0.0",
       {{"w", Weight(Granularity::kChannel, 3, {1, 2})}},
       "encoding of 'w': encodings version 1.0.0 cannot hold scales along axis 3: its readers "
       "assume the axis from the operator"}};
  for (const Case& c : cases) {
    const auto json = EncodingsJson(c.table, c.version, graph.get());
    CHECK(json.status().kind() == ErrorKind::kUsage);
    CHECK(json.status().message() == c.message);
  }
  CHECK(EncodingsJson({{"x", no_scale}}, "1.0.0").status().kind() == ErrorKind::kModel);
  CHECK(EncodingsJson({{"\xff", Activation(1, 0)}}, "1.0.0").status().message() ==
        "a value's name is not UTF-8, which JSON cannot hold");
}

TEST_CASE("malformed encodings files are refused with file and entry") {
  const auto graph = MakeGraph();
  const std::string v061 = *EncodingsJson(MakeTable(), "0.6.1");
  const std::string v100 = *EncodingsJson(MakeTable(), "1.0.0");
  const std::string v200 = *EncodingsJson(MakeTable(), "2.0.0");
  struct Case {
    std::string json, message;
  };
  const Case cases[] = {
      {"", "malformed JSON in line 1"},
      {"{\n\"version\": \"1.0.0\",\n!", "malformed JSON in line 3"},
      {"[]", "not a JSON object"},
      {"{}", "key 'version' is missing"},
      {Replaced(v061, "0.6.1", "0.5.0"),
       "version '0.5.0' is not one of 0.6.1, 1.0.0, 2.0.0, 2.1.0"},
      {"{\"version\": \"1.0.0\"}", "key 'activation_encodings' is missing"},
      {"{\"version\": \"2.0.0\", \"encodings\": 3}", "'encodings' is not a list"},
      {"{\"version\": \"2.0.0\", \"encodings\": [3]}", "an entry of 'encodings': not an object"},
      {Replaced(v061, "\"bitwidth\":8,", ""), "entry 'conv': key 'bitwidth' is missing"},
      {Replaced(v061, "\"bitwidth\":8,", "\"bitwidth\":99,"),
       "entry 'conv': 99 bits; 2 to 32 are possible"},
      {Replaced(v061, "\"bitwidth\":8,", "\"bitwidth\":8.5,"),
       "entry 'conv': 'bitwidth' is not a whole number: 8.5"},
      {Replaced(v061, "\"offset\":0", "\"offset\":-256"),
       "entry 'conv': offset -256 does not exist on a grid of 8 bits"},
      {Replaced(v061, "\"False\"", "\"No\""),
       "entry 'conv': 'is_symmetric' is not a boolean: \"No\""},
      {Replaced(v061, "\"scale\":0.1", "\"scale\":-0.1"),
       "entry 'conv': scale -0.10000000149011612 is not a positive number"},
      {Replaced(v061, "\"scale\":0.10000000149011612", "\"scale\":NaN"),
       "malformed JSON in line 4"},
      {Replaced(v061, "\"scale\":0.10000000149011612", "\"scale\":1e999"),
       "malformed JSON (a number out of range?)"},
      {Replaced(v061, "\"scale\":0.10000000149011612", "\"scale\":1e39"),
       "entry 'conv': scale 1e+39 is not a positive number"},
      {Replaced(v061, "\"scale\":0.10000000149011612", "\"scale\":1e-60"),
       "entry 'conv': scale 1e-60 is not a positive number"},
      {Replaced(v061, "\"scale\":0.10000000149011612", "\"scale\":[[]]"),
       "entry 'conv': scale a list is not a positive number"},
      {Replaced(v061, "\"conv\"", "\"unheard_of\""),
       "entry 'unheard_of': the model has no such value: is the file of another model?"},
      {Replaced(v061, "\"conv\"", "\"w\""),
       "entry 'w': listed as an activation, but it is a constant of the model"},
      {Replaced(v100, "\"conv\"", "\"x\""), "entry 'x': the name occurs twice"},
      {Replaced(v100, "\"PER_TENSOR\"", "\"VECTOR\""),
       "entry 'conv': enc_type 'VECTOR' is not supported"},
      {Replaced(v100, "\"bw\":8", "\"zero_point_shift\":[0.5],\"bw\":8"),
       "entry 'conv': levels between the codes ('zero_point_shift') are not supported"},
      {Replaced(v100, "\"INT\"", "\"INTEGER\""), "entry 'conv': dtype 'INTEGER' is not known"},
      {Replaced(v100, "\"offset\":[0]", "\"offset\":[]"),
       "entry 'conv': 'scale' and 'offset' are not lists of the same length"},
      {Replaced(v100, ",0.4000000059604645]", ",0.4,0.5]"),
       "entry 'g': 'scale' and 'offset' are not "
       "lists of the same length"},
      {Replaced(Replaced(v100, ",0.4000000059604645]", "]"), "[-128,-128,-128,-128]",
                "[-128,-128,-128]"),
       "entry 'g': 3 scales for shape [3, 4] where 4 are needed"},
      {Replaced(v200, "\"axis\":1", "\"axis\":2"),
       "entry 'g': axis 2 does not exist in shape [3, 4]"},
      {Replaced(v200, ",\"axis\":1", ""), "entry 'g': key 'axis' is missing"},
      {Replaced(v200, "\"axis\":1", "\"axis\":1,\"block_size\":-3"),
       "entry 'g': block size -3 is not positive"},
      {Replaced(v200, "\"axis\":1", "\"axis\":0,\"block_size\":3"),
       "entry 'g': scales of shape [4] where [1, 4] is needed"},
      {Replaced(v200, "\"uint8\"", "\"uint9\""), "entry 'conv': output_dtype 'uint9' is not known"},
      {Replaced(v200, "\"y_zero_point\":42", "\"y_zero_point\":256"),
       "entry 'x': zero point 256 does not exist in uint8"},
      {Replaced(v200, "\"y_zero_point\":42", "\"y_zero_point\":[42]"),
       "entry 'x': 'y_scale' and 'y_zero_point' differ in shape"},
      {Replaced(v200, "\"y_scale\":[0.1", "\"y_scale\":[[1],[1,2],0.1"),
       "entry 'g': y_scale: nested lists of different length"},
      {Replaced(v200, "\"y_scale\":[0.1", "\"y_scale\":[[1],0.1"),
       "entry 'g': y_scale: nested lists of different depth"},
  };
  for (const Case& c : cases) {
    const auto table = ParseEncodingsJson(c.json, "a.encodings", *graph);
    INFO(c.json);
    CHECK(table.status().kind() == ErrorKind::kUsage);
    CHECK(table.status().message() == StrCat("'a.encodings': ", c.message));
  }
}

TEST_CASE("deeply nested JSON is an error, not a crash") {
  Graph graph;
  const std::string deep(200'000, '[');
  const std::string closed = deep + std::string(200'000, ']');
  CHECK(ParseEncodingsJson(deep, "file", graph).status().kind() == ErrorKind::kUsage);
  const auto nested = ParseEncodingsJson(
      "{\"version\":\"2.0.0\",\"encodings\":[{\"name\":\"x\",\"output_dtype\":\"int8\",\"y_"
      "scale\":" +
          closed + "}]}",
      "file", graph);
  CHECK(nested.status().kind() == ErrorKind::kUsage);
  // A further key makes the object around the deep value grow. No reader asks for the value.
  std::string objects;
  for (int i = 0; i < 200'000; ++i) objects += "{\"a\":";
  const std::string grown = "{\"roundel\":" + objects + "1" + std::string(200'000, '}') +
                            ", \"version\": \"2.0.0\", \"encodings\": []}";
  const auto table = ParseEncodingsJson(grown, "file", graph);
  CHECK(table.status().kind() == ErrorKind::kUsage);
  CHECK(table.status().message() == "'file': nested deeper than 64 levels");
  CHECK(ParseEncodingsOrigin(grown, "file")->model.empty());
}

TEST_CASE("brackets in names do not count as nesting") {
  const std::string name = std::string(300, '[') + "\\\"" + std::string(300, '{');
  const std::string json = R"({"version": "2.0.0", "encodings": [], ")" + name + "\": [" +
                           std::string(60, '[') + std::string(60, ']') + "]}";
  CHECK(ParseEncodingsJson(json, "file", Graph()).ok());
}

}  // namespace roundel::io
