#include "cmd/diagnosis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "cmd/tensor_errors.h"
#include "lib/base/interrupt.h"
#include "lib/quant/metrics.h"
#include "lib/targets/profile.h"
#include "lib/tensor/first_samples.h"

namespace roundel::cmd {
namespace {

using graph::Graph;
using graph::Node;

constexpr int64_t kSamples = 2;
constexpr size_t kLargestSet = 16;  // nodes
constexpr size_t kMaxTypes = 10, kMaxTypesTogether = 5;
constexpr double kExact = 60;  // dB; above this, differences are meaningless
constexpr double kLoss = 3;    // dB that a suspect node must cost

std::set<const Node*> Ancestors(const Graph& graph, const std::vector<std::string>& outputs) {
  std::set<const Node*> found;
  std::vector<std::string> open = outputs;
  while (!open.empty()) {
    const Node* node = graph.Producer(open.back());
    open.pop_back();
    if (!node || !found.insert(node).second) continue;
    open.insert(open.end(), node->inputs.begin(), node->inputs.end());
    for (const std::string& value : graph::OuterReads(*node)) open.push_back(value);
  }
  return found;
}

bool HasEncoding(const Node& node, const quant::EncodingTable& table) {
  const auto encoded = [&](const std::string& value) { return table.contains(value); };
  return std::any_of(node.inputs.begin(), node.inputs.end(), encoded) ||
         std::any_of(node.outputs.begin(), node.outputs.end(), encoded);
}

std::vector<Suspect> FindSuspects(const Session& session, const std::vector<std::string>& outputs,
                                  const std::vector<ValuePair>& pairs) {
  const Graph& graph = *session.model.graph;
  std::map<std::string, double> sqnr;
  for (const ValuePair& pair : pairs)
    if (!std::isnan(pair.error.Sqnr())) sqnr[pair.value] = std::min(pair.error.Sqnr(), kExact);
  std::vector<Suspect> suspects;
  const std::set<const Node*> ancestors = Ancestors(graph, outputs);
  for (const auto& node : graph.nodes()) {
    const auto after = sqnr.find(node->output(0));
    if (!ancestors.contains(node.get()) || after == sqnr.end() ||
        !HasEncoding(*node, session.encodings))
      continue;
    double before = kExact;
    for (const std::string& input : node->inputs)
      if (const auto it = sqnr.find(input); it != sqnr.end()) before = std::min(before, it->second);
    if (before - after->second < kLoss) continue;
    suspects.push_back({node->NameOrOutput(), node->op_type, before, after->second});
  }
  std::stable_sort(suspects.begin(), suspects.end(), [](const Suspect& a, const Suspect& b) {
    return a.before - a.after > b.before - b.after;
  });
  return suspects;
}

// The float outputs on the first samples, and the errors of simulations relative to them.
class Trials {
 public:
  Trials(const Session& session, const std::vector<std::string>& outputs)
      : session_(session), outputs_(outputs) {}

  Status Prepare() {
    FirstSamples data(*session_.data, kSamples);
    RETURN_IF_ERROR(data.Rewind());
    ASSIGN_OR_RETURN(const auto model,
                     engine::Executor::Create(session_.model, {.outputs = outputs_}));
    while (true) {
      ASSIGN_OR_RETURN(std::optional<Batch> batch, data.Next());
      if (!batch) return OkStatus();
      ASSIGN_OR_RETURN(auto values, model->Run(batch->inputs));
      expected_.push_back(std::move(values));
      inputs_.push_back(std::move(batch->inputs));
    }
  }

  // SQNR in dB of the worst output.
  Result<double> Sqnr(const quant::EncodingTable& table) const {
    ASSIGN_OR_RETURN(
        const auto model,
        engine::Executor::Create(session_.model, {.simulate = &table, .outputs = outputs_}));
    std::vector<quant::ErrorSums> errors(outputs_.size());
    for (size_t batch = 0; batch < inputs_.size(); ++batch) {
      ASSIGN_OR_RETURN(const auto values, model->Run(inputs_[batch]));
      for (size_t i = 0; i < values.size(); ++i) {
        if (values[i].shape() != expected_[batch][i].shape()) continue;
        errors[i].Add(expected_[batch][i].ToFloat().span<float>(),
                      values[i].ToFloat().span<float>());
      }
    }
    double worst = std::numeric_limits<double>::infinity();
    for (const quant::ErrorSums& error : errors)
      if (error.count() > 0) worst = std::min(worst, error.Sqnr());
    return worst;
  }

