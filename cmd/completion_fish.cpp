#include "cmd/completion.h"
#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

// Within single quotes fish knows two escapes.
std::string Quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

// Values: words and files, words alone, or anything.
std::string Values(const FlagFacts& flag) {
  std::string text = flag.file ? " -F" : " -f";
  if (!flag.words.empty()) text += " -a " + Quoted(Join(flag.words, " "));
  return text;
}

std::string Line(const std::string& condition, const std::string& rest) {
  return StrCat("complete -c roundel -n ", Quoted(condition), rest, "\n");
}

std::string CommandLines(const CommandFacts& command) {
  const std::string condition = "__fish_seen_subcommand_from " + command.name;
  std::string text;
  for (const FlagFacts& flag : command.flags) {
    if (flag.positional) {
      text += Line(condition, Values(flag) + " -d " + Quoted(flag.names[0]));
      continue;
    }
    std::string rest;
    for (const std::string& name : flag.names)
      rest += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    if (!flag.value.empty()) rest += " -r" + Values(flag);
    text += Line(condition, rest + " -d " + Quoted(flag.help));
  }
  return text;
}

}  // namespace

std::string FishCompletion(const std::vector<CommandFacts>& commands) {
  std::string text =
      "# Written by 'roundel completion fish'.\n\ncomplete -c roundel -f\n"
      "complete -c roundel -n __fish_use_subcommand -l help -d 'Print the commands'\n"
      "complete -c roundel -n __fish_use_subcommand -l version -d 'Print the version'\n";
  for (const CommandFacts& command : commands)
    text += Line("__fish_use_subcommand",
                 StrCat(" -a ", command.name, " -d ", Quoted(command.summary)));
  for (const CommandFacts& command : commands) text += "\n" + CommandLines(command);
  return text;
}

}  // namespace roundel::cmd
