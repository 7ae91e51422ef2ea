#include <CLI/CLI.hpp>

#include <algorithm>
#include <exception>
#include <new>

#include "cmd/catalog.h"
#include "cmd/command.h"
#include "cmd/help.h"
#include "cmd/printable_stream.h"
#include "cmd/version.h"
#include "lib/base/input_file.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/parallel.h"
#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

constexpr Command kCommands[] = {
#define ROUNDEL_COMMAND(name, Name, runs_models, summary) \
  {#name, summary, Setup##Name, runs_models},
#include "cmd/commands.def"
#undef ROUNDEL_COMMAND
};

constexpr int kMaxThreads = 1024;

int Fail(std::ostream& err, const Status& status) {
  constexpr size_t kLongestMessage = 2000;
  err << "error: " << Printable(status.message(), kLongestMessage) << std::endl;
  return ExitCode(status.kind());
}

struct CommonFlags {
  bool json = false, quiet = false, verbose = false;
  int threads = 0;
  std::string max_memory;
  int64_t max_iterations = 0;
};

void AddCommonFlags(CLI::App& app, CommonFlags* flags) {
  app.add_flag("--json", flags->json, "Print one JSON object on stdout")->group("Common");
  app.add_option("--threads", flags->threads, "Number of threads; 0 = one per core [0]")
      ->check(CLI::Range(0, kMaxThreads))
      ->option_text("N")
      ->group("Common");
  CLI::Option* quiet = app.add_flag("-q,--quiet", flags->quiet,
                                    "Print only warnings, errors and the requested results")
                           ->group("Common");
  app.add_flag("-v,--verbose", flags->verbose, "Print detailed messages, too")
      ->excludes(quiet)
      ->group("Common");
}

void AddLimitFlags(CLI::App& app, CommonFlags* flags) {
  app.add_option(
         "--max-memory", flags->max_memory,
         "Limit on the memory of the model's tensors, such as 800M or 6GiB [the machine's memory]")
      ->check([](const std::string& text) {
        return ParseBytes(text).value_or(0) > 0 ? "" : "'" + text + "' is not a size";
      })
      ->option_text("SIZE")
      ->group("Common");
  app.add_option("--max-iterations", flags->max_iterations,
                 "Number of iterations after which a Loop node is taken to be endless [10000000]")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 60))
      ->option_text("N")
      ->group("Common");
}

// In "--calib --preset tf" the value of --calib is missing; CLI11 would take the next flag for it.
void RefuseFlagsAsValues(CLI::App& app) {
  const auto check = [](const std::string& value) {
    return value.starts_with("--") ? "the value is missing before '" + value + "'" : std::string();
  };
  for (CLI::Option* option : app.get_options())
    if (option->get_items_expected_min() > 0) option->check(check);
}

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const Command& command : kCommands) names.emplace_back(command.name);
  return names;
}

std::string Suggestion(const std::string& word, const std::vector<std::string>& known) {
  const std::string nearest = NearestName(word, known);
  return nearest.empty() ? "" : StrCat("; did you mean '", nearest, "'?");
}

// CLI11's message about unexpected words, with the nearest flag.
std::string UnexpectedWord(const CLI::App& app) {
  const std::vector<std::string> rest = app.remaining();
  if (rest.empty()) return "unexpected arguments";
  const std::string& word = rest.front();
  if (word.empty() || word[0] != '-') return StrCat("unexpected argument '", Printable(word), "'");
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    for (const std::string& name : option->get_snames()) flags.push_back("-" + name);
  }
  const std::string name = word.substr(0, word.find('='));
  return StrCat("unknown flag '", Printable(name), "'", Suggestion(name, flags));
}

