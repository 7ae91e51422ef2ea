// Scales that are codes with scales of their own. The files are written by hand in the form of
// AIMET's specification, their scales multiplied out by hand.

#include "lib/io/scale_levels.h"

#include <cmath>
#include <random>

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "lib/io/encodings_json.h"
#include "lib/quant/coded_scales.h"
#include "tests/support/catch.h"

namespace roundel::io {
namespace {

using graph::Graph;
using quant::Encoding;
using quant::EncodingTable;
using quant::Granularity;
using quant::Grid;
using quant::ScaleKind;

const char* const kBlockVersions[] = {"1.0.0", "2.0.0", "2.1.0"};

Grid LowPower(int bits, bool narrow = true) {
  return {.bits = bits,
          .is_signed = true,
          .symmetric = true,
          .narrow_range = narrow,
          .scales = ScaleKind::kInteger};
}

Grid Named(const std::string& name) {
  for (const quant::NamedGrid& named : quant::NamedGrids())
    if (named.name == name) return named.grid;
  FAIL(name);
  return {};
}

// Weights whose channels come last (m[4, 3]) and first (t[2, 4], v[2, 32], u[1, 4]), and those of
// convolutions with channels first (k[2, 4, 1, 1]) and second (d[4, 2, 1, 1]).
std::unique_ptr<Graph> MakeGraph() {
  auto graph = std::make_unique<Graph>();
  graph->inputs.push_back({.name = "x", .dtype = DType::kFloat});
  graph->outputs.push_back({.name = "y", .dtype = DType::kFloat});
  const auto weight = [&](const char* name, Shape shape) {
    graph->SetInitializer(name, Tensor::Zeros(DType::kFloat, std::move(shape)));
  };
  weight("m", {4, 3});
  weight("t", {2, 4});
  weight("v", {2, 32});
  weight("u", {1, 4});
  weight("k", {2, 4, 1, 1});
  weight("d", {4, 2, 1, 1});
  const auto add = [&](const char* type, const char* input, const char* value, const char* output) {
    return graph->AddNode({.op_type = type, .inputs = {input, value}, .outputs = {output}});
  };
  add("MatMul", "x", "m", "a");
  add("Gemm", "a", "t", "b")->SetAttribute("transB", int64_t{1});
  add("Gemm", "b", "v", "c")->SetAttribute("transB", int64_t{1});
  add("Gemm", "c", "u", "e")->SetAttribute("transB", int64_t{1});
  add("Conv", "e", "k", "f");
  add("ConvTranspose", "f", "d", "y");
  return graph;
}

Encoding Blocks(const Grid& grid, int64_t axis, int64_t block_size, std::vector<float> scales) {
  Encoding e{.role = quant::Role::kWeight,
             .grid = grid,
             .granularity = Granularity::kBlock,
             .axis = axis,
             .block_size = block_size};
  for (const float scale : scales) e.params.push_back({scale, 0});
  return e;
}

std::string Entries100(const std::string& entries) {
  return StrCat(R"({"version": "1.0.0", "activation_encodings": [], "param_encodings": [)", entries,
                "]}");
}
std::string Entries2(const std::string& version, const std::string& entries) {
  return StrCat(R"({"version": ")", version, R"(", "encodings": [)", entries, "]}");
}

Encoding ReadOne(const std::string& json) {
  const auto graph = MakeGraph();
  const auto table = ParseEncodingsJson(json, "file", *graph);
  INFO(json);
  INFO((table.ok() ? "" : table.status().message()));
  REQUIRE(table.ok());
  REQUIRE(table->size() == 1);
  return table->begin()->second;
}

std::string Written(const EncodingTable& table, const std::string& version) {
  const auto graph = MakeGraph();
  const auto json = EncodingsJson(table, version, graph.get());
  INFO((json.ok() ? "" : json.status().message()));
  REQUIRE(json.ok());
  return *json;
}

std::vector<float> ScalesOf(const Encoding& e) {
  std::vector<float> scales;
  for (const quant::QParams& p : e.params) scales.push_back(p.scale);
  return scales;
}

void CheckSame(const Encoding& a, const Encoding& b) {
  CHECK(a.role == b.role);
  CHECK(a.grid == b.grid);
  CHECK(a.granularity == b.granularity);
  CHECK(a.axis == b.axis);
  CHECK(a.block_size == b.block_size);
  CHECK(a.params == b.params);  // bit for bit
}

// The same entry in the three versions, the lines as they are written.
struct Case {
  std::string name;
  Encoding encoding;
  std::string v100, v200, v210;
};

std::vector<Case> Cases() {
  return {
      // Channel 0: 16 and 9 times 1/4; channel 1: 12 and 16 times 1/2.
      {"t", Blocks(LowPower(4), 1, 2, {4, 2.25f, 6, 8}),
       R"({"name":"t","enc_type":"LPBQ","dtype":"INT","bw":8,"compressed_bw":4,"is_sym":true,"block_size":2,"scale":[0.25,0.5],"offset":[-128,-128],"per_block_int_scale":[16,9,12,16]})",
       R"({"name":"t","output_dtype":"int4","per_block_int_scale":[[16,9],[12,16]],"per_channel_float_scale":[[0.25],[0.5]],"axis":1,"block_size":2})",
       R"({"name":"t","output_dtype":"int4","y_scale":{"x":[[16,9],[12,16]],"x_scale":[0.25,0.5],"axis":0},"axis":1,"block_size":2})"},
      // Channels last: blocks of rows (3 and 1), three channels of 1/4, 1/2 and 1.
      {"m", Blocks(LowPower(4), 0, 3, {4, 8, 5, 0.25f, 3.5f, 16}),
       R"({"name":"m","enc_type":"LPBQ","dtype":"INT","bw":8,"compressed_bw":4,"is_sym":true,"block_size":3,"scale":[0.25,0.5,1.0],"offset":[-128,-128,-128],"per_block_int_scale":[16,1,16,7,5,16]})",
       R"({"name":"m","output_dtype":"int4","per_block_int_scale":[[16,16,5],[1,7,16]],"per_channel_float_scale":[[0.25,0.5,1.0]],"axis":0,"block_size":3})",
       R"({"name":"m","output_dtype":"int4","y_scale":{"x":[[16,16,5],[1,7,16]],"x_scale":[0.25,0.5,1.0],"axis":1},"axis":0,"block_size":3})"},
      {"k", Blocks(LowPower(8), 1, 2, {4, 2.25f, 6, 8}),
       R"({"name":"k","enc_type":"LPBQ","dtype":"INT","bw":12,"compressed_bw":8,"is_sym":true,"block_size":2,"scale":[0.25,0.5],"offset":[-2048,-2048],"per_block_int_scale":[16,9,12,16]})",
       R"({"name":"k","output_dtype":"int8","per_block_int_scale":[[[[16]],[[9]]],[[[12]],[[16]]]],"per_channel_float_scale":[[[[0.25]]],[[[0.5]]]],"axis":1,"block_size":2})",
       R"({"name":"k","output_dtype":"int8","y_scale":{"x":[[[[16]],[[9]]],[[[12]],[[16]]]],"x_scale":[0.25,0.5],"axis":0},"axis":1,"block_size":2})"},
      {"d", Blocks(LowPower(2), 0, 2, {4, 6, 2.25f, 8}),
       R"({"name":"d","enc_type":"LPBQ","dtype":"INT","bw":6,"compressed_bw":2,"is_sym":true,"block_size":2,"scale":[0.25,0.5],"offset":[-32,-32],"per_block_int_scale":[16,9,12,16]})",
       R"({"name":"d","output_dtype":"int2","per_block_int_scale":[[[[16]],[[12]]],[[[9]],[[16]]]],"per_channel_float_scale":[[[[0.25]],[[0.5]]]],"axis":0,"block_size":2})",
       R"({"name":"d","output_dtype":"int2","y_scale":{"x":[[[[16]],[[12]]],[[[9]],[[16]]]],"x_scale":[0.25,0.5],"axis":1},"axis":0,"block_size":2})"},
      {"u", Blocks(LowPower(4), 1, 2, {0.5f, 8}),
       R"({"name":"u","enc_type":"LPBQ","dtype":"INT","bw":8,"compressed_bw":4,"is_sym":true,"block_size":2,"scale":[0.5],"offset":[-128],"per_block_int_scale":[1,16]})",
       R"({"name":"u","output_dtype":"int4","per_block_int_scale":[[1,16]],"per_channel_float_scale":[[0.5]],"axis":1,"block_size":2})",
       R"({"name":"u","output_dtype":"int4","y_scale":{"x":[[1,16]],"x_scale":[0.5],"axis":0},"axis":1,"block_size":2})"},
  };
}

}  // namespace

TEST_CASE("low power blocks have their own form in each version that has blocks") {
  for (const Case& c : Cases()) {
    INFO(c.name);
    const std::string entries[] = {Entries100(c.v100), Entries2("2.0.0", c.v200),
                                   Entries2("2.1.0", c.v210)};
    const std::string lines[] = {c.v100, c.v200, c.v210};
    for (size_t i = 0; i < 3; ++i) {
      CHECK(Written({{c.name, c.encoding}}, kBlockVersions[i]).find("\n  " + lines[i] + "\n") !=
            std::string::npos);
      CheckSame(ReadOne(entries[i]), c.encoding);
      // Each converts into each.
      for (size_t j = 0; j < 3; ++j)
        CHECK(Written({{c.name, ReadOne(entries[i])}}, kBlockVersions[j]).find(lines[j]) !=
              std::string::npos);
    }
  }
}

TEST_CASE("levels of low power blocks are code * integer * float of the channel") {
  const Encoding e = ReadOne(Entries100(Cases()[1].v100));  // m[4, 3]
  const double unit[] = {0.25, 0.5, 1}, block[3][2] = {{16, 1}, {16, 7}, {5, 16}};
  for (int8_t code = -8; code <= 7; ++code) {
    const Tensor codes = Tensor::FromVector<int8_t>({4, 3}, std::vector<int8_t>(12, code));
    const Tensor levels = quant::DequantizeTensor(codes, e);
    for (int row = 0; row < 4; ++row)
      for (int channel = 0; channel < 3; ++channel)
        CHECK(levels.data<float>()[row * 3 + channel] ==
              code * block[channel][row / 3] * unit[channel]);
  }
}

TEST_CASE("scales of other writers keep their floats and their kind through all versions") {
  // Units of 24 digits, whose products are rounded, and channels whose largest code is any.
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<float> products;
    std::string codes, units;
    for (int channel = 0; channel < 2; ++channel) {
      const auto unit = static_cast<float>((1 + random() % 1000003) * 1.37e-9);
      units += StrCat(channel ? "," : "", Json(static_cast<double>(unit)).dump());
      codes += channel ? ",[" : "[";
      const uint32_t most = 1 + random() % 16;
      for (int block = 0; block < 4; ++block) {
        const uint32_t code = 1 + random() % most;
        codes += StrCat(block ? "," : "", code);
        products.push_back(static_cast<float>(code) * unit);
      }
      codes += "]";
    }
    const Encoding first = ReadOne(Entries2(
        "2.1.0",
        StrCat(R"({"name": "t", "output_dtype": "int4", "axis": 1, "block_size": 1, )",
               R"("y_scale": {"x": [)", codes, R"(], "x_scale": [)", units, R"(], "axis": 0}})")));
    CHECK(ScalesOf(first) == products);
    CHECK(first.grid.scales == ScaleKind::kInteger);
    Encoding last = first;
    for (const char* version : {"1.0.0", "2.0.0", "2.1.0", "2.0.0", "1.0.0", "2.1.0"})
      last = ReadOne(Written({{"t", last}}, version));
    CheckSame(first, last);
  }
}

