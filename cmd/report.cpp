#include <CLI/CLI.hpp>

#include <memory>

#include "cmd/command.h"
#include "cmd/outputs.h"
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/report/html.h"

#include <nlohmann/json.hpp>

namespace roundel::cmd {
namespace {

struct Options {
  std::string report, output;
};

Status RunReport(const Options& options, Console& console) {
  RETURN_IF_ERROR(CheckOutputs({options.output}, {options.report}));
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(options.report));
  ASSIGN_OR_RETURN(const std::string page, report::HtmlPage(text, options.report));
  RETURN_IF_ERROR(WriteFileAtomically(options.output, page));
  if (console.json)
    console.out << nlohmann::ordered_json{{"output", options.output}, {"bytes", page.size()}}.dump(
                       2, ' ', false, nlohmann::json::error_handler_t::replace)
                << "\n";
  else if (!console.quiet)
    console.out << "wrote " << options.output << " ("
                << HumanBytes(static_cast<int64_t>(page.size())) << ")\n";
  return OkStatus();
}

}  // namespace

CommandRun SetupReport(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("REPORT", options->report, "OUT.report.json of a job")->required();
  app.add_option("-o,--output", options->output, "HTML page to write")
      ->required()
      ->option_text("OUT.html");
  app.footer("Example: roundel report model_int8.report.json -o model_int8.html");
  return [options](Console& console) { return RunReport(*options, console); };
}

}  // namespace roundel::cmd
