#include <algorithm>

#include "cmd/completion.h"
#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

// Text within single quotes of the shell.
std::string Quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Text in a specification of _arguments, where colons and brackets have a meaning.
std::string Escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (std::string_view("[]:\\").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

// ":MODEL:_files", with a name for what is asked for and how it is found.
std::string Argument(const std::string& name, const FlagFacts& flag) {
  const std::string label = Escaped(name);
  if (flag.words.empty()) return StrCat(":", label, ":", flag.file ? "_files" : " ");
  const bool keys = flag.words[0].ends_with("=");
  const std::string words = Join(flag.words, " ");
  if (keys) return StrCat(":", label, ":{compadd -S \"\" -- ", words, "}");
  if (flag.file) return StrCat(":", label, ":{compadd -- ", words, "; _files}");
  return StrCat(":", label, ":(", words, ")");
}

// "'(-o --output)'{-o,--output}'[Quantized model to write]:OUT.onnx:_files'"
std::string Specification(const FlagFacts& flag) {
  const std::string value = flag.value.empty() ? "" : Argument(flag.value, flag);
  const std::string tail = Quoted(StrCat("[", Escaped(flag.help), "]", value));
  const bool repeats = flag.help.find("repeat") != std::string::npos;
  const std::string head = repeats ? "'*'" : Quoted(StrCat("(", Join(flag.names, " "), ")"));
  if (flag.names.size() == 1) return head + flag.names[0] + tail;
  return StrCat(head, "{", Join(flag.names, ","), "}", tail);
}

std::string CommandCase(const CommandFacts& command) {
  std::string text = StrCat("        ", command.name, ")\n          _arguments -s");
  int position = 0;
  for (const FlagFacts& flag : command.flags)
    text += StrCat(" \\\n            ",
                   flag.positional ? Quoted(StrCat(++position, Argument(flag.names[0], flag)))
                                   : Specification(flag));
  return text + "\n          ;;\n";
}

}  // namespace

std::string ZshCompletion(const std::vector<CommandFacts>& commands) {
  std::string names, cases;
  for (const CommandFacts& command : commands) {
    names += StrCat("        ", Quoted(StrCat(command.name, ":", command.summary)), "\n");
    cases += CommandCase(command);
  }
  return StrCat(
      "#compdef roundel\n# Written by 'roundel completion zsh'.\n\n_roundel() {\n"
      "  local curcontext=$curcontext state line\n  typeset -A opt_args\n"
      "  _arguments -C '(- *)--help[Print the commands]' '(- *)--version[Print the version]' \\\n"
      "    '1:command:->command' '*::argument:->argument' && return\n"
      "  case $state in\n    command)\n      local -a commands=(\n",
      names, "      )\n      _describe command commands\n      ;;\n",
      "    argument)\n      case $words[1] in\n", cases,
      "      esac\n      ;;\n  esac\n}\n\n"
      "if [[ $funcstack[1] == _roundel ]]; then _roundel \"$@\"; else compdef _roundel roundel; "
      "fi\n");
}

}  // namespace roundel::cmd
