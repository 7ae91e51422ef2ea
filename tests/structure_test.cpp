// Tests of the source tree: permitted includes, owners of third-party libraries, the list of passes,
// sizes of files, and calls that library code must not make.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace {

namespace fs = std::filesystem;
const fs::path kRoot = ROUNDEL_SOURCE_DIR;

// Room -> rooms that it may include besides itself. Each row names only rooms above it: no cycles.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"lib/base", {}},
    {"lib/tensor", {"lib/base"}},
    {"lib/quant", {"lib/base", "lib/tensor"}},
    {"lib/solver", {"lib/base", "lib/tensor", "lib/quant"}},
    {"lib/graph", {"lib/base", "lib/tensor"}},
    {"lib/structure", {"lib/base", "lib/tensor", "lib/graph"}},
    {"lib/matmul", {"lib/base"}},
    {"lib/ops", {"lib/base", "lib/tensor", "lib/quant", "lib/graph", "lib/matmul"}},
    {"lib/fast", {"lib/base", "lib/tensor", "lib/quant", "lib/graph", "lib/matmul", "lib/ops"}},
    {"lib/engine", {"lib/base", "lib/tensor", "lib/quant", "lib/graph", "lib/ops", "lib/fast"}},
    {"lib/grad", {"lib/base", "lib/tensor", "lib/graph"}},
    {"lib/walk", {"lib/base", "lib/tensor", "lib/quant", "lib/graph", "lib/ops", "lib/engine"}},
    {"lib/report", {"lib/base", "lib/tensor", "lib/quant"}},
    {"lib/eval", {"lib/base", "lib/tensor", "lib/quant", "lib/engine", "lib/report"}},
    {"lib/recipe", {"lib/base"}},
    {"lib/batch", {"lib/base", "lib/recipe"}},
    {"lib/targets", {"lib/base", "lib/tensor", "lib/quant", "lib/graph", "lib/recipe"}},
    {"lib/session",
     {"lib/base", "lib/tensor", "lib/quant", "lib/graph", "lib/targets", "lib/report"}},
    {"lib/calibration",
     {"lib/base", "lib/tensor", "lib/quant", "lib/graph", "lib/ops", "lib/engine", "lib/walk",
      "lib/recipe", "lib/targets", "lib/report", "lib/session"}},
    {"lib/layers",
     {"lib/base", "lib/tensor", "lib/quant", "lib/solver", "lib/graph", "lib/matmul", "lib/ops",
      "lib/engine", "lib/walk", "lib/targets", "lib/report", "lib/session", "lib/calibration"}},
    {"lib/tune",
     {"lib/base", "lib/tensor", "lib/quant", "lib/graph", "lib/engine", "lib/grad", "lib/structure",
      "lib/walk", "lib/report", "lib/session", "lib/calibration", "lib/layers"}},
    {"lib/io", {"lib/base", "lib/tensor", "lib/quant", "lib/graph"}},
    {"lib/data", {"lib/base", "lib/tensor", "lib/engine", "lib/io", "lib/recipe"}},
    {"passes",
     {"lib/base", "lib/tensor", "lib/quant", "lib/solver", "lib/graph", "lib/matmul", "lib/ops",
      "lib/engine", "lib/walk", "lib/recipe", "lib/targets", "lib/report", "lib/session",
      "lib/calibration", "lib/layers", "lib/structure", "lib/tune"}},
    {"cmd", {"lib/base",      "lib/tensor", "lib/quant",   "lib/solver",      "lib/graph",
             "lib/structure", "lib/grad",   "lib/engine",  "lib/eval",        "lib/recipe",
             "lib/targets",   "lib/report", "lib/session", "lib/calibration", "lib/layers",
             "lib/tune",      "lib/io",     "lib/data",    "lib/batch",       "passes"}},
    {"api", {"lib/base", "lib/eval", "lib/recipe", "lib/report", "cmd"}},
};

// Start of an include -> the only places that may have it.
const std::vector<std::pair<std::string, std::vector<std::string>>> kSecrets = {
    {"spdlog/", {"lib/base/log.cpp"}},
    {"omp.h", {"lib/base/parallel.cpp"}},
    {"google/protobuf", {"lib/io/onnx_"}},
    {"onnx/", {"lib/io/onnx_"}},
    {"dnnl", {"lib/fast/onednn/", "lib/matmul/"}},
    {"oneapi/", {"lib/fast/onednn/", "lib/matmul/"}},
    {"yaml-cpp/", {"lib/recipe/"}},
    {"nlohmann/",
     {"lib/report/", "lib/io/encodings_", "lib/io/json_fields", "lib/io/scale_levels",
      "lib/io/statistics_json.cpp", "lib/batch/result.cpp", "lib/batch/content.cpp", "cmd/"}},
    {"CLI/", {"cmd/"}},
    {"png.h", {"lib/io/images/"}},
    {"turbojpeg.h", {"lib/io/images/"}},
    // Code for one processor, behind a check of it at run time (ARCHITECTURE.md, Portability).
    {"immintrin.h",
     {"lib/fast/", "lib/matmul/", "lib/tensor/half.cpp", "lib/quant/histogram.cpp",
      "lib/ops/kernels/strided_copy.cpp"}},
    {"cpuid.h", {"lib/fast/", "lib/matmul/", "lib/tensor/half.cpp"}},
};

