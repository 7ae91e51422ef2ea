#include "cmd/job_export.h"

#include <algorithm>
#include <set>

#include "cmd/outputs.h"
#include "cmd/recipes.h"
#include "lib/base/text.h"
#include "lib/targets/export.h"
#include "lib/targets/layer_forms.h"
#include "lib/targets/lint.h"

namespace roundel::cmd {
namespace {

using recipe::Params;

std::string OwnFaultsText(const JobState& s, const std::vector<target::Violation>& own) {
  std::vector<std::string> kinds;
  for (const target::Violation& violation : own)
    if (std::find(kinds.begin(), kinds.end(), violation.what) == kinds.end())
      kinds.push_back(violation.what);
  constexpr size_t kShown = 3;
  const std::string more =
      kinds.size() > kShown ? StrCat(" and ", kinds.size() - kShown, " more") : "";
  kinds.resize(std::min(kinds.size(), kShown));
  return StrCat("the model itself breaks rules of target '", s.session.target.name, "' in ",
                own.size(), own.size() == 1 ? " place: " : " places: ", Join(kinds), more, " (",
                own[0].why, "): ", own[0].advice);
}

// Moves violations that the given model also has from `lint` into one warning.
Status WarnOfOwnFaults(JobState& s, target::LintResult* lint) {
  ASSIGN_OR_RETURN(const target::LintResult given, target::Lint(s.original, s.session.target));
  std::set<std::pair<std::string, std::string>> known;
  for (const target::Violation& violation : given.violations)
    known.emplace(violation.where, violation.what);
  std::vector<target::Violation> own, ours;
  size_t own_refused = 0;
  for (size_t i = 0; i < lint->violations.size(); ++i) {
    target::Violation& violation = lint->violations[i];
    const bool is_own = known.contains({violation.where, violation.what});
    if (is_own && i < lint->refused) ++own_refused;
    (is_own ? own : ours).push_back(std::move(violation));
  }
  lint->refused -= own_refused;
  lint->violations = std::move(ours);
  if (!own.empty()) s.Warn(OwnFaultsText(s, own));
  return OkStatus();
}

// Errors: the runtime would reject the result, unless settings of the recipe may be the reason.
// Other violations are a warning.
Status CheckRules(JobState& s) {
  ASSIGN_OR_RETURN(target::LintResult lint,
                   target::Lint(s.quantized, s.session.target, &*s.session.placement));
  if (!lint.violations.empty()) RETURN_IF_ERROR(WarnOfOwnFaults(s, &lint));
  if (lint.violations.empty()) return OkStatus();
  const target::Violation& first = lint.violations[0];
  const std::string text =
      StrCat("the result breaks ", lint.violations.size(),
             lint.violations.size() == 1 ? " rule" : " rules", " of target '",
             s.session.target.name, "': ", first.where, ": ", first.what, " (", first.why, ")");
  const bool requested =
      !s.session.grids.rules.empty() || !s.recipe.Section("export").IsDefault("contrib_qdq");
  if (lint.refused > 0 && !requested) return InternalError(text + "; please report this model");
  s.Warn(StrCat(text, ": ", first.advice, "; roundel lint shows all"));
  return OkStatus();
}

}  // namespace

Status ExportJob(JobState& s) {
  const Params& section = s.recipe.Section("export");
  ASSIGN_OR_RETURN(const std::string format, FormatOf(s.recipe, s.session.target));
  target::ExportOptions options = target::OptionsFor(s.session.target, format);
  options.qdq.contrib_qdq = OverriddenFlag(section, "contrib_qdq", options.qdq.contrib_qdq);
  options.dynamic_layers = s.session.placement->dynamic_layers;
  options.kept_float = s.session.placement->kept_float;
  options.types = s.session.types;
  ASSIGN_OR_RETURN(s.quantized, target::Export(s.session.model, s.session.encodings, options));
  s.quantized.SetMetadata("roundel.version", ROUNDEL_VERSION);
  s.quantized.SetMetadata("roundel.target", s.session.target.name);
  s.quantized.SetMetadata("roundel.recipe_hash", RecipeHash(s.recipe));
  if (!s.session.data_hash.empty())
    s.quantized.SetMetadata("roundel.data_hash", s.session.data_hash);
  s.report.Fact("weight_bytes_after", InitializerBytes(s.quantized));
  const target::LayerForms forms = target::CountLayerForms(s.quantized);
  s.report.Fact("layers_on_codes", forms.on_codes);
  s.report.Fact("layers_dynamic", forms.dynamic);
  s.report.Fact("layers_packed", forms.packed);
  s.report.Fact("layers_dequantized", forms.dequantized);
  s.report.Fact("layers_float", forms.floats);
  if (s.session.target.rounds_product_inputs)
    s.report.Fact("layers_rounded_inputs", forms.products);
  return CheckRules(s);
}

}  // namespace roundel::cmd