  // With these nodes in float: the values that are still placed keep their encodings.
  Result<double> SqnrWithout(const std::vector<std::string>& nodes) const {
    target::GridChoice grids = session_.grids;
    grids.exclude.insert(grids.exclude.end(), nodes.begin(), nodes.end());
    ASSIGN_OR_RETURN(const target::Placement placement,
                     target::Place(session_.model, session_.target, grids));
    quant::EncodingTable table;
    for (const target::QuantPoint& point : placement.points)
      if (const auto it = session_.encodings.find(point.value); it != session_.encodings.end())
        table.insert(*it);
    return Sqnr(table);
  }

  Result<double> SqnrOfWeightsOnly() const {
    quant::EncodingTable table;
    for (const auto& [value, encoding] : session_.encodings)
      if (encoding.role == quant::Role::kWeight) table.emplace(value, encoding);
    return Sqnr(table);
  }

 private:
  const Session& session_;
  const std::vector<std::string>& outputs_;
  std::vector<std::vector<Tensor>> inputs_, expected_;
};

// Op types with a grid on which the outputs depend, in descending order of the loss at their nodes.
// Types without a loss may still matter: a Concat gives its range to all its inputs.
std::vector<std::string> TypesByLoss(const Session& session,
                                     const std::vector<std::string>& outputs,
                                     const std::vector<Suspect>& suspects) {
  std::map<std::string, double> losses;
  for (const Node* node : Ancestors(*session.model.graph, outputs))
    if (HasEncoding(*node, session.encodings)) losses.emplace(node->op_type, 0);
  for (const Suspect& suspect : suspects) losses[suspect.op_type] += suspect.before - suspect.after;
  std::vector<std::pair<double, std::string>> sorted;
  for (const auto& [type, loss] : losses) sorted.emplace_back(-loss, type);
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> types;
  for (auto& [loss, type] : sorted) types.push_back(std::move(type));
  return types;
}

// The sets to try: the worst nodes, then single op types, then the worst types together.
std::vector<std::vector<std::string>> SetsToTry(const std::vector<Suspect>& suspects,
                                                const std::vector<std::string>& types) {
  std::vector<std::vector<std::string>> sets;
  for (size_t count = 1; count / 2 < suspects.size() && count <= kLargestSet; count *= 2) {
    std::vector<std::string>& names = sets.emplace_back();
    for (size_t i = 0; i < std::min(count, suspects.size()); ++i) names.push_back(suspects[i].name);
  }
  for (size_t i = 0; i < std::min(types.size(), kMaxTypes); ++i) sets.push_back({types[i]});
  for (size_t count = 2; count < types.size() && count <= kMaxTypesTogether; ++count)
    sets.emplace_back(types.begin(), types.begin() + static_cast<std::ptrdiff_t>(count));
  return sets;
}

}  // namespace

Result<Diagnosis> Diagnose(const Session& session, const std::vector<std::string>& outputs,
                           double min_sqnr) {
  Diagnosis diagnosis;
  FirstSamples data(*session.data, kSamples);
  ASSIGN_OR_RETURN(ComparedModels models,
                   OpenCompared(session.model, session.model, &session.encodings));
  RETURN_IF_ERROR(AddTensorErrors(data, &models).status());
  diagnosis.suspects = FindSuspects(session, outputs, models.pairs);
  Trials trials(session, outputs);
  RETURN_IF_ERROR(trials.Prepare());
  const std::vector<std::string> types = TypesByLoss(session, outputs, diagnosis.suspects);
  for (std::vector<std::string>& names : SetsToTry(diagnosis.suspects, types)) {
    if (Interrupted()) return InterruptedError();
    ASSIGN_OR_RETURN(diagnosis.sqnr, trials.SqnrWithout(names));
    if (diagnosis.sqnr < min_sqnr) continue;
    diagnosis.exclude = std::move(names);
    return diagnosis;
  }
  ASSIGN_OR_RETURN(diagnosis.weights_only, trials.SqnrOfWeightsOnly());
  return diagnosis;
}

}  // namespace roundel::cmd