TEST_CASE("the published example of a quantized scale") {
  auto graph = std::make_unique<Graph>();
  graph->inputs.push_back({.name = "x", .dtype = DType::kFloat});
  graph->SetInitializer("weight", Tensor::Zeros(DType::kFloat, {3, 32}));
  graph->AddNode({.op_type = "Gemm", .inputs = {"x", "weight"}, .outputs = {"y"}})
      ->SetAttribute("transB", int64_t{1});
  const auto read = [&](const std::string& fields) {
    const auto table = ParseEncodingsJson(
        Entries2("2.1.0", StrCat(R"({"name": "weight", "axis": 1, )", fields, "}")), "f", *graph);
    INFO((table.ok() ? "" : table.status().message()));
    REQUIRE(table.ok());
    return table->at("weight");
  };
  SECTION("integers") {
    const Encoding e = read(R"("y_scale": {"x": [[3, 5], [11, 9], [7, 16]],
        "x_scale": [0.001, 0.002, 0.003], "axis": 0}, "block_size": 16, "output_dtype": "int4")");
    CHECK(e.grid == LowPower(4));
    CHECK(ScalesOf(e) == std::vector<float>{0.001f * 3, 0.001f * 5, 0.002f * 11, 0.002f * 9,
                                            0.003f * 7, 0.003f * 16});
  }
  SECTION("float8 in blocks of 16: NVFP4") {
    const std::string scale = R"("y_scale": {"x": [[0.5, 1.0], [2.0, 1.5], [1.0, 0.5]],
        "x_scale": 0.0009, "input_dtype": "float8e4m3fn"}, "output_dtype": "float4e2m1")";
    const Encoding e = read(scale + R"(, "block_size": 16)");
    CHECK(e.grid == Named("nvfp4"));
    CHECK(ScalesOf(e) == std::vector<float>{0.0009f * 0.5f, 0.0009f, 0.0009f * 2, 0.0009f * 1.5f,
                                            0.0009f, 0.0009f * 0.5f});
    // Written with other codes, maybe: the largest that float8 has for the same products.
    const auto json = EncodingsJson({{"weight", e}}, "2.1.0", graph.get());
    REQUIRE(json.ok());
    const Json y_scale = Json::parse(*json)["encodings"][0]["y_scale"];
    CHECK(y_scale["input_dtype"] == "float8e4m3fn");
    CHECK_FALSE(y_scale.contains("axis"));
    CHECK(y_scale["x"][1][0].get<float>() >= 256);
    for (size_t i = 0; i < 6; ++i) {
      const auto code = y_scale["x"][i / 2][i % 2].get<float>();
      int exponent = 0;  // four digits make a number of float8
      CHECK(std::fmod(std::frexp(code, &exponent) * 16, 1.0f) == 0);
      CHECK(code * y_scale["x_scale"].get<float>() == ScalesOf(e)[i]);
    }
    const auto again = ParseEncodingsJson(*json, "f", *graph);
    REQUIRE(again.ok());
    CheckSame(again->at("weight"), e);
  }
}