std::string MainHelp() {
  std::string text =
      "roundel quantizes ONNX models after training.\n"
      "\n"
      "Usage: roundel COMMAND [flags]      ('roundel COMMAND --help' lists the flags)\n"
      "\n";
  for (const Command& command : kCommands)
    text += StrFormat("  %-12s%s\n", command.name, command.summary);
  return text +
         "\n"
         "First steps:\n"
         "  roundel inspect model.onnx\n"
         "  roundel quantize model.onnx --calib images/ --preset imagenet -o model_int8.onnx\n"
         "  roundel eval model.onnx model_int8.onnx --data images/ --preset imagenet\n";
}

CommandRun Declare(const Command& command, CLI::App& app, CommonFlags* flags) {
  CommandRun run = command.setup(app);
  AddCommonFlags(app, flags);
  if (command.runs_models) AddLimitFlags(app, flags);
  RefuseFlagsAsValues(app);
  return run;
}

int RunCommand(const Command& command, const std::vector<std::string>& args, std::ostream& out,
               std::ostream& err) {
  CLI::App app(command.summary, StrCat("roundel ", command.name));
  CommonFlags flags;
  const CommandRun run = Declare(command, app, &flags);
  const std::string see = StrCat("; see 'roundel ", command.name, " --help'");
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));  // CLI11 needs them reversed
  } catch (const CLI::CallForHelp&) {
    out << CommandHelp(FactsOf(command.name, app));
    return 0;
  } catch (const CLI::ExtrasError&) {
    return Fail(err, UsageError(UnexpectedWord(app) + see));
  } catch (const CLI::ParseError& e) {
    return Fail(err, UsageError(e.what() + see));
  }
  SetThreads(flags.threads);
  SetMemoryLimit(ParseBytes(flags.max_memory).value_or(0));
  SetLoopLimit(flags.max_iterations);
  SetLogLevel(flags.quiet     ? LogLevel::kQuiet
              : flags.verbose ? LogLevel::kVerbose
                              : LogLevel::kNormal);
  PrintableLines lines(out);
  std::ostream text(&lines);
  Console console{flags.json ? out : text, flags.json, flags.quiet};
  const Status status = run(console);
  text.flush();
  return status.ok() ? 0 : Fail(err, status);
}

int Dispatch(const std::vector<std::string>& args, std::ostream& out, std::ostream& err) {
  const std::string first = args.empty() ? "" : args[0];
  if (first == "--version") {
    const Status status = PrintVersion({args.begin() + 1, args.end()}, out);
    return status.ok() ? 0 : Fail(err, status);
  }
  if (first == "--help" || first == "-h" || first == "help") {
    out << MainHelp();
    return 0;
  }
  const auto command = std::find_if(std::begin(kCommands), std::end(kCommands),
                                    [&](const Command& c) { return first == c.name; });
  if (command != std::end(kCommands))
    return RunCommand(*command, {args.begin() + 1, args.end()}, out, err);
  const std::string what =
      args.empty() ? "no command given"
                   : StrCat(first.starts_with("-") ? "unknown flag '" : "unknown command '",
                            Printable(first), "'", Suggestion(first, CommandNames()));
  return Fail(err, UsageError(what + "; see 'roundel --help'"));
}

}  // namespace

std::vector<CommandFacts> AllCommandFacts() {
  std::vector<CommandFacts> all;
  for (const Command& command : kCommands) {
    CLI::App app(command.summary);
    CommonFlags flags;
    Declare(command, app, &flags);
    all.push_back(FactsOf(command.name, app));
  }
  return all;
}

int RunMain(const std::vector<std::string>& args, std::ostream& out, std::ostream& err) {
  int code = 1;
  try {
    code = Dispatch(args, out, err);
  } catch (const std::bad_alloc&) {
    return Fail(err, OutOfMemoryError());
  } catch (const std::exception& e) {
    return Fail(err, InternalError(StrCat("unexpected: ", e.what())));
  }
  out.flush();
  if (!out && code == 0) return Fail(err, InternalError("cannot write to standard output"));
  return code;
}

}  // namespace roundel::cmd
