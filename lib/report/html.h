#pragma once
// A report as one HTML page that needs nothing else: no other file, no network, and no script except
// for sorting tables. Pictures are SVG. The page depends only on the text that it is made from.

#include <string>

#include "lib/base/status.h"

namespace roundel::report {

// The page of a report (ReportJson) or of the status lines of a batch, told apart by their contents.
// Names in them may come from anywhere: nothing in them can become markup, and the page's own policy
// forbids what it does not hold. `source`: the file, for errors. Errors: kUsage if it is neither.
Result<std::string> HtmlPage(const std::string& text, const std::string& source);

}  // namespace roundel::report