TEST_CASE("scales that are codes of no kind are their products") {
  const Grid plain = {.bits = 4, .is_signed = true, .symmetric = true, .narrow_range = true};
  const auto t = [](const std::string& fields) {
    return ReadOne(Entries2("2.1.0", StrCat(R"({"name": "t", "output_dtype": "int4", "axis": 1,
                                                "block_size": 2, )",
                                            fields, "}")));
  };
  SECTION("integers above 16") {
    const Encoding e = ReadOne(Entries100(R"({"name": "t", "enc_type": "LPBQ", "dtype": "INT",
        "bw": 10, "compressed_bw": 4, "is_sym": true, "block_size": 2, "scale": [0.25, 0.5],
        "offset": [-512, -512], "per_block_int_scale": [64, 17, 3, 1]})"));
    CHECK(e.grid == plain);
    CHECK(ScalesOf(e) == std::vector<float>{16, 4.25f, 1.5f, 0.5f});
  }
  SECTION("a scale of scales for each block") {
    const Encoding e = t(R"("y_scale": {"x": [[1, 1], [1, 1]], "x_scale": [[3, 3.14159],
                                                                          [1, 2.71828]]})");
    CHECK(e.grid == plain);
    CHECK(ScalesOf(e) == std::vector<float>{3, 3.14159f, 1, 2.71828f});
  }
  SECTION("codes with a zero point may be of the kind") {
    const Encoding e = t(R"("y_scale": {"x": [[4, 6], [12, 10]], "x_scale": [[0.5], [0.25]],
                                        "x_zero_point": [[1], [1]]})");
    CHECK(e.grid.scales == ScaleKind::kInteger);
    CHECK(ScalesOf(e) == std::vector<float>{1.5f, 2.5f, 2.75f, 2.25f});
  }
  SECTION("one zero point for all, counted from a grid that is not symmetric") {
    const Encoding e = t(R"("y_scale": {"x": [[16, 9], [12, 16]], "x_scale": [0.25, 0.5],
                                        "axis": 0}, "y_zero_point": -3)");
    CHECK(e.grid == Grid{.bits = 4, .is_signed = true, .scales = ScaleKind::kInteger});
    CHECK(e.params == std::vector<quant::QParams>{{4, -3}, {2.25f, -3}, {6, -3}, {8, -3}});
  }
  SECTION("plain scales, were they products or not") {
    CHECK(t(R"("y_scale": [[4, 2.25], [6, 8]])").grid == plain);
  }
  SECTION("float4 in blocks that NVFP4 does not have") {
    const Encoding e = ReadOne(Entries2("2.1.0", R"({"name": "v", "output_dtype": "float4e2m1",
        "axis": 1, "block_size": 32, "y_scale": {"x": [[1.5], [448]], "x_scale": 0.5,
        "input_dtype": "float8e4m3fn"}})"));
    CHECK(e.grid == Named("float4e2m1"));
    CHECK(ScalesOf(e) == std::vector<float>{0.75f, 224});
  }
}

