#include "lib/report/html_chart.h"

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"

namespace roundel::report::html {

Axis RoundAxis(double low, double high, int count, double begin, double end) {
  if (!(high > low)) high = low + std::max(1.0, std::fabs(low));
  const double rough = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = power;
  for (const double factor : {1.0, 2.0, 5.0, 10.0})
    if (step < rough) step = factor * power;
  Axis axis{.from = std::floor(low / step) * step,
            .to = std::ceil(high / step) * step,
            .begin = begin,
            .end = end,
            .ticks = {}};
  const auto steps = static_cast<int>(std::round((axis.to - axis.from) / step));
  for (int i = 0; i <= steps; ++i) axis.ticks.push_back(axis.from + i * step);
  return axis;
}

std::string Label(double x, double y, std::string_view anchor, std::string_view text) {
  return StrFormat("<text x=\"%.1f\" y=\"%.1f\"", x, y) +
         (anchor == "start" ? "" : StrCat(" text-anchor=\"", anchor, "\"")) +
         StrCat(">", text, "</text>");
}

std::string Tail(std::string_view name, size_t length) {
  size_t characters = 0, at = name.size();
  while (at > 0 && characters < length) {
    --at;
    characters += (static_cast<unsigned char>(name[at]) & 0xc0u) != 0x80u;
  }
  return at == 0 ? std::string(name) : StrCat("…", name.substr(at));
}

}  // namespace roundel::report::html
