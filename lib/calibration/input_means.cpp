#include "lib/calibration/input_means.h"

#include "lib/calibration/observe.h"
#include "lib/session/runnable_graph.h"

namespace roundel::calibration {

Status EnsureInputMeans(Session& session) {
  if (session.input_means || !session.data) return OkStatus();
  const RunnableGraph runnable(session);
  ASSIGN_OR_RETURN(const auto seen, Observe(session, {}, {.input_means = true}));
  AddInputMeans(seen.input_means, &session);
  return OkStatus();
}

void AddInputMeans(const std::map<std::string, quant::InputMean>& means, Session* session) {
  if (!session->input_means) session->input_means.emplace();
  for (const auto& [value, mean] : means) session->input_means->insert_or_assign(value, mean);
}

}  // namespace roundel::calibration
