#include <nlohmann/json.hpp>

#include <map>

#include "cmd/job.h"
#include "cmd/outputs.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "passes/runner.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::ordered_json;
using quant::Granularity;
using quant::Role;
using target::QuantPoint;

constexpr const char* kRoles[] = {"activation", "weight", "bias"};
constexpr const char* kGranularities[] = {"tensor", "channel", "block"};
constexpr size_t kFloatLines = 20;

// Bytes of a constant's integers and scales, without the zero points, which may be omitted (one
// byte each at most).
int64_t QuantizedBytes(const QuantPoint& point, const Tensor& value) {
  int64_t scales = 1;
  if (point.granularity == Granularity::kChannel && value.rank() > 0)
    scales = value.dim(point.axis);
  if (point.granularity == Granularity::kBlock && point.block_size > 0 && value.rank() > 0) {
    const int64_t length = value.dim(point.axis);
    const int64_t blocks = (length + point.block_size - 1) / point.block_size;
    scales = length == 0 ? 0 : value.size() / length * blocks;
  }
  return ByteSize(point.grid.storage_type(), value.size()) +
         scales * static_cast<int64_t>(sizeof(float));
}

struct Plan {
  target::Placement placement;
  std::vector<std::string> skipped;  // passes that need data
  int64_t nodes = 0, bytes_before = 0, bytes_after = 0;
  int64_t counts[3] = {};  // by role
};

Result<Plan> MakePlan(const recipe::Recipe& recipe, Session* session) {
  Plan plan;
  plan.bytes_before = target::NarrowBytes(*session->model.graph, session->types);
  std::vector<recipe::Step> steps;
  for (const recipe::Step& step : recipe.steps) {
    const passes::PassInfo& pass = *passes::FindPass(step.pass);
    if (pass.needs_data || pass.needs_grids)
      plan.skipped.push_back(step.pass);
    else
      steps.push_back(step);
  }
  report::Report report;
  RETURN_IF_ERROR(passes::RunSteps(steps, {.verify_samples = 0}, session, &report));
  ASSIGN_OR_RETURN(plan.placement,
                   target::PlaceSeparately(&session->model, session->target, session->grids));
  plan.nodes = static_cast<int64_t>(graph::WithBodies(session->model)->nodes().size());
  plan.bytes_after = target::NarrowBytes(*session->model.graph, session->types);
  for (const QuantPoint& point : plan.placement.points) {
    ++plan.counts[static_cast<int>(point.role)];
    const Tensor* value = graph::ConstantInBodies(*session->model.graph, point.value);
    if (value == nullptr) continue;
    const auto type = session->types.find(point.value);
    const int64_t bytes =
        type == session->types.end() ? value->byte_size() : ByteSize(type->second, value->size());
    plan.bytes_after += QuantizedBytes(point, *value) - bytes;
  }
  return plan;
}

Json PlanJson(const JobInputs& inputs, const Plan& plan) {
  Json json = {{"model", inputs.loaded.path},
               {"target", inputs.profile.name},
               {"nodes", plan.nodes},
               {"weight_bytes_before", plan.bytes_before},
               {"weight_bytes_after_estimate", plan.bytes_after},
               {"passes_left_out", plan.skipped},
               {"tensors", Json::array()},
               {"float_nodes", Json::array()}};
  for (const QuantPoint& point : plan.placement.points) {
    Json tensor = {{"name", point.value},
                   {"role", kRoles[static_cast<int>(point.role)]},
                   {"grid", point.grid.Name()},
                   {"granularity", kGranularities[static_cast<int>(point.granularity)]}};
    if (point.granularity != Granularity::kTensor) tensor["axis"] = point.axis;
    if (point.granularity == Granularity::kBlock) tensor["block_size"] = point.block_size;
    if (point.group >= 0) tensor["shared_range_group"] = point.group;
    json["tensors"].push_back(std::move(tensor));
  }
  for (const target::FloatNode& node : plan.placement.float_nodes)
    json["float_nodes"].push_back(
        {{"node", node.node}, {"op_type", node.op_type}, {"reason", node.reason}});
  return json;
}

void PrintPlan(const JobInputs& inputs, const Plan& plan, std::ostream& out) {
  // Activations have few grids: one line per role and grid shows more than a list of names.
  std::map<std::string, int64_t> grids;
  for (const QuantPoint& point : plan.placement.points)
    ++grids[StrCat(kRoles[static_cast<int>(point.role)], "\n", point.grid.Name(), "\n",
                   kGranularities[static_cast<int>(point.granularity)])];
  std::vector<std::vector<std::string>> rows = {{"tensors", "role", "grid", "per"}};
  for (const auto& [key, count] : grids) {
    std::vector<std::string> row = Split(key, '\n');
    row.insert(row.begin(), StrCat(count));
    rows.push_back(std::move(row));
  }
  out << "Plan for " << inputs.loaded.path << ", target " << inputs.profile.name
      << " (nothing is written)\n\n"
      << report::TextTable(rows) << "\n";
  out << "quantized  " << CountText(plan.counts[0], plan.counts[1], plan.counts[2]) << "\n";
  out << "weights    " << HumanBytes(plan.bytes_before) << " -> about "
      << HumanBytes(plan.bytes_after) << "\n";
  if (!plan.skipped.empty()) out << "left out   without data: " << Join(plan.skipped) << "\n";
  out << "float      " << plan.placement.float_nodes.size() << " of " << plan.nodes << " nodes\n";
  std::vector<report::Record> records;
  for (const target::FloatNode& node : plan.placement.float_nodes)
    records.push_back({node.node, node.op_type, node.reason});
  const std::vector<std::string> lines = FloatNodeLines(records);
  for (size_t i = 0; i < lines.size() && i < kFloatLines; ++i) out << "  " << lines[i] << "\n";
  if (lines.size() > kFloatLines)
    out << "  ... (" << lines.size() - kFloatLines << " more reasons with --json)\n";
}

}  // namespace

Status PlanJob(const recipe::Recipe& recipe, Console& console) {
  ASSIGN_OR_RETURN(JobInputs inputs, LoadJobInputs(recipe, false));
  for (const std::string& warning : inputs.warnings) LogWarning(warning);
  Session session;
  session.model = graph::Clone(inputs.loaded.model);
  session.types = inputs.types;
  session.target = inputs.profile;
  session.grids = inputs.grids;
  session.random = Random(static_cast<uint64_t>(recipe.Section("").Int("seed")));
  ASSIGN_OR_RETURN(const Plan plan, MakePlan(recipe, &session));
  if (console.json)
    console.out << PlanJson(inputs, plan).dump(2, ' ', false, Json::error_handler_t::replace)
                << "\n";
  else
    PrintPlan(inputs, plan, console.out);
  return OkStatus();
}

}  // namespace roundel::cmd
