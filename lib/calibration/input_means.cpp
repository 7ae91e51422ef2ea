#include "lib/calibration/input_means.h"

#include "lib/calibration/observe.h"

namespace roundel::calibration {

Status EnsureInputMeans(Session& session) {
  if (session.input_means || !session.data) return OkStatus();
  // A graph with its bodies laid out does not run.
  const auto flat = session.model.graph;
  if (session.running_graph) session.model.graph = session.running_graph;
  auto seen = Observe(session, {}, {.input_means = true});
  session.model.graph = flat;
  if (!seen.ok()) return std::move(seen).status();
  AddInputMeans(seen->input_means, &session);
  return OkStatus();
}

void AddInputMeans(const std::map<std::string, quant::InputMean>& means, Session* session) {
  if (!session->input_means) session->input_means.emplace();
  for (const auto& [value, mean] : means) session->input_means->insert_or_assign(value, mean);
}

}  // namespace roundel::calibration
