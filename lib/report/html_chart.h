#pragma once
// Axes of pictures.

#include <string>
#include <string_view>
#include <vector>

namespace roundel::report::html {

// A linear axis over a round interval: pixels `begin` to `end` for values `from` to `to`.
struct Axis {
  double from = 0, to = 1, begin = 0, end = 1;
  std::vector<double> ticks;

  double At(double value) const { return begin + (value - from) / (to - from) * (end - begin); }
};
// The smallest axis with about `count` round ticks that holds low and high.
Axis RoundAxis(double low, double high, int count, double begin, double end);

// "<text>": `anchor` is start, middle or end; `text` is HTML.
std::string Label(double x, double y, std::string_view anchor, std::string_view text);
// The last `length` characters of a name, which tell more than the first.
std::string Tail(std::string_view name, size_t length);

}  // namespace roundel::report::html
