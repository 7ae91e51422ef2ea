#include "lib/base/text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdarg>
#include <cstdio>
#include <iterator>
#include <numeric>
#include <utility>

namespace roundel {

namespace text_internal {
void Append(std::string& out, std::string_view s) { out.append(s); }
void Append(std::string& out, double v) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.6g", v);
  out += buffer;
}
}  // namespace text_internal

std::string StrFormat(const char* format, ...) {
  va_list args;
  va_start(args, format);
  va_list copy;
  va_copy(copy, args);
  const int length = std::vsnprintf(nullptr, 0, format, copy);
  va_end(copy);
  std::string out(static_cast<size_t>(std::max(length, 0)), '\0');
  std::vsnprintf(out.data(), out.size() + 1, format, args);
  va_end(args);
  return out;
}

std::string Join(const std::vector<std::string>& items, std::string_view separator, size_t limit) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i) out += separator;
    if (i == limit) return out + StrCat("... (", items.size() - limit, " more)");
    out += items[i];
  }
  return out;
}

std::string Join(const std::vector<int64_t>& items, std::string_view separator) {
  std::vector<std::string> words;
  for (int64_t item : items) words.push_back(std::to_string(item));
  return Join(words, separator);
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(separator, begin)) != std::string_view::npos; begin = end + 1)
    parts.emplace_back(text.substr(begin, end - begin));
  parts.emplace_back(text.substr(begin));
  return parts;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

namespace {

// The length of the UTF-8 character at the start of `text`, and its code point; 0 if it is not
// valid (RFC 3629: shortest form, no surrogates, at most U+10FFFF).
size_t DecodeUtf8(std::string_view text, uint32_t* code) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) {
    *code = first;
    return 1;
  }
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  *code = first & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) return 0;
    *code = *code << 6 | (next & 0x3fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = *code >= 0xd800 && *code <= 0xdfff;
  return *code < kLeast[length] || surrogate || *code > 0x10ffff ? 0 : length;
}

// Characters beyond ASCII that end a line, change the text direction, or are invisible.
bool MisleadsReaders(uint32_t code) {
  constexpr std::pair<uint32_t, uint32_t> kRanges[] = {
      {0x80, 0x9f},  // C1 controls: some terminals execute them
      {0x61c, 0x61c},     {0x200b, 0x200f}, {0x2028, 0x202e},
      {0x2060, 0x206f},   {0xfeff, 0xfeff}, {0xfff9, 0xfffb},  // annotations
      {0xe0000, 0xe007f},                                      // tags
  };
  return std::any_of(std::begin(kRanges), std::end(kRanges), [&](const auto& range) {
    return code >= range.first && code <= range.second;
  });
}

}  // namespace

std::string Printable(std::string_view text, size_t limit) {
  std::string out;
  size_t length = std::min(text.size(), limit);
  if (length < text.size())  // not in the middle of a UTF-8 sequence
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;
  for (size_t i = 0; i < length;) {
    uint32_t code = 0;
    const size_t bytes = DecodeUtf8(text.substr(i, length - i), &code);
    const auto byte = static_cast<unsigned char>(text[i]);
    if (bytes == 0 || byte < 0x20 || byte == 0x7f)
      out += StrFormat("\\x%02x", static_cast<unsigned>(byte));
    else if (MisleadsReaders(code))
      out += StrFormat(code > 0xffff ? "\\U%08x" : "\\u%04x", static_cast<unsigned>(code));
    else
      out += text.substr(i, bytes);
    i += std::max<size_t>(bytes, 1);
  }
  if (length < text.size()) out += "...";
  return out;
}

std::string HumanBytes(int64_t bytes) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 999.5 && unit < 4; ++unit) value /= 1000;
  return unit == 0 ? StrFormat("%lld B", static_cast<long long>(bytes))
                   : StrFormat("%.*f %s", value < 99.95 ? 1 : 0, value, units[unit]);
}

std::optional<int64_t> ParseBytes(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !(value >= 0)) return std::nullopt;
  std::string unit(
      Trim(std::string_view(end, static_cast<size_t>(text.data() + text.size() - end))));
  const bool binary = unit.ends_with("iB");
  if (binary) unit.resize(unit.size() - 2);
  if (unit.ends_with('B')) unit.pop_back();
  static constexpr std::string_view kUnits = "KMGT";
  if (unit.size() > 1 || (binary && unit.empty())) return std::nullopt;
  if (!unit.empty()) {
    const size_t power =
        kUnits.find(static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0]))));
    if (power == std::string_view::npos) return std::nullopt;
    for (size_t i = 0; i <= power; ++i) value *= binary ? 1024 : 1000;
  }
  if (!(value < 0x1p62)) return std::nullopt;
  return static_cast<int64_t>(value);
}

namespace {
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({substitute, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}
}  // namespace

std::string NearestName(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = word.size() / 3 + 2;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace roundel
