// Pages from hostile reports: no crash, no hang, errors of one line, and nothing of the text becomes
// markup: a page has one script and links within the batch's folder only.

#include <cstdint>
#include <string>

#include "lib/base/check.h"
#include "lib/report/html.h"

namespace {

using namespace roundel;

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const std::string& report : report::ReportsOf(text)) {
    const std::string page = report::PageOfReport(report);
    INVARIANT(!page.empty() && page[0] != '/' && ("/" + page).find("/../") == std::string::npos,
              "a page within the folder");
  }
  const auto page = report::HtmlPage(text, "report.json");
  if (!page.ok()) {
    INVARIANT(page.status().kind() == ErrorKind::kUsage, "kind of error");
    INVARIANT(page.status().message().find('\n') == std::string::npos, "one line");
    return 0;
  }
  INVARIANT(Count(*page, "<script") == 1 && Count(*page, "<style") == 1, "no markup from names");
  INVARIANT(Count(*page, "<img") == 0 && Count(*page, "<iframe") == 0, "no markup from names");
  INVARIANT(page->ends_with("</html>\n"), "a complete page");
  return 0;
}
