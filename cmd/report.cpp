#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cmd/command.h"
#include "cmd/outputs.h"
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/report/html.h"

namespace roundel::cmd {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string report, output;
};

// A job's page stands beside its report, so that the page of the batch can link to it.
Result<std::vector<std::string>> WriteJobPages(const std::string& text, const std::string& folder) {
  std::vector<std::string> written;
  for (const std::string& report : report::ReportsOf(text)) {
    const std::string path = (fs::path(folder) / report).string();
    if (!FileExists(path)) continue;
    ASSIGN_OR_RETURN(const std::string contents, ReadTextFile(path));
    ASSIGN_OR_RETURN(const std::string page, report::HtmlPage(contents, path));
    written.push_back((fs::path(folder) / report::PageOfReport(report)).string());
    RETURN_IF_ERROR(CheckOutputs({written.back()}, {path}));
    RETURN_IF_ERROR(WriteFileAtomically(written.back(), page));
  }
  return written;
}

// The way from the folder of one file to that of another; "" if they are the same.
std::string WayBetween(const std::string& from, const std::string& to) {
  std::error_code error;
  const std::string way = fs::relative(FolderOf(to), FolderOf(from), error).string();
  return error || way == "." || way.empty() ? "" : way + "/";
}

Status RunReport(const Options& options, Console& console) {
  RETURN_IF_ERROR(CheckOutputs({options.output}, {options.report}));
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(options.report));
  ASSIGN_OR_RETURN(
      const std::string page,
      report::HtmlPage(text, options.report, WayBetween(options.output, options.report)));
  ASSIGN_OR_RETURN(const auto jobs, WriteJobPages(text, FolderOf(options.report)));
  RETURN_IF_ERROR(WriteFileAtomically(options.output, page));
  const std::string more =
      jobs.empty() ? "" : StrCat(", and ", jobs.size(), " pages of its jobs beside their reports");
  if (console.json)
    console.out << nlohmann::ordered_json{{"output", options.output},
                                          {"bytes", page.size()},
                                          {"pages", jobs}}
                       .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                << "\n";
  else if (!console.quiet)
    console.out << "wrote " << options.output << " ("
                << HumanBytes(static_cast<int64_t>(page.size())) << ")" << more << "\n";
  return OkStatus();
}

}  // namespace

CommandRun SetupReport(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("REPORT", options->report, "OUT.report.json of a job, or status.jsonl of a batch")
      ->required();
  app.add_option("-o,--output", options->output, "HTML page to write")
      ->required()
      ->option_text("OUT.html");
  app.footer("Example: roundel report model_int8.report.json -o model_int8.html");
  return [options](Console& console) { return RunReport(*options, console); };
}

}  // namespace roundel::cmd