struct Source {
  std::string path;  // from the repository root
  std::vector<std::string> lines;
};

std::vector<Source> Sources(const std::vector<std::string>& folders) {
  std::vector<Source> sources;
  for (const std::string& folder : folders) {
    if (!fs::exists(kRoot / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const std::string path = fs::relative(entry.path(), kRoot).string();
      if (path.find("node_modules") != std::string::npos) continue;
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
      std::ifstream file(entry.path());
      Source source{path, {}};
      for (std::string line; std::getline(file, line);) source.lines.push_back(line);
      sources.push_back(std::move(source));
    }
  }
  return sources;
}

std::string RoomOf(const std::string& path) {
  for (const auto& [room, unused] : kMayInclude)
    if (path.rfind(room + "/", 0) == 0) return room;
  return "";
}

// File -> what it includes, as it is written there.
std::map<std::string, std::set<std::string>> Includes(const std::vector<Source>& sources) {
  const std::regex include(R"re(^\s*#include\s+[<"]([^>"]+)[>"])re");
  std::map<std::string, std::set<std::string>> includes;
  std::smatch match;
  for (const Source& source : sources)
    for (const std::string& line : source.lines)
      if (std::regex_search(line, match, include)) includes[source.path].insert(match[1]);
  return includes;
}

// What a file includes itself and through headers of this project.
std::set<std::string> Reached(const std::string& path,
                              const std::map<std::string, std::set<std::string>>& includes) {
  std::set<std::string> reached;
  std::vector<std::string> open = {path};
  while (!open.empty()) {
    const auto known = includes.find(open.back());
    open.pop_back();
    if (known == includes.end()) continue;
    for (const std::string& header : known->second)
      if (reached.insert(header).second) open.push_back(header);
  }
  return reached;
}

std::vector<std::string> PassesInDef() {
  std::ifstream file(kRoot / "passes/passes.def");
  const std::regex row(R"(^ROUNDEL_PASS\((\w+)\)$)");
  std::vector<std::string> names;
  std::smatch match;
  for (std::string line; std::getline(file, line);)
    if (std::regex_match(line, match, row)) names.push_back(match[1]);
  return names;
}

}  // namespace

