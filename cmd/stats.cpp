// roundel stats merge: calibration statistics of parts of a data set become those of the whole;
// stores with the layers of several parts become one store.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <memory>

#include "cmd/command.h"
#include "cmd/outputs.h"
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/io/statistics_json.h"
#include "lib/layers/layer_parts.h"

namespace roundel::cmd {
namespace {

using quant::CalibrationStatistics;

struct Options {
  std::string action, output;
  std::vector<std::string> files;
  bool accept = false;
};

// Statistics of different models or preprocessing must not be mixed without a word.
Status CheckSame(const CalibrationStatistics& first, const CalibrationStatistics& other,
                 const std::string& first_path, const std::string& path) {
  const bool same_model = first.model_hash == other.model_hash;
  if (same_model && first.preprocessing_hash == other.preprocessing_hash) return OkStatus();
  return DataError(StrCat("'", path, "' and '", first_path, "' are of different ",
                          same_model ? "preprocessing" : "models",
                          "; --accept-mismatch merges them all the same"));
}

void Print(Console& console, const nlohmann::ordered_json& json, const std::string& line) {
  if (console.json)
    console.out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  else if (!console.quiet)
    console.out << line << "\n";
}

Status MergeFiles(const Options& options, Console& console) {
  RETURN_IF_ERROR(CheckOutputs({options.output}, options.files));
  std::vector<CalibrationStatistics> parts;
  for (const std::string& path : options.files) {
    ASSIGN_OR_RETURN(CalibrationStatistics part, io::ReadStatistics(path));
    if (!options.accept && !parts.empty())
      RETURN_IF_ERROR(CheckSame(parts[0], part, options.files[0], path));
    parts.push_back(std::move(part));
  }
  ASSIGN_OR_RETURN(const CalibrationStatistics merged,
                   CalibrationStatistics::Merge(std::move(parts)));
  RETURN_IF_ERROR(WriteFileAtomically(options.output, io::StatisticsJson(merged)));
  Print(console,
        {{"output", options.output},
         {"files", options.files.size()},
         {"samples", merged.samples},
         {"values", merged.values.size()}},
        StrCat(options.output, ": ", merged.values.size(), " values, ", merged.samples,
               " samples of ", options.files.size(), " files"));
  return OkStatus();
}

bool IsFolder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

// Copies what the folders hold into one.
Status MergeFolders(const Options& options, Console& console) {
  for (const std::string& folder : options.files)
    if (!IsFolder(folder))
      return UsageError(StrCat("'", folder, "' is no folder; merge either files or stores"));
  ASSIGN_OR_RETURN(const Store to, Store::Open(options.output, ROUNDEL_VERSION));
  int64_t copied = 0;
  for (const std::string& folder : options.files) {
    ASSIGN_OR_RETURN(const Store from, Store::Open(folder, ROUNDEL_VERSION));
    RETURN_IF_ERROR(layers::MergeStores(from, to, &copied));
  }
  RETURN_IF_ERROR(layers::CheckComplete(to));
  Print(console,
        {{"output", options.output}, {"stores", options.files.size()}, {"entries", copied}},
        StrCat(options.output, ": ", copied, " entries of ", options.files.size(), " stores"));
  return OkStatus();
}

}  // namespace

CommandRun SetupStats(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("ACTION", options->action, "merge")
      ->required()
      ->check(CLI::IsMember({"merge"}))
      ->option_text("merge");
  app.add_option("FILE", options->files,
                 "Statistics files that --stats-out has written, or stores that --shard has filled")
      ->required();
  app.add_option("-o,--output", options->output, "Statistics file to write, or store to fill")
      ->required()
      ->option_text("OUT");
  app.add_flag("--accept-mismatch", options->accept,
               "Merge statistics of different models or preprocessing, too");
  app.footer(
      "The result equals the statistics of one run over all data, bit for bit, except for the\n"
      "order of samples.\n"
      "Examples: roundel stats merge part0.json part1.json -o all.json\n"
      "          roundel stats merge store0 store1 -o store");
  return [options](Console& console) {
    return IsFolder(options->files[0]) ? MergeFolders(*options, console)
                                       : MergeFiles(*options, console);
  };
}

}  // namespace roundel::cmd
