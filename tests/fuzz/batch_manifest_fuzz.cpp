// Manifests and status lines from hostile text: no crash, no hang, errors of one line; ids are file
// names, and what a status line says is written as it was read.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "lib/batch/manifest.h"
#include "lib/batch/result.h"

namespace {

using namespace roundel;

void Require(bool condition) {
  if (!condition) std::abort();
}

const batch::ManifestSpec& Spec() {
  static const batch::ManifestSpec spec = {
      .data = {{.name = "path", .default_value = std::string()},
               {.name = "count", .default_value = int64_t{256}, .min = 1, .max = 1000},
               {.name = "mean", .default_value = std::vector<double>{}},
               {.name = "strict", .default_value = false}},
      .gates = {{.name = "max_drop", .default_value = 100.0, .min = 0, .max = 100}}};
  return spec;
}

bool IsOneLine(const Status& status) {
  const std::string& message = status.message();
  return !message.empty() && message.size() < 1000 && message.find('\n') == std::string::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto result = batch::ParseStatusLine(text)) {
    const auto again = batch::ParseStatusLine(batch::StatusLine(*result));
    Require(again && batch::StatusLine(*again) == batch::StatusLine(*result));
  }
  batch::JobResult report;
  batch::ReadReport(text, &report);
  const auto entries = batch::ParseManifest(text, "zoo.yaml", Spec());
  if (!entries.ok()) {
    Require(IsOneLine(entries.status()));
    return 0;
  }
  // Below a folder that does not exist no pattern takes time.
  for (const batch::Entry& entry : *entries)
    if (entry.model.starts_with("/") || entry.model.find("..") != std::string::npos) return 0;
  const auto items = batch::ExpandEntries(*entries, "zoo.yaml", "/nonexistent");
  if (!items.ok()) {
    Require(IsOneLine(items.status()));
    return 0;
  }
  for (const batch::Item& item : *items) {
    const std::string& id = item.entry.id;
    Require(!id.empty() && id[0] != '.' && id.find('/') == std::string::npos);
  }
  return 0;
}
