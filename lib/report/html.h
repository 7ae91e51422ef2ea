#pragma once
// A report as one HTML page that needs nothing else: no other file, no network, and no script except
// for sorting tables. Pictures are SVG. The page depends only on the text that it is made from.

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel::report {

// The page of a report (ReportJson) or of the status lines of a batch (schemas/status-1.json), told
// apart by their contents. Names in them may come from anywhere: nothing in them can become markup,
// and the page's own policy forbids what it does not hold. `source`: the file, for errors. `folder`:
// that of the batch, as links from the page reach it; "" or with a slash at the end. Errors: kUsage
// if the text is neither.
Result<std::string> HtmlPage(const std::string& text, const std::string& source,
                             const std::string& folder = "");

// The reports that the status lines of a batch name, as paths from its folder; empty for other texts.
std::vector<std::string> ReportsOf(const std::string& text);
// Where the page of a job belongs, to which the page of the batch links: beside its report. "" if the
// path leaves the folder of the batch, or is no report's.
std::string PageOfReport(const std::string& report);

}  // namespace roundel::report