TEST_CASE("what no two-level form holds is written as products") {
  SECTION("powers of two") {
    const Encoding e = Blocks(Named("mxfp4"), 1, 32, {0.25f, 2});
    CHECK(Written({{"v", e}}, "2.1.0")
              .find(R"("output_dtype":"float4e2m1","y_scale":[[0.25],[2.0]],"axis":1)") !=
          std::string::npos);
  }
  SECTION("float8 scales in 2.0.0") {
    const Encoding e = Blocks(Named("nvfp4"), 1, 16, {448, 224, 2, 1.75f});
    CHECK(Written({{"v", e}}, "2.0.0").find(R"("y_scale":[[448.0,224.0],[2.0,1.75]])") !=
          std::string::npos);
    CHECK(Written({{"v", e}}, "2.1.0")
              .find(R"({"x":[[448.0,224.0],[2.0,1.75]],"x_scale":1.0,"input_dtype":)") !=
          std::string::npos);
  }
  SECTION("scales that are not settled") {
    const Encoding e = Blocks(LowPower(4), 1, 2, {1, 3.14159f, 1, 2});
    for (const char* version : kBlockVersions) {
      const std::string json = Written({{"t", e}}, version);
      CHECK(json.find("per_block_int_scale") == std::string::npos);
      CHECK(json.find("\"x\"") == std::string::npos);
      CHECK(ScalesOf(ReadOne(json)) == ScalesOf(e));
    }
  }
  SECTION("zero points beside the middle, in 1.0.0") {
    Encoding e = Blocks({.bits = 4, .scales = ScaleKind::kInteger}, 1, 2, {4, 2.25f, 6, 8});
    e.params[1].zero_point = 3;
    CHECK(Written({{"t", e}}, "1.0.0").find(R"("enc_type":"PER_BLOCK","dtype":"INT","bw":4)") !=
          std::string::npos);
    for (const char* version : {"2.0.0", "2.1.0"})
      CheckSame(ReadOne(Written({{"t", e}}, version)), e);
  }
}