TEST_CASE("rooms include only the rooms above them") {
  const std::regex include(R"re(^\s*#include\s+"((?:lib/\w+|passes|cmd|tests)/[^"]+)")re");
  int checked = 0;
  for (const Source& source : Sources({"lib", "passes", "cmd", "api"})) {
    const std::string room = RoomOf(source.path);
    INFO(source.path);
    REQUIRE_FALSE(room.empty());
    for (const std::string& line : source.lines) {
      std::smatch match;
      if (!std::regex_search(line, match, include)) continue;
      const std::string target = RoomOf(match[1]);
      INFO(line);
      CHECK((target == room || kMayInclude.at(room).contains(target)));
      ++checked;
    }
  }
  CHECK(checked > 100);
}

// The folder of a unit within the rooms of the engine: lib/fast/loops, not lib/fast.
std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

TEST_CASE("no unit of the engine's rooms needs itself through others") {
  const std::map<std::string, std::set<std::string>> includes =
      Includes(Sources({"lib/matmul", "lib/ops", "lib/fast", "lib/engine", "lib/walk"}));
  const auto unit = [](const std::string& path) { return path.substr(0, path.rfind('.')); };
  // A unit is a header and its source; by unit what it includes.
  std::map<std::string, std::set<std::string>> needs;
  for (const auto& [path, headers] : includes)
    for (const std::string& header : headers)
      if (includes.contains(header) && unit(header) != unit(path))
        needs[unit(path)].insert(unit(header));
  CHECK(needs.size() > 100);
  for (const auto& [start, unused] : needs) {
    INFO(start);
    CHECK_FALSE(Reached(start, needs).contains(start));
  }
}

TEST_CASE("folders of lib/fast include one another one way only") {
  const std::map<std::string, std::set<std::string>> includes = Includes(Sources({"lib/fast"}));
  std::set<std::pair<std::string, std::string>> edges;
  for (const auto& [path, headers] : includes)
    for (const std::string& header : headers)
      if (header.starts_with("lib/fast/") && FolderOf(header) != FolderOf(path))
        edges.emplace(FolderOf(path), FolderOf(header));
  // lib/fast itself holds the contract, which all include, and the registry, which includes all.
  std::erase_if(edges, [](const auto& edge) {
    return edge.first == "lib/fast" || edge.second == "lib/fast";
  });
  CHECK(edges.size() >= 2);
  for (const auto& [from, to] : edges) {
    INFO(from << " -> " << to);
    CHECK_FALSE(edges.contains({to, from}));
  }
}

// What several rooms know of an operator is a row of lib/graph/operators.cpp. Patterns and adapters
// name operators, too; a new place that does should ask for a fact instead, or be one fewer
// elsewhere.
TEST_CASE("names of operators are spelled in few places") {
  const std::map<std::string, size_t> most = {{"MatMul", 31}, {"Softmax", 12}, {"LeakyRelu", 9}};
  const std::vector<Source> sources = Sources({"lib", "passes", "cmd", "api"});
  for (const auto& [name, limit] : most) {
    size_t files = 0;
    for (const Source& source : sources)
      files += std::any_of(source.lines.begin(), source.lines.end(), [&](const std::string& line) {
        return line.find("\"" + name + "\"") != std::string::npos;
      });
    INFO(name << " in " << files << " files");
    CHECK(files >= 3);
    CHECK(files <= limit);
  }
}

TEST_CASE("a pass includes no other pass") {
  for (const std::string& pass : PassesInDef())
    CHECK_FALSE(fs::exists(kRoot / "passes" / (pass + ".h")));
}

TEST_CASE("each third-party library is the secret of one place, through own headers too") {
  const std::vector<Source> sources = Sources({"lib", "passes", "cmd", "api"});
  const std::map<std::string, std::set<std::string>> includes = Includes(sources);
  int found = 0;
  for (const Source& source : sources) {
    for (const std::string& header : Reached(source.path, includes)) {
      for (const auto& [prefix, owners] : kSecrets) {
        if (header.rfind(prefix, 0) != 0) continue;
        INFO(source.path << " sees " << header);
        CHECK(std::any_of(owners.begin(), owners.end(), [&](const std::string& owner) {
          return source.path.rfind(owner, 0) == 0;
        }));
        ++found;
      }
    }
  }
  CHECK(found > 20);
}

TEST_CASE("passes.def is sorted and complete, and every pass has its test") {
  const std::vector<std::string> names = PassesInDef();
  REQUIRE_FALSE(names.empty());
  CHECK(std::is_sorted(names.begin(), names.end()));
  std::set<std::string> files;
  // What passes share has headers; a pass has none.
  for (const auto& entry : fs::directory_iterator(kRoot / "passes")) {
    fs::path header = entry.path();
    if (entry.path().extension() == ".cpp" && !fs::exists(header.replace_extension(".h")))
      files.insert(entry.path().stem().string());
  }
  files.erase("registry");
  CHECK(files == std::set<std::string>(names.begin(), names.end()));
  for (const std::string& name : names) {
    INFO(name);
    CHECK(fs::exists(kRoot / "tests/passes" / (name + "_test.cpp")));
  }
}

TEST_CASE("files keep to a readable size") {
  for (const Source& source : Sources({"lib", "passes", "cmd", "tests"})) {
    INFO(source.path);
    CHECK(source.lines.size() <= (source.path.ends_with(".h") ? 250u : 600u));
  }
}

TEST_CASE("library code neither exits, throws, nor prints") {
  const std::regex forbidden(R"(\b(std::exit|throw|std::cout|printf)\b\s*[(<;]|\bthrow\b)");
  // Where stderr and abort are the purpose of the file.
  const std::set<std::string> allowed = {"lib/base/check.cpp", "lib/base/progress.cpp"};
  for (const Source& source : Sources({"lib", "passes"})) {
    if (allowed.contains(source.path)) continue;
    for (const std::string& line : source.lines) {
      const std::string code = line.substr(0, line.find("//"));
      INFO(source.path << ": " << line);
      CHECK_FALSE(std::regex_search(code, forbidden));
    }
  }
}

TEST_CASE("names of tests begin with a word and hold no semicolon, at which ctest cuts them") {
  const std::regex name(R"rx(TEST_CASE\(\s*"([^"]*)")rx");
  int64_t seen = 0;
  for (const Source& source : Sources({"tests"})) {
    std::string text;
    for (const std::string& line : source.lines) text += line + "\n";
    for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end; ++it, ++seen) {
      const std::string found = (*it)[1];
      INFO(source.path << ": " << found);
      CHECK((!found.empty() && std::isalnum(static_cast<unsigned char>(found[0]))));
      CHECK(found.find(';') == std::string::npos);
    }
  }
  CHECK(seen > 1000);
}

TEST_CASE("headers guard themselves and open no namespace for others") {
  for (const Source& source : Sources({"lib", "passes", "cmd", "api"})) {
    if (!source.path.ends_with(".h")) continue;
    INFO(source.path);
    REQUIRE_FALSE(source.lines.empty());
    CHECK(source.lines[0] == "#pragma once");
    CHECK(std::none_of(source.lines.begin(), source.lines.end(), [](const std::string& line) {
      return line.rfind("using namespace", 0) == 0;
    }));
  }
}
