// fuzz_seeds FOLDER: small valid inputs for every fuzz target, in FOLDER/<target>/. A fuzzer finds
// little when it has to invent a format first.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "lib/graph/text.h"
#include "lib/io/encodings_json.h"
#include "lib/io/npy.h"
#include "lib/io/onnx.h"
#include "lib/io/statistics_json.h"
#include "tests/fuzz/models.h"
#include "tests/support/image_files.h"
#include "tests/support/zip.h"

namespace roundel {
namespace {

namespace fs = std::filesystem;

class Seeds {
 public:
  explicit Seeds(const fs::path& folder) : folder_(folder) {}
  void Add(const std::string& target, const std::string& contents) {
    const fs::path place = folder_ / target;
    fs::create_directories(place);
    std::ofstream(place / ("seed" + std::to_string(++count_)), std::ios::binary) << contents;
  }
  int count() const { return count_; }

 private:
  fs::path folder_;
  int count_ = 0;
};

graph::Model ModelOf(const char* text) { return std::move(graph::Parse(text)).value(); }

void AddModels(Seeds& seeds) {
  seeds.Add("onnx_read_fuzz", io::SerializeOnnx(ModelOf(fuzz::kLayers)).value());
  for (const char* text : fuzz::kModels)
    seeds.Add("onnx_read_fuzz", io::SerializeOnnx(ModelOf(text)).value());
}

void AddImages(Seeds& seeds) {
  using namespace support;
  const std::vector<uint8_t> pixels = SmoothPixels(9, 7, 1);
  for (const int flags : {0, TJFLAG_PROGRESSIVE})
    seeds.Add("image_fuzz", EncodeJpeg(9, 7, pixels, 90, TJPF_RGB, flags));
  seeds.Add("image_fuzz", EncodeJpeg(7, 9, pixels, 50, TJPF_GRAY));
  seeds.Add("image_fuzz", EncodeJpeg(5, 9, pixels, 50, TJPF_CMYK));
  seeds.Add("image_fuzz", EncodePng(9, 7, pixels));
  seeds.Add("image_fuzz", EncodePng(9, 7, pixels, {.interlaced = true}));
  seeds.Add("image_fuzz", EncodePng(21, 9, pixels, {.color_type = PNG_COLOR_TYPE_GRAY}));
  seeds.Add("image_fuzz", EncodePng(4, 4, std::vector<uint8_t>(128, 77),
                                    {.color_type = PNG_COLOR_TYPE_RGBA, .bit_depth = 16}));
  seeds.Add("image_fuzz", EncodePng(8, 4, std::vector<uint8_t>(4, 0x5a),
                                    {.color_type = PNG_COLOR_TYPE_PALETTE,
                                     .bit_depth = 1,
                                     .palette = {{1, 2, 3}, {200, 100, 50}}}));
}

std::string NpyOf(const Tensor& tensor, const fs::path& scratch) {
  if (!io::WriteNpy(tensor, scratch.string()).ok()) return "";
  std::ifstream file(scratch, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void AddArrays(Seeds& seeds, const fs::path& scratch) {
  const std::string floats = NpyOf(Tensor::FromVector<float>({2, 3}, {1, 2, 3, 4, 5, 6}), scratch);
  const std::string integers = NpyOf(Tensor::FromVector<int64_t>({}, {7}), scratch);
  std::string columns = floats;
  columns.replace(columns.find("False"), 5, "True ");
  for (const std::string& array : {floats, integers, columns}) seeds.Add("npy_fuzz", array);
  for (const bool zip64 : {false, true})
    seeds.Add(
        "npy_fuzz",
        support::Zip({{"a.npy", floats, true, zip64}, {"b.npy", integers, false, zip64}}, zip64));
}

void AddStatistics(Seeds& seeds) {
  for (const bool all : {false, true}) {
    const quant::StatisticsNeeds needs{.histogram = all, .samples = all, .moments = all};
    quant::CalibrationStatistics made{
        .model_hash = "0123456789abcdef", .data_hash = "d", .samples = 2};
    quant::ValueStatistics statistics(needs);
    (void)statistics.Observe(std::vector<float>{-1, 0, 0.5, 0.75, 2, 3}, 2);
    made.values.emplace("x", std::move(statistics));
    made.values.emplace("unseen", quant::ValueStatistics(needs));
    made.input_means["x"] = {{0.5, -2e-17}, {1, 2, 5, 5}, 50};
    seeds.Add("statistics_fuzz", io::StatisticsJson(made));
  }
}

quant::Encoding Weight(quant::Granularity granularity, int64_t axis, int bits,
                       std::vector<float> scales) {
  quant::Encoding e{.role = quant::Role::kWeight,
                    .grid = {.bits = bits, .is_signed = true, .symmetric = true},
                    .granularity = granularity,
                    .axis = axis};
  for (const float scale : scales) e.params.push_back({scale, 0});
  return e;
}

void AddEncodings(Seeds& seeds) {
  using quant::Granularity;
  const graph::Model model = ModelOf(fuzz::kLayers);
  quant::Encoding blocks = Weight(Granularity::kBlock, 0, 4, {1, 2, 3, 4, 5, 6});
  blocks.block_size = 2;
  quant::Encoding coded = blocks, floats = Weight(Granularity::kChannel, 1, 8, {0.25f, 0.5f, 1, 2});
  coded.grid.scales = quant::ScaleKind::kInteger;
  floats.grid.kind = quant::GridKind::kFloat8E4M3FN;
  quant::EncodingTable table = {{"x", {.grid = {.bits = 8}, .params = {{0.0117647f, 42}}}},
                                {"w", Weight(Granularity::kChannel, 0, 8, {0.01f, 0.02f})}};
  const auto add = [&](const char* version) {
    const auto json = io::EncodingsJson(table, version, model.graph.get());
    if (json.ok()) seeds.Add("encodings_fuzz", *json);
  };
  for (const char* version : {"0.6.1", "1.0.0", "2.0.0", "2.1.0"}) {
    add(version);
    for (const quant::Encoding& m : {blocks, coded}) {
      table["m"] = m;
      table["g"] = floats;
      add(version);
    }
    table.erase("m");
    table.erase("g");
  }
  const io::EncodingsOrigin origin{.model = "01234567",
                                   .float_model = "89abcdef",
                                   .target = "ort-cpu",
                                   .passes = "passes:\n- bn_fold\n",
                                   .later = {"adaround"},
                                   .copies = {{"w_1", "w", "conv", 1}},
                                   .dynamic_layers = {"y"}};
  seeds.Add("encodings_fuzz",
            io::EncodingsJson(table, "2.0.0", model.graph.get(), &origin).value());
}

void AddRecipes(Seeds& seeds) {
  seeds.Add("recipe_fuzz",
            "target: ort-cpu\nseed: 3\nexclude: [a, \"b c\"]\ndata:\n  path: images\n  mean: [0.5, "
            "1e-3]\n  strict: true\npasses:\n- bn_fold\n- calibrate: {method: percentile, "
            "percentile: 99.9}\n");
  seeds.Add("recipe_fuzz", "calibrate.method=percentile\npasses: []\n");
  seeds.Add("batch_manifest_fuzz",
            "defaults: {data: {path: calib/, count: 9}, set: {weights.bits: 4}}\n"
            "models:\n  - a.onnx\n  - {id: '{folder}-b', model: b.onnx, tags: [x], timeout: 2h, "
            "memory: 6G, gates: {max_drop: 1}, eval: val/}\n");
  seeds.Add(
      "batch_manifest_fuzz",
      R"({"schema":"roundel.status/1","id":"a","hash":"0","kind":"ok","sizes":{},"gates":[]})");
  seeds.Add("recipe_fuzz", "# only names\npasses: [bn_fold, calibrate]\n");
}

void AddReports(Seeds& seeds) {
  seeds.Add("html_page_fuzz",
            R"({"schema":"roundel.report/1","facts":{"tool":"roundel","model":"a.onnx",
"model_bytes":900,"output_bytes":300,"check_samples":8,"check_sqnr_db y":31.5,"eval_samples":9},
"gates":[{"name":"min_sqnr","metric":"sqnr_db","value":31.5,"limit":30,"low":29,"high":33,"verdict":"undecided",
"accepted":true,"note":""}],"passes":[{"name":"calibrate","outcome":"changed","metrics":{"samples":8},
"records":[{"subject":"n","action":"declined","reason":"r"}],"layers":[{"node":"c","error_before":0.1,"error_after":0.01,
"bound":0.001,"columns":9,"inputs":3,"on_columns":false,"note":""}],"ranges":[{"values":["x"],"grid":"uint8",
"method":"min_max","low":-1,"high":1,"seen_low":-2,"seen_high":2,"clipped_low":0.1,"clipped_high":0,"sqnr_db":20,
"histogram":[0.5,0,0.5]}],"channel_ranges":[{"node":"c","channels":2,"before":[1,2,3,4,5],"after":[2,2,3,4,4]}]}],
"float_nodes":[{"node":"s","op_type":"Softmax","reason":"r"}],"layers":[{"node":"c","name":"c","op_type":"Conv",
"input":"x","output":"y","grid":"int8","granularity":"channel","bits":8,"scales":2,"weights":9,"bytes":17,
"weight_sqnr_db":40}],"network":{"samples":8,"values":[{"value":"y","op_type":"Conv","position":0,"sqnr_db":30}]},
"recipe":"passes: []","warnings":["w"],"timing":{"seconds":1,"peak_rss_bytes":9,"passes":[]}})");
  seeds.Add(
      "html_page_fuzz",
      R"({"schema":"roundel.status/1","id":"a","hash":"0","kind":"ok","exit_code":0,"message":"m",)"
      R"("seconds":1,"peak_memory_bytes":5,"sizes":{"model_bytes":9,"output_bytes":3},)"
      R"("metrics":{"check_sqnr_db":3},"gates":[{"verdict":"passed"}],"report":"a/a.report.json"})");
}

}  // namespace
}  // namespace roundel

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  roundel::Seeds seeds(folder);
  roundel::AddModels(seeds);
  roundel::AddImages(seeds);
  roundel::AddArrays(seeds, folder / "scratch.npy");
  roundel::AddStatistics(seeds);
  roundel::AddEncodings(seeds);
  roundel::AddRecipes(seeds);
  roundel::AddReports(seeds);
  std::filesystem::remove(folder / "scratch.npy");
  std::printf("%d seeds\n", seeds.count());
}
