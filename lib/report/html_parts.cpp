#include "lib/report/html_parts.h"

#include <algorithm>
#include <cmath>

#include "lib/base/sha256.h"
#include "lib/base/text.h"

namespace roundel::report::html {

const Json& At(const Json& object, std::string_view key) {
  static const Json null;
  if (!object.is_object()) return null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

std::optional<double> Number(const Json& value) {
  if (!value.is_number()) return std::nullopt;
  const auto number = value.get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

int64_t Whole(const Json& value) {
  constexpr double kLargest = 9e18;
  const double number = Number(value).value_or(0);
  return std::fabs(number) < kLargest ? static_cast<int64_t>(number) : 0;
}

std::string Text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number_integer()) return StrCat(Whole(value));
  const std::optional<double> number = Number(value);
  return number ? Significant(*number, 4) : "";
}

const Json& Items(const Json& value) {
  static const Json none = Json::array();
  return value.is_array() ? value : none;
}

const Json& Fields(const Json& value) {
  static const Json none = Json::object();
  return value.is_object() ? value : none;
}

std::string Escape(std::string_view text, size_t limit) {
  std::string out;
  for (const char c : Printable(text, limit)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string EscapeLines(std::string_view text) {
  constexpr size_t kLongestLine = 1000;
  std::string out;
  for (const std::string& line : Split(text, '\n')) out += Escape(line, kLongestLine) + "\n";
  while (out.ends_with("\n\n")) out.pop_back();
  return out;
}

std::string Significant(double value, int digits) {
  const double magnitude = std::fabs(value);
  if (value == 0 || !std::isfinite(value)) return value == 0 ? "0" : std::isnan(value) ? "" : "inf";
  if (magnitude < 1e-4 || magnitude >= 1e6) return StrFormat("%.*e", digits - 1, value);
  const int before = static_cast<int>(std::floor(std::log10(magnitude))) + 1;
  return StrFormat("%.*f", std::max(digits - before, 0), value);
}

std::string Decibels(double value) {
  if (std::isinf(value)) return value > 0 ? "exact" : "-inf";
  return StrFormat("%.1f", value);
}

std::string Seconds(double value) {
  if (value < 10) return StrFormat("%.2f s", value);
  if (value < 120) return StrFormat("%.1f s", value);
  const auto whole = static_cast<int64_t>(std::min(value, 1e12));
  return whole < 7200 ? StrCat(whole / 60, " min ", whole % 60, " s")
                      : StrCat(whole / 3600, " h ", whole / 60 % 60, " min");
}

std::string Percent(double share) { return Significant(100 * share, 2) + " %"; }

std::string Section(std::string_view id, std::string_view title, std::string_view note,
                    std::string_view contents) {
  if (contents.empty()) return "";
  std::string out = StrCat("<section id=\"", id, "\">\n<h2>", title, "</h2>\n");
  if (!note.empty()) out += StrCat("<p class=\"note\">", note, "</p>\n");
  return StrCat(out, contents, "</section>\n");
}

std::string Folded(std::string_view summary, std::string_view contents) {
  return StrCat("<details><summary>", summary, "</summary>\n", contents, "</details>\n");
}

std::string Tile(std::string_view label, std::string_view value, std::string_view under) {
  return StrCat("<dl class=\"tile\"><dt>", label, "</dt><dd class=\"value\">", value,
                "</dd><dd class=\"under\">", under, "</dd></dl>\n");
}

std::string Table(const std::vector<Column>& columns, const std::vector<std::string>& rows,
                  bool sortable) {
  // One class for each kind of column, on the table rather than on every cell.
  std::string classes = sortable ? "sort" : "";
  std::string head;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].number) classes += StrCat(" n", i + 1);
    head += StrCat("<th scope=\"col\">", columns[i].title);
  }
  std::string out = StrCat("<div class=\"box\" tabindex=\"0\"><table class=\"", Trim(classes),
                           "\"><thead><tr>", head, "<tbody>\n");
  for (const std::string& row : rows) out += row;
  return out + "</table></div>\n";
}

std::string Row(const std::vector<std::string>& cells) {
  std::string out = "<tr>";
  for (const std::string& cell : cells) {
    if (cell.starts_with("<td"))
      out += cell;
    else
      out += "<td>" + (cell.empty() ? "–" : cell);
  }
  return out + "\n";
}

std::string Keyed(double key, std::string_view shown) {
  return StrFormat("<td data-key=\"%.9g\">", key) + std::string(shown);
}

namespace {

std::string HashOf(std::string_view text) {
  const auto digest = Sha256(text);
  return "'sha256-" + Base64({reinterpret_cast<const char*>(digest.data()), digest.size()}) + "'";
}

}  // namespace

std::string Document(const std::string& title, const std::string& header,
                     const std::vector<Link>& links, const std::string& contents) {
  const std::string policy =
      StrCat("default-src 'none'; style-src ", HashOf(StyleSheet()), "; script-src ",
             HashOf(Script()), "; base-uri 'none'; form-action 'none'");
  std::string navigation;
  for (const Link& link : links)
    if (contents.find(StrCat("<section id=\"", link.id, "\"")) != std::string::npos)
      navigation += StrCat("<a href=\"#", link.id, "\">", link.title, "</a>\n");
  if (!navigation.empty()) navigation = "<nav>\n" + navigation + "</nav>\n";
  return StrCat("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
                "<meta http-equiv=\"Content-Security-Policy\" content=\"", policy, "\">\n",
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
                "<meta name=\"color-scheme\" content=\"light dark\">\n<title>", title,
                "</title>\n<style>", StyleSheet(), "</style>\n</head>\n<body>\n<header>\n", header,
                navigation, "</header>\n<main>\n", contents, "</main>\n<script>", Script(),
                "</script>\n</body>\n</html>\n");
}

}  // namespace roundel::report::html
