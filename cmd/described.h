#pragma once
// Encodings files and the float models that they describe.

#include <string>
#include <vector>

#include "cmd/loading.h"
#include "lib/io/encodings_origin.h"
#include "lib/quant/encodings.h"
#include "lib/recipe/recipe.h"
#include "lib/report/report.h"
#include "passes/pass.h"

namespace roundel::cmd {

struct Described {
  graph::Model model;  // what the encodings describe
  quant::EncodingTable encodings;
  io::EncodingsOrigin origin;
  target::FloatTypes types;  // of the values in the file; the model is in float32
};

// The encodings in the file and their model: the given one; or, if the file says that passes changed
// that before, the float model that was written beside it, or the given one after the same passes.
// What was taken, and what cannot be had again, is said in one line. kUsage that names the way out
// if the two do not belong together.
Result<Described> LoadDescribed(const LoadedModel& given, const std::string& encodings_path);

// What a job writes about the model of its encodings. `report`: of the passes that ran.
io::EncodingsOrigin OriginOf(const Session& session, const recipe::Recipe& recipe,
                             const report::Report& report, const std::string& model_hash,
                             const std::string& recipe_hash);

// The versions that the recipe names; auto stands for the first choice.
std::vector<std::string> AskedVersions(const recipe::Recipe& recipe);

// The versions of encodings files that a job writes: those of the recipe if they can hold what is
// placed. If the recipe leaves the choice open, one that can; `note` says so.
Result<std::vector<std::string>> EncodingsVersions(const recipe::Recipe& recipe,
                                                   const graph::Graph& graph,
                                                   const target::Placement& placement,
                                                   std::string* note);

}  // namespace roundel::cmd
