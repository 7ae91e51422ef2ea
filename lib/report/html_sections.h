#pragma once
// The sections of a report's page, in the order in which they stand there. Each returns HTML, or ""
// if the report holds nothing for it.

#include <string>

#include "lib/report/html_parts.h"

namespace roundel::report::html {

// Sizes, accuracy, time and memory at a glance, gates and warnings.
std::string Summary(const Json& report);
// What the passes did, in order.
std::string Passes(const Json& report);
// The nodes that stay float, by reason.
std::string FloatNodes(const Json& report);
// All that is needed to get the same bytes again.
std::string Repeat(const Json& report);

// The page of a batch, from its status lines.
std::string BatchPage(const std::vector<Json>& lines);

}  // namespace roundel::report::html
