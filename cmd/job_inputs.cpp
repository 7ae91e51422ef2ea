// The inputs of a job: the model in normal form, the target and the grids.

#include <algorithm>

#include "cmd/described.h"
#include "cmd/grid_keys.h"
#include "cmd/job.h"
#include "cmd/job_state.h"
#include "cmd/outputs.h"
#include "cmd/recipes.h"
#include "lib/base/text.h"
#include "lib/engine/normal_form.h"
#include "lib/graph/bodies.h"
#include "passes/runner.h"

namespace roundel::cmd {
namespace {

using recipe::Params;
using recipe::Recipe;

// Whether a step runs the model: it needs data, and no parameter replaces the data.
bool NeedsEngine(const Recipe& recipe, const target::GridChoice& grids) {
  if (!recipe.Section("eval").String("path").empty()) return true;
  return std::any_of(recipe.steps.begin(), recipe.steps.end(), [&](const recipe::Step& step) {
    const passes::PassInfo* pass = passes::FindPass(step.pass);
    if (!pass || !pass->needs_data) return false;
    if (pass->data_for_static_only && grids.mode != target::ActivationMode::kStatic) return false;
    return std::none_of(pass->data_substitutes.begin(), pass->data_substitutes.end(),
                        [&](const std::string& key) { return !step.params.IsDefault(key); });
  });
}

}  // namespace

Result<JobInputs> LoadJobInputs(const Recipe& recipe, bool runs, const LoadedModel* loaded) {
  JobInputs inputs;
  const Params& top = recipe.Section("");
  ASSIGN_OR_RETURN(inputs.profile, target::LoadProfile(top.String("target")));
  inputs.profile.absorb_relu =
      OverriddenFlag(recipe.Section("export"), "absorb_relu", inputs.profile.absorb_relu);
  RETURN_IF_ERROR(FormatOf(recipe, inputs.profile).status());
  ASSIGN_OR_RETURN(inputs.grids, GridChoiceOf(recipe, inputs.profile));
  if (loaded) {
    inputs.loaded = {loaded->path, graph::Clone(loaded->model), loaded->hash, loaded->bytes,
                     loaded->nodes};
  } else {
    ASSIGN_OR_RETURN(inputs.loaded, LoadModel(top.String("model")));
  }
  if (!top.Bool("requantize")) RETURN_IF_ERROR(CheckFloat(inputs.loaded.model, inputs.loaded.path));
  const Status runnable = CheckRunnable(inputs.loaded.model, inputs.loaded.path);
  inputs.runnable = runnable.ok();
  if (!runnable.ok() && runs && NeedsEngine(recipe, inputs.grids))
    return ModelError(StrCat(runnable.message(),
                             "; use a recipe that does not run it: --recipe int8_dynamic, w4_llm, "
                             "data_free_int8, or any with 'activations: float'"));
  ASSIGN_OR_RETURN(
      inputs.warnings,
      engine::MakeNormalForm(&inputs.loaded.model,
                             {.keep_initializer_inputs = top.Bool("keep_initializer_inputs")}));
  if (!runnable.ok())
    inputs.warnings.push_back(runnable.message() + "; nothing is checked on samples");
  inputs.weight_bytes = InitializerBytes(inputs.loaded.model);
  inputs.types = target::WidenTypes(&inputs.loaded.model);
  // Finds what the target cannot run before any data is read.
  graph::Model placed = graph::Clone(inputs.loaded.model);
  ASSIGN_OR_RETURN(const target::Placement placement,
                   target::PlaceSeparately(&placed, inputs.profile, inputs.grids));
  ASSIGN_OR_RETURN(inputs.encodings_versions, EncodingsVersions(recipe, *graph::WithBodies(placed),
                                                                placement, &inputs.encodings_note));
  return inputs;
}

}  // namespace roundel::cmd
