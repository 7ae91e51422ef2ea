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

// The encodings in the file and the model that they describe: the given model; or, if passes
// changed it before calibration, the float model that was written with the file, or the given model
// after the same passes. Logs one line about the choice and about changes that cannot be repeated.
// Errors: kUsage, with advice, if file and model do not match.
Result<Described> LoadDescribed(const LoadedModel& given, const std::string& encodings_path);

// The identity that a job writes for the model of its encodings. `report`: of the passes that ran.
io::EncodingsOrigin OriginOf(const Session& session, const recipe::Recipe& recipe,
                             const report::Report& report, const std::string& model_hash,
                             const std::string& recipe_hash);

// The versions that the recipe names; auto means the default.
std::vector<std::string> RequestedVersions(const recipe::Recipe& recipe);

// The versions of encodings files that a job writes: those of the recipe if they can hold what is
// placed. With auto, a version that can, and `note` says so.
Result<std::vector<std::string>> EncodingsVersions(const recipe::Recipe& recipe,
                                                   const graph::Graph& graph,
                                                   const target::Placement& placement,
                                                   std::string* note);

}  // namespace roundel::cmd
