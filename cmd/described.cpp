#include "cmd/described.h"

#include <algorithm>

#include "cmd/outputs.h"
#include "cmd/recipes.h"
#include "lib/base/file.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/engine/normal_form.h"
#include "lib/graph/bodies.h"
#include "lib/graph/metadata.h"
#include "lib/io/encodings_json.h"
#include "passes/runner.h"

namespace roundel::cmd {
namespace {

constexpr const char* kRemedy =
    "quantize with --set export.float_model=true and give the OUT.float.onnx that it writes";

std::string IdentityOf(const graph::Model& model) {
  return graph::MetadataOf(model, io::kFloatModelKey);
}

std::string FloatModelPath(const std::string& encodings_path) {
  for (const char* suffix : {".encodings.json", ".json"})
    if (encodings_path.ends_with(suffix))
      return encodings_path.substr(0, encodings_path.size() - std::string(suffix).size()) +
             ".float.onnx";
  return "";
}

std::vector<target::ConstantCopy> CopiesOf(const io::EncodingsOrigin& origin) {
  std::vector<target::ConstantCopy> copies;
  for (const io::EncodingsOrigin::Copy& c : origin.copies)
    copies.push_back({c.copy, c.value, c.reader, static_cast<int>(c.index)});
  return copies;
}

// Runs the passes that made the described model from the given one.
Status Prepare(const io::EncodingsOrigin& origin, graph::Model* model, target::FloatTypes* types) {
  RETURN_IF_ERROR(engine::MakeNormalForm(model).status());
  *types = target::WidenTypes(model);
  if (!origin.passes.empty()) {
    ASSIGN_OR_RETURN(
        const recipe::Recipe recipe,
        recipe::ParseRecipe(origin.passes, "passes of the encodings", FullRecipeSpec()));
    Session session;
    session.model = std::move(*model);
    ASSIGN_OR_RETURN(session.target,
                     target::LoadProfile(origin.target.empty() ? "generic" : origin.target));
    session.grids = target::DefaultChoice(session.target);
    report::Report report;
    RETURN_IF_ERROR(passes::RunSteps(recipe.steps, {.verify_samples = 0}, &session, &report));
    *model = std::move(session.model);
  }
  return target::CopyConstants(CopiesOf(origin), model);
}

// The model that the origin describes, if it is available.
Result<graph::Model> ModelOf(const io::EncodingsOrigin& origin, const LoadedModel& given,
                             const std::string& encodings_path, target::FloatTypes* types) {
  const bool changed = !origin.passes.empty() || !origin.copies.empty() || !origin.later.empty();
  if (origin.float_model.empty() || !changed || IdentityOf(given.model) == origin.float_model)
    return graph::Clone(given.model);
  if (given.hash != origin.model) return graph::Clone(given.model);
  const std::string beside = FloatModelPath(encodings_path);
  if (!beside.empty() && FileExists(beside)) {
    auto floats = LoadModel(beside);
    if (floats.ok() && IdentityOf(floats->model) == origin.float_model) {
      LogInfo(StrCat("the encodings describe '", beside, "', which is used"));
      return std::move(floats->model);
    }
  }
  graph::Model model = graph::Clone(given.model);
  if (Status status = Prepare(origin, &model, types); !status.ok())
    return UsageError(StrCat("'", encodings_path, "' describes '", given.path,
                             "' after passes that cannot be run again (", status.message(),
                             "): ", kRemedy));
  if (!origin.later.empty())
    LogWarning(StrCat("weights and biases are those before ", Join(origin.later),
                      "; for those that quantize wrote, ", kRemedy));
  return model;
}

}  // namespace

Result<Described> LoadDescribed(const LoadedModel& given, const std::string& encodings_path) {
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(encodings_path));
  Described described;
  ASSIGN_OR_RETURN(described.origin, io::ParseEncodingsOrigin(text, encodings_path));
  ASSIGN_OR_RETURN(described.model,
                   ModelOf(described.origin, given, encodings_path, &described.types));
  if (described.types.empty()) described.types = target::WidenTypes(&described.model);
  auto encodings = ReadEncodings(text, encodings_path, &described.model);
  const io::EncodingsOrigin& origin = described.origin;
  const bool other = !origin.model.empty() && given.hash != origin.model &&
                     IdentityOf(given.model) != origin.float_model;
  if (!encodings.ok() && other)
    return UsageError(
        StrCat(encodings.status().message(), "; for the model that they belong to, ", kRemedy));
  RETURN_IF_ERROR(encodings.status());
  if (other)
    LogWarning(StrCat("'", encodings_path, "' was not written for the model '", given.path, "'"));
  described.encodings = *std::move(encodings);
  return described;
}

