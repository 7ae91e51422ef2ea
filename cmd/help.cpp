#include "cmd/help.h"

#include <CLI/CLI.hpp>

#include <algorithm>

#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

constexpr size_t kColumn = 30;  // where the descriptions start
constexpr size_t kWidth = 100;

// The words of `text` in lines of at most kWidth - kColumn characters.
std::vector<std::string> Wrap(const std::string& text) {
  std::vector<std::string> lines(1);
  for (const std::string& word : Split(text, ' ')) {
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > kWidth - kColumn)
      lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
  }
  return lines;
}

std::string Entry(const std::string& name, const std::string& description) {
  std::string text = "  " + name;
  if (text.size() + 1 > kColumn) text += "\n";
  const size_t start = text.back() == '\n' ? 0 : text.size();
  const std::vector<std::string> lines = Wrap(description);
  text += std::string(kColumn - start, ' ') + lines[0] + "\n";
  for (size_t i = 1; i < lines.size(); ++i) text += std::string(kColumn, ' ') + lines[i] + "\n";
  return text;
}

// "-o, --output OUT.onnx".
std::string FlagText(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  const std::string& value = option.get_option_text();
  return Join(names) + (value.empty() ? "" : " " + value);
}

}  // namespace

std::string CommandHelp(const CLI::App& app) {
  std::string usage = StrCat("Usage: ", app.get_name()), positionals;
  const std::vector<const CLI::Option*> options = app.get_options();
  for (const CLI::Option* option : options) {
    if (!option->nonpositional()) {
      const std::string name = option->get_name(true);
      usage += option->get_required() ? " " + name : " [" + name + "]";
      positionals += Entry(name, option->get_description());
    }
  }
  std::string text = StrCat(app.get_description(), ".\n\n", usage, " [flags]\n");
  if (!positionals.empty()) text += "\n" + positionals;
  for (const std::string& group : app.get_groups()) {
    std::string flags;
    for (const CLI::Option* option : options)
      if (option->nonpositional() && option->get_group() == group)
        flags += Entry(FlagText(*option), option->get_description());
    if (!flags.empty()) text += StrCat("\n", group, ":\n", flags);
  }
  if (!app.get_footer().empty()) text += StrCat("\n", app.get_footer(), "\n");
  return text;
}

}  // namespace roundel::cmd
