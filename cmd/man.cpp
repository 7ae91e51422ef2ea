#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>

#include "cmd/catalog.h"
#include "cmd/command.h"
#include "cmd/help.h"
#include "cmd/version.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

// Text as roff: hyphens that are typed, backslashes, and no line that would be a request.
std::string Roff(const std::string& text) {
  std::string out;
  bool line_start = true;
  for (char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    line_start = c == '\n';
    if (c == '-')
      out += "\\-";
    else if (c == '\\')
      out += "\\e";
    else if (c == '~')
      out += "\\(ti";
    else if (c == '^')
      out += "\\(ha";
    else
      out += c;
  }
  return out;
}

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string Title(const std::string& page) {
  return StrCat(".TH ", Upper(Roff(page)), " 1 \"", CommitDay(), "\" \"roundel " ROUNDEL_VERSION,
                "\" \"User Commands\"\n");
}

std::string Section(const std::string& name) { return StrCat(".SH ", name, "\n"); }

std::string Entry(const std::string& head, const std::string& text) {
  return StrCat(".TP\n.B ", Roff(head), "\n", Roff(text), "\n");
}

// Lines that are shown as they are.
std::string Literal(const std::string& text) { return StrCat(".EX\n", Roff(text), "\n.EE\n"); }

constexpr char kExitStatus[] =
    R"(.TP
.B 0
Done.
.TP
.B 1
Internal error, or a failing machine: disk full, out of memory.
.TP
.B 2
The command line or the recipe is wrong.
.TP
.B 3
The model is invalid or not supported.
.TP
.B 4
The data is invalid.
.TP
.B 5
Done, but a quality gate failed.
.TP
.B 130
Interrupted.
)";

std::string CommandPage(const CommandFacts& command) {
  const std::string page = "roundel-" + command.name;
  std::string summary = command.summary;
  summary[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(summary[0])));
  std::string text = StrCat(Title(page), Section("NAME"), Roff(page), " \\- ", Roff(summary), "\n",
                            Section("SYNOPSIS"), ".B ", Roff(UsageLine(command)), "\n",
                            Section("DESCRIPTION"), Roff(command.summary), ".\n");
  for (const FlagFacts& flag : command.flags)
    if (flag.positional) text += Entry(flag.names[0], flag.help + ".");
  for (const std::string& group : command.groups) {
    std::string flags;
    for (const FlagFacts& flag : command.flags)
      if (!flag.positional && flag.group == group) flags += Entry(FlagText(flag), flag.help + ".");
    if (!flags.empty())
      text += Section(Upper(group == "Options" ? group : group + " options")) + flags;
  }
  if (!command.footer.empty()) text += Section("NOTES") + Literal(command.footer);
  return StrCat(text, Section("EXIT STATUS"), kExitStatus, Section("SEE ALSO"),
                ".BR roundel (1)\n");
}

std::string MainPage(const std::vector<CommandFacts>& commands) {
  std::string text =
      StrCat(Title("roundel"), Section("NAME"), "roundel \\- quantize ONNX models after training\n",
             Section("SYNOPSIS"), ".B roundel\n.I COMMAND\n[flags]\n", Section("DESCRIPTION"),
             "roundel loads an ONNX model, runs a recipe of passes over calibration data, and "
             "writes a quantized ONNX model and an encodings file.\n",
             Section("COMMANDS"));
  std::string pages;
  for (const CommandFacts& command : commands) {
    text += Entry(command.name, command.summary + ".");
    pages += StrCat(pages.empty() ? "" : ",\n", ".BR ", Roff("roundel-" + command.name), " (1)");
  }
  // In a macro's line the comma belongs to the line before.
  for (size_t at; (at = pages.find(" (1),\n")) != std::string::npos;)
    pages.replace(at, 6, " (1) ,\n");
  return StrCat(text, Section("OPTIONS"), Entry("--help", "Print the commands."),
                Entry("--version",
                      "Print version and commit; with --json also compiler, libraries and the "
                      "features of the processor."),
                Section("EXAMPLES"),
                Literal("roundel inspect model.onnx\n"
                        "roundel quantize model.onnx --calib images/ --preset imagenet "
                        "-o model_int8.onnx\n"
                        "roundel eval model.onnx model_int8.onnx --data images/ "
                        "--preset imagenet"),
                Section("EXIT STATUS"), kExitStatus, Section("SEE ALSO"), pages, "\n");
}

std::vector<std::pair<std::string, std::string>> AllPages() {
  const std::vector<CommandFacts> commands = AllCommandFacts();
  std::vector<std::pair<std::string, std::string>> pages = {{"roundel", MainPage(commands)}};
  for (const CommandFacts& command : commands)
    pages.emplace_back("roundel-" + command.name, CommandPage(command));
  return pages;
}

Status WritePages(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return UsageError(StrCat("--into: '", folder, "': ", error.message()));
  for (const auto& [name, text] : AllPages())
    RETURN_IF_ERROR(WriteFileAtomically(StrCat(folder, "/", name, ".1"), text));
  return OkStatus();
}

Status PrintPage(const std::string& command, Console& console) {
  const std::string name = command.empty() ? "roundel" : "roundel-" + command;
  std::vector<std::string> names;
  for (const auto& [page, text] : AllPages()) {
    if (page != name) {
      if (page != "roundel") names.push_back(page.substr(page.find('-') + 1));
      continue;
    }
    if (console.json)
      console.out << nlohmann::ordered_json{{"page", page}, {"text", text}}.dump(2) << "\n";
    else
      console.out << text;
    return OkStatus();
  }
  const std::string nearest = NearestName(command, names);
  return UsageError(
      StrCat("no command '", Printable(command), "'",
             nearest.empty() ? "; there are " + Join(names) : "; did you mean '" + nearest + "'?"));
}

}  // namespace

CommandRun SetupMan(CLI::App& app) {
  struct Options {
    std::string command, folder;
  };
  const auto options = std::make_shared<Options>();
  app.add_option("COMMAND", options->command, "Command whose page to print [roundel itself]");
  app.add_option("--into", options->folder, "Write all pages into this folder instead")
      ->option_text("DIR");
  app.footer("Example: roundel man quantize | man -l -");
  return [options](Console& console) -> Status {
    if (options->folder.empty()) return PrintPage(options->command, console);
    return WritePages(options->folder);
  };
}

}  // namespace roundel::cmd
