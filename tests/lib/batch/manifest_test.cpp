#include "lib/batch/manifest.h"

#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

using namespace roundel;
using namespace roundel::batch;
using recipe::ParamValue;
using support::TempFolder;

namespace {

const ManifestSpec& Spec() {
  static const ManifestSpec spec = {
      .data = {{.name = "path", .default_value = std::string()},
               {.name = "preset", .default_value = std::string()},
               {.name = "count", .default_value = int64_t{256}, .min = 1, .max = 1000}},
      .gates = {{.name = "max_drop", .default_value = 100.0, .min = 0, .max = 100}}};
  return spec;
}

std::vector<Entry> Entries(const std::string& text) {
  auto entries = ParseManifest(text, "zoo.yaml", Spec());
  INFO((entries.ok() ? "" : entries.status().message()));
  REQUIRE(entries.ok());
  return *entries;
}

std::string ErrorOf(const std::string& text) {
  const auto entries = ParseManifest(text, "zoo.yaml", Spec());
  REQUIRE_FALSE(entries.ok());
  CHECK(entries.status().kind() == ErrorKind::kUsage);
  return entries.status().message();
}

std::vector<std::string> IdsOf(const std::vector<Item>& items) {
  std::vector<std::string> ids;
  for (const Item& item : items) ids.push_back(item.entry.id);
  return ids;
}

}  // namespace

TEST_CASE("entries of a manifest overrule its defaults key by key") {
  const auto entries = Entries(
      "defaults:\n"
      "  recipe: w4_cnn\n"
      "  data: {path: calib, preset: tf}\n"
      "  set: {weights.bits: 4, exclude: [a, 'b,c']}\n"
      "  tags: [night]\n"
      "  timeout: 15m\n"
      "models:\n"
      "  - zoo/*.onnx\n"
      "  - id: big\n"
      "    model: big.onnx\n"
      "    recipe: r.yaml\n"
      "    data: {count: 7}\n"
      "    eval: test/\n"
      "    gates: {max_drop: 1.5}\n"
      "    set: {weights.bits: 8}\n"
      "    tags: [big, slow]\n"
      "    timeout: 90\n"
      "    memory: 1.5GiB\n");
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].model == "zoo/*.onnx");
  CHECK(entries[0].id.empty());
  CHECK(entries[0].recipe == "w4_cnn");
  CHECK(entries[0].data.at("path") == ParamValue(std::string("calib")));
  CHECK(entries[0].set.at("exclude") == "[a, \"b,c\"]");
  CHECK(entries[0].tags == std::vector<std::string>{"night"});
  CHECK(entries[0].timeout == 900);
  CHECK(entries[0].memory == 0);
  CHECK(entries[0].line == 8);
  CHECK(entries[1].id == "big");
  CHECK(entries[1].recipe == "r.yaml");
  CHECK(entries[1].data.at("path") == ParamValue(std::string("calib")));
  CHECK(entries[1].data.at("count") == ParamValue(int64_t{7}));
  CHECK(entries[1].eval.at("path") == ParamValue(std::string("test/")));
  CHECK(entries[1].gates.at("max_drop") == ParamValue(1.5));
  CHECK(entries[1].set.at("weights.bits") == "8");
  CHECK(entries[1].tags == std::vector<std::string>{"big", "slow"});
  CHECK(entries[1].timeout == 90);
  CHECK(entries[1].memory == 1610612736);
}

TEST_CASE("errors of a manifest name the line, the key and the nearest one") {
  CHECK(ErrorOf("defaults: {}\n") == "zoo.yaml: the manifest has no 'models:' list");
  CHECK(ErrorOf("modles: []\n") == "zoo.yaml:1: unknown key 'modles'; did you mean 'models'?");
  CHECK(ErrorOf("models: []\n") == "zoo.yaml:1: 'models' is empty");
  CHECK(ErrorOf("models: 3\n") == "zoo.yaml:1: 'models' must be a list, not a single value");
  CHECK(ErrorOf("- a.onnx\n") ==
        "zoo.yaml:1: a manifest is a map with the key 'models', not a list");
  CHECK(ErrorOf("models:\n  - {id: a, model: a.onnx, timout: 3}\n") ==
        "zoo.yaml:2: unknown key 'timout' in model 'a'; did you mean 'timeout'?");
  CHECK(ErrorOf("models:\n  - {model: a.onnx,\n     data: {cuont: 3}}\n") ==
        "zoo.yaml:3: unknown key 'cuont' in data of a model; did you mean 'count'?");
  CHECK(ErrorOf("models:\n  - {id: a}\n") ==
        "zoo.yaml:2: a model needs the key 'model', the path of an ONNX file");
  CHECK(ErrorOf("defaults: {model: a}\nmodels: [a.onnx]\n").find("unknown key 'model'") !=
        std::string::npos);
  CHECK(ErrorOf("models:\n  - {model: a, timeout: soon}\n") ==
        "zoo.yaml:2: in a model: 'timeout' must be a time such as 90s, 15m or 2h, not 'soon'");
  CHECK(ErrorOf("models:\n  - {model: a, memory: much}\n") ==
        "zoo.yaml:2: in a model: 'memory' must be a size such as 800M or 6GiB, not 'much'");
  CHECK(ErrorOf("models:\n  - {model: a, data: {count: 5000}}\n") ==
        "zoo.yaml:2: in data of a model: 'count' must be between 1 and 1000, not '5000'");
  CHECK(ErrorOf("models:\n  - {model: a, gates: {max_drop: -1}}\n").find("max_drop") !=
        std::string::npos);
  CHECK(ErrorOf("models:\n  - {model: a, set: [weights.bits=4]}\n") ==
        "zoo.yaml:2: set of a model must be a map such as {weights.bits: 4}, not a list");
  CHECK(ErrorOf("models:\n  - [a]\n") ==
        "zoo.yaml:2: a model is a path or a map with the key 'model', not a list");
}

