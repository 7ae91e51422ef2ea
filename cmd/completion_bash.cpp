#include "cmd/completion.h"
#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

// The shell's side: what is on the line, and the ways to complete a word. Bash splits words at '=',
// so that --flag=value comes as three words.
constexpr char kStart[] = R"sh(# shellcheck shell=bash
# bash completion of roundel, written by 'roundel completion bash'.

_roundel_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_roundel_files() {
  local files
  mapfile -t files < <(compgen -f -- "$cur")
  COMPREPLY+=("${files[@]}")
  compopt -o filenames 2>/dev/null
}

_roundel() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
  local command=${COMP_WORDS[1]}
  COMPREPLY=()
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=${COMP_WORDS[COMP_CWORD - 2]}
  fi
)sh";

constexpr char kEnd[] = R"sh(  esac
}

complete -F _roundel roundel
)sh";

std::string Pattern(const std::vector<std::string>& names) { return Join(names, "|"); }

// What completes the value of a flag, or a positional argument.
std::string ValueAction(const FlagFacts& flag) {
  std::vector<std::string> actions;
  if (!flag.words.empty())
    actions.push_back(StrCat("_roundel_words '", Join(flag.words, " "), "'"));
  if (flag.file) actions.emplace_back("_roundel_files");
  // "key=" waits for its value.
  if (!flag.words.empty() && flag.words[0].ends_with("="))
    actions.emplace_back("compopt -o nospace 2>/dev/null");
  return actions.empty() ? "true" : Join(actions, "; ");
}

std::string CommandCase(const CommandFacts& command) {
  std::string values, flags, positional;
  for (const FlagFacts& flag : command.flags) {
    if (flag.positional) {
      // Of several the first that has something to offer.
      const std::string action = ValueAction(flag);
      if (positional.empty() && action != "true") positional = action;
      continue;
    }
    flags += (flags.empty() ? "" : " ") + Join(flag.names, " ");
    if (!flag.value.empty())
      values += StrCat("        ", Pattern(flag.names), ") ", ValueAction(flag), " ;;\n");
  }
  if (positional.empty()) positional = "true";
  return StrCat("    ", command.name, ")\n      case $prev in\n", values,
                "        *)\n          if [[ $cur == -* ]]; then _roundel_words '", flags,
                "'; else ", positional, "; fi ;;\n      esac ;;\n");
}

}  // namespace

std::string BashCompletion(const std::vector<CommandFacts>& commands) {
  std::string names, cases;
  for (const CommandFacts& command : commands) {
    names += command.name + " ";
    cases += CommandCase(command);
  }
  return StrCat(kStart, "  if ((COMP_CWORD == 1)); then\n    _roundel_words '", names,
                "--help --version'\n    return\n  fi\n  case $command in\n", cases, kEnd);
}

}  // namespace roundel::cmd
