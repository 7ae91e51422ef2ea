#include "lib/targets/formats.h"

#include "lib/base/text.h"

namespace roundel::target {
namespace {

Format Named(std::string name, Format format) {
  format.name = std::move(name);
  return format;
}

}  // namespace

const std::vector<Format>& Formats() {
  static const std::vector<Format> formats = {
#define ROUNDEL_FORMAT(name) Named(#name, name##_format()),
#include "lib/targets/formats.def"
#undef ROUNDEL_FORMAT
  };
  return formats;
}

std::vector<std::string> FormatNames() {
  std::vector<std::string> names;
  for (const Format& format : Formats()) names.push_back(format.name);
  return names;
}

const Format* FormatOf(const graph::Node& node) {
  for (const Format& format : Formats())
    if (format.has && format.has(node)) return &format;
  return nullptr;
}

Result<const Format*> FindFormat(const std::string& name) {
  for (const Format& format : Formats())
    if (name == format.name) return &format;
  return UsageError(StrCat("unknown format '", Printable(name), "'; known: ", Join(FormatNames())));
}

}  // namespace roundel::target
