// Manual pages, checked by man-page formatters.

#include <filesystem>

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "tests/cmd/cli.h"
#include "tests/support/needs.h"
#include "tests/support/process.h"

using namespace roundel;
using namespace roundel::support;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> Pages(const TempFolder& folder) {
  CHECK(Cli({"man", "--into", folder.path()}).code == 0);
  std::vector<std::string> pages;
  for (const std::string& name : FilesIn(folder)) pages.push_back(folder / name);
  return pages;
}

// Names of commands, from the lines "  name  summary" of the help page.
std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const std::string& line : Split(Cli({"--help"}).out, '\n')) {
    if (line.starts_with("First steps")) break;
    if (line.starts_with("  ")) names.push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  return names;
}

bool Has(const std::string& program) { return Shell(StrCat("command -v ", program)).code == 0; }

}  // namespace

TEST_CASE("there is a manual page of every command") {
  const TempFolder folder;
  const std::vector<std::string> pages = Pages(folder), names = CommandNames();
  CHECK(names.size() >= 14);
  CHECK(pages.size() == names.size() + 1);
  const std::string main_page = Contents(folder / "roundel.1");
  for (const std::string& name : names) {
    INFO(name);
    CHECK(Contents(folder / ("roundel-" + name + ".1")) == Cli({"man", name}).out);
    std::string word = name;
    CHECK(main_page.find(".BR roundel\\-" + word + " (1)") != std::string::npos);
  }
  CHECK(main_page == Cli({"man"}).out);
  CHECK(nlohmann::json::parse(Cli({"man", "lint", "--json"}).out)["page"] == "roundel-lint");
}

TEST_CASE("an unknown page is refused with the nearest") {
  CHECK(Cli({"man", "quantise"}).err == "error: no command 'quantise'; did you mean 'quantize'?\n");
  CHECK(Cli({"man", "--into", "/dev/null/x"}).code == 2);
}

TEST_CASE("groff and mandoc have nothing to say against the manual pages") {
  const bool present = Has("groff") && Has("mandoc");
  if (SkippedWithout("shells", present, "groff or mandoc is not installed")) return;
  const TempFolder folder;
  for (const std::string& page : Pages(folder)) {
    INFO(page);
    const ProcessResult groff = Shell(StrCat("groff -ww -man -Tutf8 '", page, "'"));
    CHECK(groff.code == 0);
    CHECK(groff.err.empty());
    const ProcessResult lint = Shell(StrCat("mandoc -T lint -W warning '", page, "'"));
    CHECK(lint.code == 0);
    CHECK(lint.out + lint.err == "");
  }
}

TEST_CASE("a shown manual page holds every word of the help page") {
  if (SkippedWithout("shells", Has("mandoc"), "mandoc is not installed")) return;
  const TempFolder folder;
  Pages(folder);
  for (const std::string& name : CommandNames()) {
    const std::string shown =
        Shell(StrCat("mandoc -T utf8 '", folder / ("roundel-" + name + ".1"), "' | col -bx")).out;
    std::ostringstream help, err;
    cmd::RunMain({name, "--help"}, help, err);
    std::istringstream words(help.str());
    std::string text;  // without spaces: lines break elsewhere
    for (const char c : shown)
      if (!std::isspace(static_cast<unsigned char>(c))) text += c;
    for (std::string word; words >> word;) {
      if (word == "Usage:" || word.ends_with(":")) continue;  // headings
      INFO(name << ": " << word);
      CHECK(text.find(word) != std::string::npos);
    }
  }
}
