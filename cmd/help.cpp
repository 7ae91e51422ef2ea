#include "cmd/help.h"

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

}  // namespace

std::string UsageLine(const CommandFacts& command) {
  std::string usage = StrCat("roundel ", command.name);
  for (const FlagFacts& flag : command.flags)
    if (flag.positional) usage += flag.required ? " " + flag.names[0] : " [" + flag.names[0] + "]";
  return usage + " [flags]";
}

std::string FlagText(const FlagFacts& flag) {
  return Join(flag.names) + (flag.value.empty() ? "" : " " + flag.value);
}

std::string CommandHelp(const CommandFacts& command) {
  std::string positionals;
  for (const FlagFacts& flag : command.flags)
    if (flag.positional) positionals += Entry(flag.names[0], flag.help);
  std::string text = StrCat(command.summary, ".\n\nUsage: ", UsageLine(command), "\n");
  if (!positionals.empty()) text += "\n" + positionals;
  for (const std::string& group : command.groups) {
    std::string flags;
    for (const FlagFacts& flag : command.flags)
      if (!flag.positional && flag.group == group) flags += Entry(FlagText(flag), flag.help);
    if (!flags.empty()) text += StrCat("\n", group, ":\n", flags);
  }
  if (!command.footer.empty()) text += StrCat("\n", command.footer, "\n");
  return text;
}

}  // namespace roundel::cmd
