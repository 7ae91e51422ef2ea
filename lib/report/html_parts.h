#pragma once
// What the sections of a page are made with: text that is safe in HTML, numbers as a reader wants
// them, and access to JSON of any content.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace roundel::report::html {

using Json = nlohmann::ordered_json;

// ---- JSON: what is absent or of another type is null, "" or nullopt, never an error

const Json& At(const Json& object, std::string_view key);
std::optional<double> Number(const Json& value);
int64_t Whole(const Json& value);       // 0 if it is no number
std::string Text(const Json& value);    // of text, numbers and flags
const Json& Items(const Json& value);   // an array; an empty one for anything else
const Json& Fields(const Json& value);  // likewise an object

// ---- text

// For element contents and attributes in double quotes. Control characters and those that mislead
// readers come as numbers.
std::string Escape(std::string_view text, size_t limit = 300);
// Several lines, each escaped.
std::string EscapeLines(std::string_view text);

// "12.3", "0.0041": `digits` significant ones, without exponents from 1e-4 to 1e6.
std::string Significant(double value, int digits = 3);
std::string Decibels(double value);  // "31.2"; "exact" if there is no error
std::string Seconds(double value);   // "0.48 s", "3 min 20 s"
std::string Percent(double share);   // 0.00042 -> "0.042 %"

// ---- parts of a page

// "<section>" with a heading and a note under it, which is HTML; "" without contents.
std::string Section(std::string_view id, std::string_view title, std::string_view note,
                    std::string_view contents);
// A line to unfold, and what is folded. `summary` is HTML.
std::string Folded(std::string_view summary, std::string_view contents);

// A figure with its name; `value` and `under` are HTML.
std::string Tile(std::string_view label, std::string_view value, std::string_view under);

struct Column {
  std::string title;
  bool number = false;  // aligned right
};
// A table in a box of its own, which scrolls. Cells are HTML. `sortable`: by a click on a title.
std::string Table(const std::vector<Column>& columns, const std::vector<std::string>& rows,
                  bool sortable);
// One row of it; empty cells show a dash.
std::string Row(const std::vector<std::string>& cells);
// A cell that is sorted by `key` rather than by what it shows. Only as a whole cell of Row.
std::string Keyed(double key, std::string_view shown);

// ---- the page around them

struct Link {
  std::string id, title;
};
std::string Document(const std::string& title, const std::string& header,
                     const std::vector<Link>& links, const std::string& contents);

// ---- assets (html_assets.cpp)

std::string_view StyleSheet();
std::string_view Script();

}  // namespace roundel::report::html
