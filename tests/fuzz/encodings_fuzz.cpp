// Encodings files of all versions from hostile text, for a model that has every kind of weight: no
// crash, no hang, errors of one line, and what is accepted fits the model and can be written again
// in the versions that have a form for it.

#include <cstdint>
#include <string>

#include "lib/base/check.h"
#include "lib/graph/text.h"
#include "lib/io/encodings_json.h"
#include "tests/fuzz/models.h"

namespace {

using namespace roundel;

const graph::Graph& Described() {
  static const graph::Model model = std::move(graph::Parse(fuzz::kLayers)).value();
  return *model.graph;
}

void CheckMessage(const Status& status) {
  INVARIANT(status.kind() == ErrorKind::kUsage, "kind of error");
  INVARIANT(!status.message().empty() && status.message().find('\n') == std::string::npos,
            "one line");
}

void CheckWritten(const quant::EncodingTable& table, const std::string& version) {
  const auto json = io::EncodingsJson(table, version, &Described());
  if (!json.ok()) return CheckMessage(json.status());
  const auto again = io::ParseEncodingsJson(*json, "written", Described());
  INVARIANT(again.ok(), again.status().message());
  for (const auto& [name, encoding] : *again) {
    const quant::Encoding& first = table.at(name);
    INVARIANT(encoding.granularity == first.granularity, "granularity is kept");
    INVARIANT(encoding.params.size() == first.params.size(), "scales are kept");
    for (size_t i = 0; i < encoding.params.size(); ++i)
      INVARIANT(encoding.params[i].scale == first.params[i].scale, "scales are kept bit for bit");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto origin = io::ParseEncodingsOrigin(text, "encodings.json");
  if (!origin.ok()) CheckMessage(origin.status());
  const auto table = io::ParseEncodingsJson(text, "encodings.json", Described());
  if (!table.ok()) {
    CheckMessage(table.status());
    return 0;
  }
  for (const char* version : {"0.6.1", "1.0.0", "2.0.0", "2.1.0"}) CheckWritten(*table, version);
  return 0;
}