TEST_CASE("times have units") {
  CHECK(ParseSeconds("90") == 90);
  CHECK(ParseSeconds("1.5 m") == 90);
  CHECK(ParseSeconds("2h") == 7200);
  CHECK(ParseSeconds("1d") == 86400);
  for (const char* text : {"", "h", "-3", "1e99", "nan", "inf", "3 weeks", "1h 3"})
    CHECK(ParseSeconds(text) == -1);
}

TEST_CASE("patterns expand in the order of names, with ids from the paths") {
  const TempFolder folder;
  for (const char* name : {"zoo/b.onnx", "zoo/a.onnx", "zoo/B.onnx", "zoo/x y.onnx", "zoo/no.txt",
                           "net/v1/model.onnx", "net/v2/model.onnx", "odd[1].onnx"})
    folder.Write(name, "");
  const auto items =
      ExpandEntries(Entries("models:\n"
                            "  - zoo/*.onnx\n"
                            "  - {id: '{folder}-{stem}', model: 'net/v?/model.onnx'}\n"
                            "  - 'odd[1].onnx'\n"
                            "  - gone.onnx\n"),
                    "zoo.yaml", folder.path());
  INFO((items.ok() ? "" : items.status().message()));
  REQUIRE(items.ok());
  CHECK(IdsOf(*items) ==
        std::vector<std::string>{"B", "a", "b", "x_y", "v1-model", "v2-model", "odd_1_", "gone"});
  CHECK((*items)[0].entry.model == folder / "zoo/B.onnx");
  CHECK((*items)[7].entry.model == folder / "gone.onnx");
}

TEST_CASE("a folder whose own name looks like a pattern is taken literally") {
  const TempFolder folder;
  folder.Write("a[bc]*/m1.onnx", "");
  const auto items = ExpandEntries(Entries("models: ['m*.onnx']\n"), "zoo.yaml", folder / "a[bc]*");
  REQUIRE(items.ok());
  CHECK(IdsOf(*items) == std::vector<std::string>{"m1"});
}

TEST_CASE("ids are unique file names") {
  const TempFolder folder;
  for (const char* name : {"v1/model.onnx", "v2/model.onnx"}) folder.Write(name, "");
  const auto error = [&](const std::string& models) {
    const auto items = ExpandEntries(Entries("models:\n" + models), "zoo.yaml", folder.path());
    REQUIRE_FALSE(items.ok());
    CHECK(items.status().kind() == ErrorKind::kUsage);
    return items.status().message();
  };
  CHECK(error("  - '*/model.onnx'\n").find("zoo.yaml:2: the id 'model' is taken by line 2") == 0);
  CHECK(error("  - a.onnx\n  - {id: a, model: b.onnx}\n")
            .find("zoo.yaml:3: the id 'a' is taken by line 2") == 0);
  CHECK(error("  - nothing/*.onnx\n") == "zoo.yaml:2: no file matches 'nothing/*.onnx'");
  for (const std::string id :
       {"../x", "a/b", ".", "..", ".hidden", "-rf", "a b", "ü", "status.jsonl", "x\\x01"})
    CHECK(error("  - {id: \"" + (id == "x\\x01" ? std::string("x\\x01") : id) +
                "\", model: a.onnx}\n")
              .find("must be a file name") != std::string::npos);
  CHECK(error("  - {id: " + std::string(101, 'a') + ", model: a.onnx}\n")
            .find("must be a file name") != std::string::npos);
}
