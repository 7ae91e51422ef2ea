#include "lib/targets/profile.h"

#include <algorithm>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/targets/grid_name.h"
#include "tests/support/catch.h"

namespace roundel::target {

TEST_CASE("built-in profiles load, by their own name, and equal the files they come from") {
  CHECK(ProfileNames() == std::vector<std::string>{"generic", "llm-matmulnbits", "openvino",
                                                   "ort-cpu", "ort-cpu-avx2", "ort-mobile-xnnpack",
                                                   "qnn-htp", "tensorrt"});
  for (const std::string& name : ProfileNames()) {
    const auto profile = LoadProfile(name);
    REQUIRE(profile.ok());
    CHECK(profile->name == name);
    CHECK_FALSE(profile->summary.empty());
    const std::string file = StrCat(ROUNDEL_SOURCE_DIR, "/configs/targets/", name, ".yaml");
    const auto from_file = LoadProfile(file);
    REQUIRE(from_file.ok());
    CHECK(from_file->ops == profile->ops);
    CHECK(ReadTextFile(file)->starts_with("# "));
  }
}

TEST_CASE("ort-cpu: unsigned activations, signed narrow weights, fixed ranges") {
  const Profile profile = LoadProfile("ort-cpu").value();
  CHECK(profile.activations == quant::Grid{.bits = 8});
  CHECK(profile.weights ==
        quant::Grid{.bits = 8, .is_signed = true, .symmetric = true, .narrow_range = true});
  CHECK(profile.weights.qmin() == -127);
  CHECK(profile.ops.at("Conv") == OpPolicy::kQuantize);
  CHECK(profile.ops.at("MaxPool") == OpPolicy::kPassThrough);
  CHECK(profile.ops.at("Concat") == OpPolicy::kShared);
  CHECK_FALSE(profile.ops.contains("BatchNormalization"));
  CHECK(profile.fixed_output_ranges.at("Softmax").max == 1);
  CHECK(profile.absorb_relu);
  CHECK(profile.min_opset == 13);
  const GridChoice choice = DefaultChoice(profile);
  CHECK(choice.weight_granularity == quant::Granularity::kChannel);
  CHECK(choice.weights == profile.weights);
}

TEST_CASE("ort-mobile-xnnpack: signs that agree, one scale for transposed convolutions") {
  const Profile profile = LoadProfile("ort-mobile-xnnpack").value();
  CHECK(profile.activations == quant::Grid{.bits = 8, .is_signed = true});
  CHECK(profile.activation_grids == std::set<std::string>{"int8"});
  CHECK(profile.weights.is_signed);
  CHECK(profile.ops.at("ConvTranspose") == OpPolicy::kQuantize);
  CHECK(profile.per_tensor_ops.contains("ConvTranspose"));
  CHECK(profile.ops.at("Softmax") == OpPolicy::kFloat);
  CHECK(profile.ops.at("Conv") == OpPolicy::kQuantize);
}

TEST_CASE("a profile that does not exist names the nearest") {
  const auto near = LoadProfile("ort_cpu");
  CHECK(near.status().kind() == ErrorKind::kUsage);
  CHECK(near.status().message() == "unknown target 'ort_cpu', did you mean 'ort-cpu'?");
  CHECK(LoadProfile("tpu").status().message() ==
        "unknown target 'tpu'; known: generic, llm-matmulnbits, openvino, ort-cpu, ort-cpu-avx2, "
        "ort-mobile-xnnpack, qnn-htp, tensorrt");
  CHECK(LoadProfile("no/such.yaml").status().kind() == ErrorKind::kUsage);
}

TEST_CASE("faults of a profile file are reported with their line") {
  const auto fault = [](const std::string& yaml) {
    const auto parsed = ParseProfile(yaml, "p.yaml");
    CHECK(parsed.status().kind() == ErrorKind::kUsage);
    return parsed.status().message();
  };
  CHECK(fault("- a") == "p.yaml:1: a target profile is a map of settings");
  CHECK(fault("name: x") == "p.yaml:1: no op is quantized: 'quantize' is missing");
  CHECK(fault("quantize: [Conv]") == "p.yaml:1: 'name' is missing");
  CHECK(fault("name: x\nquantise: [Conv]") ==
        "p.yaml:2: unknown key 'quantise', did you mean 'quantize'?");
  CHECK(fault("name: x\nquantize: [Conv, Conv]") == "p.yaml:2: op 'Conv' is listed twice");
  CHECK(fault("name: x\nquantize: Conv").starts_with("p.yaml:2: expected a list"));
  CHECK(fault("name: x\nabsorb_relu: maybe") == "p.yaml:2: expected true or false");
  CHECK(fault("name: x\nmin_opset: ten") == "p.yaml:2: min_opset is not an opset version");
  const std::string grid =
      "p.yaml:2: expected a grid such as 'uint8', 'int8 symmetric narrow' or 'float8e4m3fn'";
  for (const char* text : {"byte", "int", "uint99", "uint8 narrow", "int8 symmetric loud", "[a]"})
    CHECK(fault(StrCat("name: x\nweights: ", text)) == grid);
  for (const char* range : {"[1]", "[1, 0]", "[a, b]", "[0, nan]", "[0, inf]"})
    CHECK(fault(StrCat("name: x\nfixed_output_ranges: {Softmax: ", range, "}")) ==
          "p.yaml:2: the range of 'Softmax' is not [low, high]");
  CHECK(fault("name: x\nweight_grids: [int8 symmetric narrow]").find("is not a type such as") !=
        std::string::npos);
}

TEST_CASE("grid names read back") {
  using quant::Grid;
  for (const Grid& grid :
       {Grid{.bits = 8}, Grid{.bits = 4, .is_signed = true},
        Grid{.bits = 16, .is_signed = true, .symmetric = true},
        Grid{.bits = 3, .is_signed = true, .symmetric = true, .narrow_range = true},
        Grid{.bits = 32, .is_signed = true, .symmetric = true}, Grid{.bits = 8, .symmetric = true}})
    CHECK(ParseGridName(grid.Name()) == grid);
  for (const quant::NamedGrid& named : quant::NamedGrids()) {
    CHECK(named.grid.Name() == named.name);
    CHECK(ParseGridName(named.name) == named.grid);
  }
  CHECK(ParseGridName("int4 symmetric lpbq")->scales == quant::ScaleKind::kInteger);
  for (const char* text :
       {"", "int", "int8 ", " int8", "int08", "int1", "uint32", "int8 narrow", "u8"})
    CHECK_FALSE(ParseGridName(text).has_value());
}

}  // namespace roundel::target
