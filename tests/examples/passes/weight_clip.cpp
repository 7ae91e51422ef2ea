// weight_clip: limits the weights of every layer to [-limit, limit].

#include <algorithm>

#include "lib/graph/layer_slots.h"
#include "passes/pass.h"

namespace roundel::passes {
namespace {

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  const float limit = static_cast<float>(params.Float("limit"));
  graph::Graph& graph = *session.model.graph;
  Outcome outcome = Outcome::kUnchanged;
  for (const auto& node : graph.nodes()) {
    const auto slots = graph::FindLayerSlots(graph, *node, 0);
    if (!slots) continue;
    const Tensor* weight = graph.FindInitializer(node->inputs[slots->weight]);
    if (!weight || weight->dtype() != DType::kFloat) {
      session.report->Add(node->DisplayName(), "declined", "its weight is not a float constant");
      continue;
    }
    Tensor clipped = *weight;  // shares its elements until they are written
    float* w = clipped.mutable_data<float>();
    int64_t count = 0;
    for (int64_t i = 0; i < clipped.size(); ++i) {
      count += w[i] < -limit || w[i] > limit;
      w[i] = std::clamp(w[i], -limit, limit);
    }
    if (count == 0) continue;
    graph.SetInitializer(node->inputs[slots->weight], clipped);
    session.report->Add(node->DisplayName(), "clipped", std::to_string(count) + " weights");
    outcome = Outcome::kApproximate;
  }
  return outcome;
}

}  // namespace

PassInfo weight_clip_pass() {
  return {.name = "weight_clip",
          .summary = "limits the weights of every layer to a symmetric range",
          .params = {{.name = "limit",
                      .default_value = 1.0,
                      .help = "largest magnitude of a weight",
                      .min = 0}},
          .run = Run};
}

}  // namespace roundel::passes
