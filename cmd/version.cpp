#include "cmd/version.h"

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "lib/engine/host_facts.h"

namespace roundel::cmd {
namespace {

std::string Compiler() {
#if defined(__clang__)
  return StrCat("Clang ", __clang_major__, ".", __clang_minor__, ".", __clang_patchlevel__);
#else
  return StrCat("GCC ", __GNUC__, ".", __GNUC_MINOR__, ".", __GNUC_PATCHLEVEL__);
#endif
}

nlohmann::ordered_json VersionJson() {
  using Json = nlohmann::ordered_json;
  const engine::HostFacts host = engine::FactsOfHost();
  Json json = {{"version", ROUNDEL_VERSION},
               {"commit", GitCommit()},
               {"commit_day", CommitDay()},
               {"compiler", Compiler()},
               {"build_type", ROUNDEL_BUILD_TYPE},
               {"architecture", host.architecture},
               {"processor_features", host.features},
               {"onednn", {{"version", host.onednn_version}, {"isa", host.onednn_isa}}},
               {"dependencies", Json::array()}};
  for (const Dependency& dependency : Dependencies())
    json["dependencies"].push_back({{"name", dependency.name}, {"version", dependency.version}});
  return json;
}

}  // namespace

Status PrintVersion(const std::vector<std::string>& args, std::ostream& out) {
  if (args == std::vector<std::string>{"--json"}) {
    out << VersionJson().dump(2) << "\n";
    return OkStatus();
  }
  if (!args.empty())
    return UsageError(
        StrCat("--version takes --json and nothing else, not '", Printable(args[0]), "'"));
  const std::string commit = GitCommit();
  out << "roundel " ROUNDEL_VERSION << (commit.empty() ? "" : " (" + commit + ")") << "\n";
  return OkStatus();
}

}  // namespace roundel::cmd
