#include "cmd/batch_jobs.h"

#include <filesystem>
#include <map>

#include "cmd/gate_params.h"
#include "cmd/job.h"
#include "cmd/recipes.h"
#include "cmd/version.h"
#include "lib/base/file.h"
#include "lib/base/hash.h"
#include "lib/base/text.h"
#include "lib/data/dataset.h"

namespace roundel::cmd {
namespace {

namespace fs = std::filesystem;
using batch::Entry;
using recipe::ParamValue;
using recipe::Recipe;

const recipe::ParamSpecs& SpecsOf(const std::string& section) {
  for (const recipe::SectionSpec& spec : FullRecipeSpec().sections)
    if (spec.name == section) return spec.params;
  INVARIANT(false, "no recipe section " + section);
}

// As --set takes it.
std::string AssignedText(const ParamValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text != nullptr ? *text : recipe::ParamValueText(value);
}

class JobMaker {
 public:
  JobMaker(std::string source, std::string out)
      : source_(std::move(source)),
        out_(std::move(out)),
        folder_(fs::absolute(FolderOf(source_)).lexically_normal().string()) {}

  const std::string& folder() const { return folder_; }

  Result<BatchJob> Make(const Entry& entry) {
    BatchJob job{.entry = entry, .folder = (fs::path(out_) / entry.id).string()};
    const std::string where = StrCat(source_, ":", entry.line, ": model '", entry.id, "'");
    auto recipe = MakeRecipe(entry, job.folder);
    if (!recipe.ok()) return std::move(recipe).status().At(where);
    job.recipe = std::move(*recipe);
    job.names = NamesFor(job.recipe);
    job.log = (fs::path(job.folder) / "log.txt").string();
    job.store = (fs::path(job.folder) / "store").string();
    if (Status status = CheckJobNames(job); !status.ok()) return std::move(status).At(where);
    return job;
  }

 private:
  // A recipe file is named from the manifest's folder.
  Result<Recipe> LoadOnce(const std::string& name) {
    const auto known = recipes_.find(name);
    if (known != recipes_.end()) return known->second;
    const bool is_path =
        name.find('/') != std::string::npos || name.ends_with(".yaml") || name.ends_with(".yml");
    ASSIGN_OR_RETURN(const Recipe recipe,
                     LoadRecipe(is_path ? (fs::path(folder_) / name).string() : name));
    return recipes_[name] = TakenFrom(recipe, fs::current_path().string());
  }

  Result<Recipe> MakeRecipe(const Entry& entry, const std::string& job_folder) {
    ASSIGN_OR_RETURN(Recipe recipe, LoadOnce(entry.recipe.empty() ? kDefaultRecipe : entry.recipe));
    std::vector<std::string> assignments;
    for (const auto& [section, values] :
         {std::pair{"data", &entry.data}, {"eval", &entry.eval}, {"gate", &entry.gates}})
      for (const auto& [key, value] : *values)
        assignments.push_back(StrCat(section, ".", key, "=", AssignedText(value)));
    for (const auto& [key, text] : entry.set) assignments.push_back(StrCat(key, "=", text));
    if (!entry.target.empty()) assignments.push_back("target=" + entry.target);
    assignments.push_back("model=" + entry.model);
    assignments.push_back("output=" + (fs::path(job_folder) / (entry.id + ".onnx")).string());
    RETURN_IF_ERROR(ApplyAssignments(assignments, &recipe));
    return TakenFrom(recipe, folder_);
  }

  // Nothing is written anywhere but in the job's folder.
  Status CheckJobNames(const BatchJob& job) const {
    for (const std::string& path : job.names.All())
      if (fs::path(path).parent_path() != fs::path(job.folder))
        return UsageError(StrCat("would write '", path, "', outside of its folder '", job.folder,
                                 "'; take that file out of recipe and set"));
    ASSIGN_OR_RETURN(const eval::GateLimits limits, LimitsOf(job.recipe.Section("gate"), 0));
    if (limits.measures() && job.recipe.Section("eval").String("path").empty())
      return UsageError("a gate needs data to measure on: give 'eval'");
    return OkStatus();
  }

  const std::string source_, out_, folder_;
  std::map<std::string, Recipe> recipes_;
};

}  // namespace

Result<std::vector<BatchJob>> LoadJobs(const std::string& manifest, const std::string& out) {
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(manifest));
  const batch::ManifestSpec spec{.data = data::DataSpecs(), .gates = SpecsOf("gate")};
  ASSIGN_OR_RETURN(const std::vector<Entry> entries, batch::ParseManifest(text, manifest, spec));
  JobMaker maker(manifest, out);
  ASSIGN_OR_RETURN(const std::vector<batch::Item> items,
                   batch::ExpandEntries(entries, manifest, maker.folder()));
  std::vector<BatchJob> jobs;
  for (const batch::Item& item : items) {
    ASSIGN_OR_RETURN(BatchJob job, maker.Make(item.entry));
    jobs.push_back(std::move(job));
  }
  return jobs;
}

std::string HashJob(const BatchJob& job, batch::ContentHashes* contents) {
  Hasher hasher;
  hasher.Add(ROUNDEL_VERSION);
  hasher.Add(GitCommit());
  const std::string& model = job.recipe.Section("").String("model");
  const recipe::Recipe contents_for_paths = WithPaths(job.recipe, [&](const std::string& path) {
    if (path == model) return contents->OfModel(path);
    const bool is_output = fs::path(path).parent_path() == fs::path(job.folder);
    return is_output ? "output" : contents->Of(path);
  });
  hasher.Add(recipe::PrintRecipe(FullRecipeSpec(), contents_for_paths));
  return hasher.Hex();
}

}  // namespace roundel::cmd
