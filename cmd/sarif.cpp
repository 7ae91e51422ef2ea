#include "cmd/sarif.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "lib/base/hash.h"
#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostResults = 5000;
constexpr char kSchema[] =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

// A path as a reference of RFC 3986; absolute ones as file URIs.
std::string Uri(const std::string& path) {
  std::string uri = path.starts_with("/") ? "file://" : "";
  // A colon in the first segment would make it a scheme.
  for (const char c : path)
    uri += std::isalnum(static_cast<unsigned char>(c)) || std::strchr("-._~/", c) != nullptr
               ? std::string(1, c)
               : StrFormat("%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
  return uri;
}

Json Rules() {
  Json rules = Json::array();
  for (const target::LintRule& rule : target::LintRules())
    rules.push_back({{"id", rule.id},
                     {"shortDescription", {{"text", rule.text}}},
                     {"defaultConfiguration", {{"level", "warning"}}}});
  return rules;
}

int64_t IndexOf(const std::string& id) {
  const auto& rules = target::LintRules();
  const auto found =
      std::find_if(rules.begin(), rules.end(), [&](const auto& rule) { return id == rule.id; });
  return found - rules.begin();
}

Json ResultJson(const target::Violation& v, bool refused, const std::string& model) {
  const std::string text = StrCat(v.where, ": ", v.what, ". ", v.why, "; ", v.advice, ".");
  // Services match results of successive runs by the fingerprint: it holds no line.
  Hasher hash;
  for (const std::string& part : {v.rule, v.where, v.what}) hash.Add(part);
  // Code scanning wants a line of a file.
  const Json physical = {{"artifactLocation", {{"uri", Uri(model)}, {"index", 0}}},
                         {"region", {{"startLine", 1}}}};
  const Json logical = {{"fullyQualifiedName", v.where}, {"kind", "object"}};
  const Json location = {{"physicalLocation", physical},
                         {"logicalLocations", Json::array({logical})}};
  return {{"ruleId", v.rule},
          {"ruleIndex", IndexOf(v.rule)},
          {"level", refused ? "error" : "warning"},
          {"message", {{"text", text}}},
          {"locations", Json::array({location})},
          {"partialFingerprints", {{"roundel/v1", hash.Hex()}}}};
}

}  // namespace

std::string SarifText(const target::LintResult& result, const std::string& model,
                      const std::string& target) {
  Json results = Json::array();
  const size_t count = std::min(result.violations.size(), kMostResults);
  for (size_t i = 0; i < count; ++i)
    results.push_back(ResultJson(result.violations[i], i < result.refused, model));
  const Json driver = {
      {"name", "roundel"}, {"semanticVersion", ROUNDEL_VERSION}, {"rules", Rules()}};
  const Json artifact = {{"location", {{"uri", Uri(model)}}}};
  const Json run = {
      {"tool", {{"driver", driver}}},
      {"artifacts", Json::array({artifact})},
      {"columnKind", "utf16CodeUnits"},
      {"results", std::move(results)},
      {"properties",
       {{"target", target}, {"violations", result.violations.size()}, {"listed", count}}}};
  const Json json = {{"$schema", kSchema}, {"version", "2.1.0"}, {"runs", Json::array({run})}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace roundel::cmd
