#pragma once
// The sections of a report's page, in the order in which they stand there. Each returns HTML, or ""
// if the report holds nothing for it.

#include <string>
#include <vector>

#include "lib/report/html_parts.h"

namespace roundel::report::html {

// Sizes, accuracy, time and memory at a glance, gates and warnings.
std::string Summary(const Json& report);
// The error of values from input to output.
std::string Network(const Json& report);
// Histograms of the inputs of the worst layers, with the chosen range.
std::string WorstLayers(const Json& report);
// Every layer: grid, size, errors, time.
std::string Layers(const Json& report);
// Weight ranges before and after equalization.
std::string ChannelPicture(const Json& report);
// What the passes did, in order.
std::string Passes(const Json& report);
// The nodes that stay float, by reason.
std::string FloatNodes(const Json& report);
// All that is needed to get the same bytes again.
std::string Repeat(const Json& report);

// The page of a batch, from its status lines. `folder`: that of the batch, as the page reaches it; ""
// or with a slash at the end.
std::string BatchPage(const std::vector<Json>& lines, const std::string& folder);

}  // namespace roundel::report::html
