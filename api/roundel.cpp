// The library of include/roundel/roundel.h, on the parts that the commands are made of.

#include "roundel/roundel.h"

#include <exception>
#include <new>
#include <sstream>

#include "cmd/job.h"
#include "cmd/job_names.h"
#include "cmd/job_state.h"
#include "cmd/outputs.h"
#include "cmd/recipes.h"
#include "lib/base/input_file.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/eval/gates.h"
#include "lib/report/report.h"

namespace roundel::api {
namespace {

Error ErrorOf(const Status& status) {
  if (status.ok()) return {};
  return {ExitCode(status.kind()), status.message()};
}

// Runs what may run out of memory; the rest of the project throws nothing on purpose.
template <typename Function>
auto Guarded(const Function& function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return Error{ExitCode(ErrorKind::kInternal), "out of memory"};
  } catch (const std::exception& e) {
    return Error{ExitCode(ErrorKind::kInternal), StrCat("unexpected: ", e.what())};
  }
}

Status SetKey(recipe::Recipe* recipe, const std::string& key, const std::string& value) {
  for (const recipe::SectionSpec& spec : cmd::FullRecipeSpec().sections)
    if (spec.name.empty()) return recipe->sections[""].SetFromText(spec.params, key, value);
  return InternalError("recipes have no top level");
}

}  // namespace

struct Model::Contents {
  cmd::LoadedModel loaded;
};

struct Recipe::Contents {
  recipe::Recipe recipe;
};

struct Quantized::Contents {
  recipe::Recipe recipe;
  std::vector<std::string> model_files;  // which no output may replace
  std::ostringstream unused;
  cmd::Console console{unused, false, true};
  cmd::JobState state{.recipe = recipe, .console = console};
};

Outcome<Model> Model::Load(const std::string& path) {
  return Guarded([&]() -> Outcome<Model> {
    auto loaded = cmd::LoadModel(path);
    if (!loaded.ok()) return ErrorOf(loaded.status());
    return Model(std::make_shared<Contents>(Contents{std::move(*loaded)}));
  });
}

Outcome<Recipe> Recipe::Load(const std::string& name_or_file) {
  return Guarded([&]() -> Outcome<Recipe> {
    auto recipe = cmd::LoadRecipe(name_or_file);
    if (!recipe.ok()) return ErrorOf(recipe.status());
    const Status folded = cmd::ApplyAssignments({}, &*recipe);
    if (!folded.ok()) return ErrorOf(folded);
    return Recipe(std::make_shared<Contents>(Contents{std::move(*recipe)}));
  });
}

Error Recipe::Set(const std::string& assignment) {
  return Guarded([&]() -> Error {
    recipe::Recipe changed = contents_->recipe;
    const Status status = cmd::ApplyAssignments({assignment}, &changed);
    if (status.ok()) contents_ = std::make_shared<Contents>(Contents{std::move(changed)});
    return ErrorOf(status);
  });
}

std::string Recipe::Text() const {
  return recipe::PrintRecipe(cmd::FullRecipeSpec(), contents_->recipe);
}

Outcome<Quantized> Quantize(const Model& model, const Recipe& recipe) {
  return Guarded([&]() -> Outcome<Quantized> {
    const auto result = std::make_shared<Quantized::Contents>();
    result->recipe = recipe.contents().recipe;
    const cmd::LoadedModel& loaded = model.contents().loaded;
    Status status = SetKey(&result->recipe, "model", loaded.path);
    if (status.ok()) status = SetKey(&result->recipe, "output", "");
    if (!status.ok()) return ErrorOf(status);
    auto inputs = cmd::LoadJobInputs(result->recipe, true, &loaded);
    if (!inputs.ok()) return ErrorOf(inputs.status());
    result->model_files = cmd::DataFilesOf(inputs->loaded);
    result->model_files.push_back(loaded.path);
    status = cmd::ComputeJob(result->state, "", std::move(*inputs));
    if (!status.ok()) return ErrorOf(status);
    return Quantized(result);
  });
}

Error Quantized::Export(const std::string& path) {
  return Guarded([&]() -> Error {
    Status status = SetKey(&contents_->recipe, "output", path);
    if (!status.ok()) return ErrorOf(status);
    if (path.empty()) return ErrorOf(UsageError("no output file"));
    const cmd::OutputNames names = cmd::NamesFor(contents_->recipe);
    status = cmd::CheckNames(contents_->recipe, "", names);
    if (status.ok()) status = cmd::CheckOutputs(names.All(), contents_->model_files);
    if (status.ok()) status = cmd::WriteJob(contents_->state, names).status();
    return ErrorOf(status);
  });
}

std::string Quantized::ReportJson() const { return report::ReportJson(contents_->state.report); }

std::vector<std::string> Quantized::Warnings() const { return contents_->state.report.warnings; }

Error Quantized::Gate() const { return ErrorOf(eval::GateStatus(contents_->state.report.gates)); }

std::string Version() { return ROUNDEL_VERSION; }

void SetThreads(int threads) { roundel::SetThreads(threads); }

void SetMemoryLimit(long long bytes) { roundel::SetMemoryLimit(bytes); }

void SetMessages(Messages messages) {
  SetLogLevel(messages == Messages::kWarnings   ? LogLevel::kQuiet
              : messages == Messages::kProgress ? LogLevel::kNormal
                                                : LogLevel::kVerbose);
}

}  // namespace roundel::api