TEST_CASE("widths that 2.x has no type for, and grids without their lowest code") {
  const Encoding three = Blocks(LowPower(3), 1, 2, {4, 2.25f, 6, 8});
  const std::string json = Written({{"t", three}}, "1.0.0");
  CHECK(json.find(R"("bw":7,"compressed_bw":3,)") != std::string::npos);
  CHECK(json.find(R"("offset":[-64,-64])") != std::string::npos);
  CheckSame(ReadOne(json), three);
  // The value -32 is the lowest code of the first block: the grid has it.
  auto graph = MakeGraph();
  graph->SetInitializer("t", Tensor::FromVector<float>({2, 4}, {-32, 0, 0, 0, 0, 0, 0, 0}));
  const auto narrow = [&](const std::string& offset) {
    std::string entry = Cases()[0].v100;
    const std::string from = "[-128,-128]";
    entry.replace(entry.find(from), from.size(), StrCat("[", offset, ",", offset, "]"));
    const auto table = ParseEncodingsJson(Entries100(entry), "file", *graph);
    REQUIRE(table.ok());
    return table->at("t").grid.narrow_range;
  };
  CHECK(narrow("-127"));  // AIMET's strict grid
  CHECK_FALSE(narrow("-128.0"));
}

TEST_CASE("malformed two-level scales are refused in one line") {
  const auto graph = MakeGraph();
  const auto swapped = [](std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    INFO(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  const std::string v100 = Cases()[0].v100, v200 = Cases()[0].v200, v210 = Cases()[0].v210;
  struct Bad {
    std::string json, message;
  };
  std::vector<Bad> bad;
  const auto in_100 = [&](const char* from, const char* to, const char* message) {
    bad.push_back({Entries100(swapped(v100, from, to)), message});
  };
  const auto in_200 = [&](const char* from, const char* to, const char* message) {
    bad.push_back({Entries2("2.0.0", swapped(v200, from, to)), message});
  };
  const auto in_210 = [&](const char* from, const char* to, const char* message) {
    bad.push_back({Entries2("2.1.0", swapped(v210, from, to)), message});
  };
  in_100("\"bw\":8,", "", "key 'bw' is missing");
  in_100("\"compressed_bw\":4,", "", "key 'compressed_bw' is missing");
  in_100("\"is_sym\":true,", "", "key 'is_sym' is missing");
  in_100("\"block_size\":2,", "", "key 'block_size' is missing");
  in_100("\"scale\":[0.25,0.5],", "", "key 'scale' is missing");
  in_100("\"offset\":[-128,-128],", "", "key 'offset' is missing");
  in_100(",\"per_block_int_scale\":[16,9,12,16]", "", "key 'per_block_int_scale' is missing");
  in_100("\"bw\":8,", "\"bw\":4,", "'compressed_bw' 4 is not below 'bw' 4");
  in_100("\"bw\":8,", "\"bw\":40,", "40 bits; 2 to 32 are possible");
  in_100("\"compressed_bw\":4", "\"compressed_bw\":1", "1 bits; 2 to 32 are possible");
  in_100("\"bw\":8,", "\"bw\":6,", "offset -128 where LPBQ of 6 bits has -32");
  in_100("-128]", "-127]", "offset -127 where LPBQ of 8 bits has -128");
  in_100("true", "false", "LPBQ that is not symmetric");
  in_100("[-128,-128]", "[-128]", "'scale' and 'offset' are not lists of the same length");
  in_100("[-128,-128]", "-128", "'offset' is not a list of numbers");
  in_100("[0.25,0.5]", "0.25", "'scale' is not a list of numbers");
  in_100("[0.25,0.5]", "[0.25,0]", "scale 0.0 is not a positive number");
  in_100("[0.25,0.5]", "[0.25,1.7014118346046923e38]",
         "scale 2.0416942015256308e+39 is not a positive number");
  in_100("[0.25,0.5]", "[0.25,\"a\"]", "'scale' holds \"a\"");
  in_100("[16,", "[17,", "integer scale 17 is not one of 1 to 16");
  in_100("[16,", "[0,", "integer scale 0 is not one of 1 to 16");
  in_100("[16,", "[1.5,", "'per_block_int_scale' is not a whole number: 1.5");
  in_100("[16,9,12,16]", "[]", "'per_block_int_scale' is not a list of numbers");
  in_100("[16,9,12,16]", "[16,9,12]",
         "3 integer scales for 2 channels: not the same number for each");
  in_100("[16,9,12,16]", "[16,9]", "2 scales for shape [2, 4] where 4 are needed");
  in_100("\"block_size\":2", "\"block_size\":0", "block size 0 is not positive");
  bad.push_back({Entries100(swapped(swapped(v100, "[0.25,0.5]", "[1,1,1,1]"), "[-128,-128]",
                                    "[-128,-128,-128,-128]")),
                 "scales of 4 channels where 2 are needed"});
  in_200(",\"per_channel_float_scale\":[[0.25],[0.5]]", "",
         "key 'per_channel_float_scale' is missing");
  in_200(",\"block_size\":2", "", "key 'block_size' is missing");
  in_200(",\"axis\":1", "", "key 'axis' is missing");
  in_200("[16,9]", "[16,0]", "integer scale 0 is not one of 1, 2, 3, ...");
  in_200("[16,9]", "[16,2.5]", "integer scale 2.5 is not one of 1, 2, 3, ...");
  in_200("[[16,9],[12,16]]", "[[16,9,1,1]]", "scales of scales do not fit");
  in_200("[16,9]", "[16]", "per_block_int_scale: nested lists of different length");
  in_200("[[0.25],[0.5]]", "[[0.25],[0.5],[1]]", "scales of scales do not fit");
  in_200("[[0.25],[0.5]]", "[[0.25],[-0.5]]", "scale -0.5 is not a positive number");
  in_200("[[16,9],[12,16]]", "[[16,9,1],[12,16,1]]",
         "6 scales for shape [2, 4] where 4 are needed");
  in_210("\"x\":[[16,9],[12,16]],", "", "key 'x' is missing");
  in_210("\"x_scale\":[0.25,0.5],", "", "key 'x_scale' is missing");
  in_210("[0.25,0.5]", "[0.25,0.5,1]", "scales of scales do not fit");
  in_210("[0.25,0.5]", "[]", "x_scale: nested lists of different length");
  in_210("\"axis\":0", "\"axis\":7", "scales of scales do not fit");
  in_210("\"axis\":0", "\"block_size\":0", "scales of scales do not fit");
  in_210("[16,9]", "[16,0]", "scale 0.0 is not a positive number");
  in_210("[16,9]", "[16,\"a\"]", "'x' holds \"a\"");
  in_210("[16,9]", "[16,2.5]", "'x' holds 2.5, which takes an 'input_dtype'");
  in_210("\"axis\":0", "\"axis\":0,\"input_dtype\":\"int9\"", "input_dtype 'int9' is not known");
  in_210("\"axis\":0", "\"axis\":0,\"input_dtype\":5", "'input_dtype' is not a string");
  in_210("[16,9],", "[16,2.5],", "'x' holds 2.5, which takes an 'input_dtype'");
  bad.push_back({Entries2("2.1.0", swapped(swapped(v210, "[16,9]", "[16,17]"), "\"axis\":0",
                                           "\"input_dtype\":\"float8e4m3fn\",\"axis\":0")),
                 "'x' holds 17, which float8e4m3fn does not"});
  for (const Bad& b : bad) {
    const auto table = ParseEncodingsJson(b.json, "a.encodings", *graph);
    INFO(b.json);
    CHECK(table.status().kind() == ErrorKind::kUsage);
    CHECK(table.status().message() == StrCat("'a.encodings': entry 't': ", b.message));
  }
}

}  // namespace roundel::io
