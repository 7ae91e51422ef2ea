// The error along the network: a point for each value, a line through the outputs of blocks.

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/base/text.h"
#include "lib/report/html_chart.h"
#include "lib/report/html_sections.h"

namespace roundel::report::html {
namespace {

constexpr double kWidth = 1000, kHeight = 300, kLeft = 40, kRight = 990, kTop = 14, kBottom = 272;
constexpr double kMost = 120;  // dB; exact values are drawn there or at the highest tick

struct Point {
  const Json* value;
  double sqnr;  // infinite if exact
  bool joins;
};

std::vector<Point> PointsOf(const Json& network) {
  constexpr size_t kMostPoints = 2000;
  std::vector<Point> points;
  for (const Json& value : Items(At(network, "values")))
    if (points.size() < kMostPoints)
      points.push_back({&value, Number(At(value, "sqnr_db")).value_or(HUGE_VAL),
                        Text(At(value, "joins")) == "yes"});
  return points;
}

Axis SqnrAxis(const std::vector<Point>& points) {
  double low = kMost, high = -kMost;
  for (const Point& point : points) {
    if (std::isinf(point.sqnr)) continue;
    low = std::min(low, std::clamp(point.sqnr, -kMost, kMost));
    high = std::max(high, std::clamp(point.sqnr, -kMost, kMost));
  }
  if (low > high) low = 0, high = kMost;
  return RoundAxis(std::min(low, high - 10), high, 6, kBottom, kTop);
}

std::string Grid(const Axis& axis) {
  std::string out;
  for (const double tick : axis.ticks) {
    const double y = axis.At(tick);
    out += StrFormat("<path class=\"grid\" d=\"M%.0f %.1fH%.0f\"/>", kLeft, y, kRight);
    out += Label(kLeft - 6, y + 4, "end", StrFormat("%g", tick));
  }
  return out + Label(kLeft - 34, kBottom + 22, "start", "dB") +
         Label(kLeft, kBottom + 22, "start", "input") +
         Label(kRight, kBottom + 22, "end", "output");
}

}  // namespace

std::string Network(const Json& report) {
  const Json& network = At(report, "network");
  const std::vector<Point> points = PointsOf(network);
  if (points.size() < 2) return "";
  const Axis axis = SqnrAxis(points);
  const auto joins = std::count_if(points.begin(), points.end(), [](auto& p) { return p.joins; });
  constexpr int kFewJoins = 3;
  std::string line, dots;
  for (size_t i = 0; i < points.size(); ++i) {
    const Point& point = points[i];
    const double x =
        kLeft + 8 +
        (kRight - kLeft - 16) * static_cast<double>(i) / static_cast<double>(points.size() - 1);
    const double y = axis.At(std::clamp(point.sqnr, axis.from, axis.to));
    const bool last = i + 1 == points.size();
    if (joins < kFewJoins || point.joins || last)
      line += StrFormat("%s%.1f %.1f", line.empty() ? "M" : "L", x, y);
    dots += StrFormat("<circle class=\"dot%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"><title>",
                      point.joins ? " b" : "", x, y, point.joins ? "4" : "2.5") +
            StrCat(Escape(Text(At(*point.value, "value")), 120), " (",
                   Escape(Text(At(*point.value, "op_type")), 40), "): ", Decibels(point.sqnr),
                   std::isinf(point.sqnr) ? "" : " dB", "</title></circle>\n");
  }
  const std::string svg =
      StrFormat(
          "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"SQNR in dB of %zu values "
          "from input to output\">",
          kWidth, kHeight, points.size()) +
      Grid(axis) + "<path class=\"line\" d=\"" + line + "\"/>\n" + dots + "</svg>";
  return Section(
      "network", "Accuracy along the network",
      StrCat("SQNR of each value against the float model, with all errors before it, on ",
             Whole(At(network, "samples")),
             " samples. Rings are values where branches meet. Higher is better; the float model is "
             "the one that the passes before calibration made."),
      "<div class=\"chart wide box\" tabindex=\"0\">" + svg + "</div>\n");
}

}  // namespace roundel::report::html
