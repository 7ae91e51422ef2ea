#pragma once
// Small text helpers: concatenation, printf-style formatting, joins, nearest name.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace roundel {

namespace text_internal {
void Append(std::string& out, std::string_view s);
void Append(std::string& out, double v);  // shortest of %.6g
template <typename T>
requires std::is_integral_v<T>
void Append(std::string& out, T v) {
  if constexpr (std::is_same_v<T, char>) {
    out.push_back(v);
  } else if constexpr (std::is_same_v<T, bool>) {
    out += v ? "true" : "false";
  } else {
    out += std::to_string(v);
  }
}
}  // namespace text_internal

// StrCat("node ", 3, ": ", 0.5): numbers in their natural decimal form.
template <typename... Args>
std::string StrCat(const Args&... args) {
  std::string out;
  (text_internal::Append(out, args), ...);
  return out;
}

std::string StrFormat(const char* format, ...) __attribute__((format(printf, 1, 2)));

// "a, b, c"; at most `limit` items, then "... (N more)".
std::string Join(const std::vector<std::string>& items, std::string_view separator = ", ",
                 size_t limit = SIZE_MAX);
std::string Join(const std::vector<int64_t>& items, std::string_view separator = ", ");
std::vector<std::string> Split(std::string_view text, char separator);
std::string_view Trim(std::string_view text);
// A name from a file, safe to print in one line: control and misleading characters as numbers.
std::string Printable(std::string_view text, size_t limit = 100);
// 14225308 -> "14.2 MB" (decimal units).
std::string HumanBytes(int64_t bytes);
// "1500000", "500M", "1.5 GB": decimal units, or binary ones from KiB to TiB. nullopt for other
// texts and beyond 2^62.
std::optional<int64_t> ParseBytes(std::string_view text);

// The candidate with the least edit distance to `word` if that is at most 1/3 of its length + 1,
// else "". For "unknown key 'percentil', did you mean 'percentile'?".
std::string NearestName(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace roundel
