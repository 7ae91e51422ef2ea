// Statistics files from hostile text: no crash, no hang, errors of one line, and what is accepted
// reads back the same from what is written of it, and can be merged with itself.

#include <cstdint>
#include <string>

#include "lib/base/check.h"
#include "lib/io/statistics_json.h"

namespace {

using namespace roundel;

void CheckMessage(const Status& status) {
  INVARIANT(status.kind() == ErrorKind::kData, "kind of error");
  INVARIANT(!status.message().empty() && status.message().find('\n') == std::string::npos,
            "one line");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  auto read = io::ParseStatistics(text, "statistics.json");
  if (!read.ok()) {
    CheckMessage(read.status());
    return 0;
  }
  const std::string written = io::StatisticsJson(*read);
  auto again = io::ParseStatistics(written, "written");
  INVARIANT(again.ok(), again.status().message());
  INVARIANT(io::StatisticsJson(*again) == written, "reading and writing reaches a fixed point");
  std::vector<quant::CalibrationStatistics> parts;
  parts.push_back(std::move(*read));
  parts.push_back(std::move(*again));
  const auto merged = quant::CalibrationStatistics::Merge(std::move(parts));
  if (!merged.ok()) CheckMessage(merged.status());
  return 0;
}
