#include "lib/base/text.h"

#include "tests/support/catch.h"

namespace roundel {

TEST_CASE("concatenation prints numbers naturally") {
  CHECK(StrCat("a", 1, 'b', int64_t{-2}, true, 0.5, std::string("c"), size_t{7}) ==
        "a1b-2true0.5c7");
  CHECK(StrCat(1.0 / 3, " ", 1e-20) == "0.333333 1e-20");
  CHECK(StrCat() == "");
  CHECK(StrFormat("%5.2f|%s", 1.005, std::string(300, 'x').c_str()) ==
        " 1.00|" + std::string(300, 'x'));
}

TEST_CASE("joins") {
  CHECK(Join(std::vector<std::string>{}) == "");
  const std::vector<std::string> letters = {"a", "b", "c", "d"};
  CHECK(Join(letters) == "a, b, c, d");
  CHECK(Join(letters, "-", 2) == "a-b-... (2 more)");
  CHECK(Join(letters, "-", 4) == "a-b-c-d");
  CHECK(Join(std::vector<int64_t>{1, -2}) == "1, -2");
}

TEST_CASE("splitting and trimming") {
  CHECK(Split("a,,b", ',') == std::vector<std::string>{"a", "", "b"});
  CHECK(Split("", ',') == std::vector<std::string>{""});
  CHECK(Split(",", ',') == std::vector<std::string>{"", ""});
  CHECK(Trim(" \t a b \r\n") == "a b");
  CHECK(Trim(" \n").empty());
}

TEST_CASE("byte counts for people") {
  CHECK(HumanBytes(0) == "0 B");
  CHECK(HumanBytes(999) == "999 B");
  CHECK(HumanBytes(1000) == "1.0 kB");
  CHECK(HumanBytes(14225308) == "14.2 MB");
  CHECK(HumanBytes(999'949) == "1.0 MB");  // never "1000 kB"
  CHECK(HumanBytes(123'456'789'012) == "123 GB");
}

TEST_CASE("names from files are safe to show") {
  CHECK(Printable("plain/name:0") == "plain/name:0");
  CHECK(Printable(std::string_view("a\0\n\x1b[0m\x7f", 8)) == "a\\x00\\x0a\\x1b[0m\\x7f");
  CHECK(Printable("r\xc3\xa9seau") == "r\xc3\xa9seau");  // UTF-8 stays
  CHECK(Printable(std::string(100, 'x')) == std::string(100, 'x'));
  CHECK(Printable(std::string(101, 'x')) == std::string(100, 'x') + "...");
  CHECK(Printable("ab\xe2\x82\xac", 3) == "ab...");  // never half a character
}

TEST_CASE("characters that mislead readers or terminals are shown by number") {
  CHECK(Printable("a\xc2\x9b\x33\x31m") == "a\\u009b31m");      // C1: the short form of ESC [
  CHECK(Printable("a\xe2\x80\xaelmth.b") == "a\\u202elmth.b");  // text from right to left
  CHECK(Printable("\xe2\x81\xa6x\xe2\x81\xa9") == "\\u2066x\\u2069");  // isolates
  CHECK(Printable("\xd8\x9c\xe2\x80\x8f") == "\\u061c\\u200f");
  CHECK(Printable("a\xe2\x80\xa8"
                  "b\xe2\x80\xa9") == "a\\u2028b\\u2029");  // line separators
  CHECK(Printable("\xef\xbb\xbfx") == "\\ufeffx");
  CHECK(Printable("\xf3\xa0\x81\x81") == "\\U000e0041");                                 // a tag
  CHECK(Printable("\xf0\x9f\x90\x88 \xe4\xb8\xad") == "\xf0\x9f\x90\x88 \xe4\xb8\xad");  // stay
}

TEST_CASE("bytes that are no UTF-8 are shown by number") {
  CHECK(Printable("a\xff\x80z") == "a\\xff\\x80z");
  CHECK(Printable("\xc3") == "\\xc3");           // cut off
  CHECK(Printable("\xc0\xaf") == "\\xc0\\xaf");  // longer than need be
  CHECK(Printable("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");
  CHECK(Printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // half of a surrogate pair
  CHECK(Printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // beyond the last one
}

TEST_CASE("the nearest name") {
  CHECK(NearestName("percentil", {"min_max", "percentile"}) == "percentile");
  CHECK(NearestName("percentile", {"percentile"}) == "percentile");
  CHECK(NearestName("entropy", {"min_max", "percentile"}) == "");
  CHECK(NearestName("abc", {"abd", "ab"}) == "abd");  // the first of equals
  CHECK(NearestName("x", {}) == "");
}

TEST_CASE("sizes are read in decimal and binary units") {
  CHECK(ParseBytes("0") == 0);
  CHECK(ParseBytes("1500000") == 1500000);
  CHECK(ParseBytes("500M") == 500'000'000);
  CHECK(ParseBytes("1.5 GB") == 1'500'000'000);
  CHECK(ParseBytes("2k") == 2000);
  CHECK(ParseBytes("3MiB") == 3 * 1024 * 1024);
  CHECK(ParseBytes("1TiB") == int64_t{1} << 40);
  for (const char* wrong : {"", "M", "-1", "5X", "5 MBB", "5iB", "1e30", "nan", "inf", "5M5"}) {
    INFO(wrong);
    CHECK_FALSE(ParseBytes(wrong).has_value());
  }
}

}  // namespace roundel
