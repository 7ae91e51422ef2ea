// The ranges of weights per channel, before and after the channels were scaled.

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/base/text.h"
#include "lib/report/html_chart.h"
#include "lib/report/html_sections.h"

namespace roundel::report::html {
namespace {

constexpr double kLeft = 330, kRight = 985, kTop = 26, kRow = 20;

struct Boxes {
  std::string node;
  int64_t channels = 0;
  std::vector<double> before, after;  // logarithms of least, quartiles, largest

  double Spread() const { return before.back() - before.front(); }
};

std::vector<double> Logarithms(const Json& numbers) {
  std::vector<double> logs;
  for (const Json& number : Items(numbers))
    if (const auto value = Number(number); value && *value > 0) logs.push_back(std::log10(*value));
  return logs;
}

std::vector<Boxes> BoxesOf(const Json& report) {
  std::vector<Boxes> boxes;
  for (const Json& pass : Items(At(report, "passes")))
    for (const Json& ranges : Items(At(pass, "channel_ranges"))) {
      Boxes box = {Text(At(ranges, "node")), Whole(At(ranges, "channels")),
                   Logarithms(At(ranges, "before")), Logarithms(At(ranges, "after"))};
      if (box.before.size() == 5 && box.after.size() == 5) boxes.push_back(std::move(box));
    }
  return boxes;
}

// A line from the least to the largest, and a box between the quartiles.
std::string Draw(const std::vector<double>& numbers, const char* kind, double y, const Axis& axis) {
  const double left = axis.At(numbers[1]), right = axis.At(numbers[3]);
  return StrFormat(
      "<path class=\"%s\" d=\"M%.1f %.1fH%.1f\"/><rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" "
      "width=\"%.1f\" height=\"5\" rx=\"1\"/>",
      kind, axis.At(numbers[0]), y, axis.At(numbers[4]), kind, left, y - 2.5,
      std::max(right - left, 1.0));
}

}  // namespace

std::string ChannelPicture(const Json& report) {
  constexpr size_t kMost = 60;
  std::vector<Boxes> boxes = BoxesOf(report);
  if (boxes.empty()) return "";
  const size_t all = boxes.size();
  if (all > kMost) {
    std::stable_sort(boxes.begin(), boxes.end(),
                     [](const Boxes& a, const Boxes& b) { return a.Spread() > b.Spread(); });
    boxes.resize(kMost);
  }
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (const Boxes& box : boxes)
    for (const auto* numbers : {&box.before, &box.after}) {
      low = std::min(low, numbers->front());
      high = std::max(high, numbers->back());
    }
  const Axis axis =
      RoundAxis(low, high, static_cast<int>(std::ceil(high - low)) + 1, kLeft, kRight);
  const double height = kTop + kRow * static_cast<double>(boxes.size()) + 8;
  std::string out = StrFormat(
      "<svg viewBox=\"0 0 1000 %.0f\" role=\"img\" aria-label=\"Weight ranges "
      "per channel before and after\">",
      height);
  for (const double tick : axis.ticks) {
    const double x = axis.At(tick);
    out += StrFormat("<path class=\"grid\" d=\"M%.1f %.0fV%.0f\"/>", x, kTop - 6, height);
    out += Label(x, 12, "middle", Significant(std::pow(10.0, tick), 1));
  }
  for (size_t i = 0; i < boxes.size(); ++i) {
    const Boxes& box = boxes[i];
    const double y = kTop + kRow * (static_cast<double>(i) + 0.5);
    out += "<g><title>" + Escape(box.node, 160) + StrCat(", ", box.channels, " channels</title>") +
           Label(0, y + 4, "start", Escape(Tail(box.node, 52))) +
           Draw(box.before, "was", y - 4.5, axis) + Draw(box.after, "now", y + 4.5, axis) +
           "</g>\n";
  }
  return Section(
      "channels", "Weight ranges per channel",
      StrCat("The largest magnitude of each output channel: quartiles as a box, least and largest "
             "as a line. <span class=\"key s\"></span>before and <span class=\"key\"></span>after "
             "channels were equalized. The narrower, the better one scale fits all.",
             all > kMost ? StrCat(" The ", kMost, " widest of ", all, " layers.") : ""),
      "<div class=\"chart wide box\" tabindex=\"0\">" + out + "</svg></div>\n");
}

}  // namespace roundel::report::html