io::EncodingsOrigin OriginOf(const Session& session, const recipe::Recipe& recipe,
                             const report::Report& report, const std::string& model_hash,
                             const std::string& recipe_hash) {
  io::EncodingsOrigin origin{.model = model_hash, .target = session.target.name};
  Hasher identity;
  for (const std::string& part : {model_hash, recipe_hash, session.data_hash}) identity.Add(part);
  identity.Add(ROUNDEL_VERSION);
  origin.float_model = identity.Hex();
  recipe::Recipe before = WithoutPaths(recipe);
  before.steps.clear();
  for (size_t i = 0; i < recipe.steps.size() && i < report.passes.size(); ++i) {
    if (report.passes[i].outcome != "changed") continue;
    const passes::PassInfo& pass = *passes::FindPass(recipe.steps[i].pass);
    if (pass.float_equivalent) before.steps.push_back(recipe.steps[i]);
    const bool later = pass.rounds_weights || pass.corrects_rounding;
    if (later &&
        std::find(origin.later.begin(), origin.later.end(), pass.name) == origin.later.end())
      origin.later.push_back(pass.name);
  }
  if (!before.steps.empty()) {
    const std::string text = recipe::PrintRecipe(FullRecipeSpec(), before);
    origin.passes = text.substr(text.find("\npasses:") + 1);
  }
  for (const target::ConstantCopy& c : session.copies)
    origin.copies.push_back({c.copy, c.value, c.reader, c.index});
  if (session.placement) origin.dynamic_layers = session.placement->dynamic_layers;
  return origin;
}

namespace {

Status CheckVersion(const std::string& version, const graph::Graph& graph,
                    const target::Placement& placement) {
  for (const target::QuantPoint& point : placement.points) {
    const quant::Encoding e{.role = point.role,
                            .grid = point.grid,
                            .granularity = point.granularity,
                            .axis = point.axis,
                            .block_size = point.block_size};
    if (point.role == quant::Role::kBias) continue;
    RETURN_IF_ERROR(io::CheckEncodingForm(point.value, e, version, graph)
                        .At(StrCat("encoding of '", Printable(point.value), "'")));
  }
  return OkStatus();
}

}  // namespace

std::vector<std::string> RequestedVersions(const recipe::Recipe& recipe) {
  std::vector<std::string> versions = recipe.Section("export").Strings("encodings_version");
  for (std::string& version : versions)
    if (version == kAuto) version = "1.0.0";
  return versions;
}

Result<std::vector<std::string>> EncodingsVersions(const recipe::Recipe& recipe,
                                                   const graph::Graph& graph,
                                                   const target::Placement& placement,
                                                   std::string* note) {
  const std::vector<std::string> asked = RequestedVersions(recipe);
  Status problem;
  for (const std::string& version : asked)
    if (problem.ok()) problem = CheckVersion(version, graph, placement);
  if (problem.ok()) return asked;
  std::vector<std::string> others;
  for (const char* version : {"1.0.0", "2.0.0", "2.1.0", "0.6.1"})
    if (CheckVersion(version, graph, placement).ok()) others.push_back(version);
  const bool open = recipe.Section("export").IsDefault("encodings_version");
  if (open && !others.empty()) {
    *note = StrCat("encodings are written in version ", others[0], ": ", problem.message());
    return std::vector<std::string>{others[0]};
  }
  return UsageError(StrCat(problem.message(), "; ",
                           others.empty()
                               ? "no version holds all of it: exclude the node, or use one scale "
                                 "(a rule with granularity: tensor)"
                               : "set export.encodings_version to " + Join(others, " or ")));
}

}  // namespace roundel::cmd
