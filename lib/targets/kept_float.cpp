#include "lib/targets/kept_float.h"

#include <sstream>

#include "lib/base/text.h"
#include "lib/graph/metadata.h"

namespace roundel::target {
namespace {

constexpr const char* kKey = "roundel.kept_float";

}  // namespace

void NoteKeptFloat(const std::set<std::string>& values, graph::Model* model) {
  std::erase_if(model->metadata, [](const auto& entry) { return entry.first == kKey; });
  std::string lines;
  for (const std::string& value : values)
    if (value.find('\n') == std::string::npos) lines += StrCat(lines.empty() ? "" : "\n", value);
  if (!lines.empty()) model->SetMetadata(kKey, lines);
}

std::set<std::string> KeptFloat(const graph::Model& model) {
  std::set<std::string> values;
  std::istringstream in(graph::MetadataOf(model, kKey));
  for (std::string value; std::getline(in, value);) values.insert(value);
  return values;
}

}  // namespace roundel::target
