#include "lib/layers/layer_bias.h"

#include <algorithm>
#include <cmath>

namespace roundel::layers {
namespace {

using quant::Encoding;

bool FitsGrid(const Encoding& e, const std::vector<double>& bias) {
  for (size_t c = 0; c < bias.size(); ++c)
    if (!(std::fabs(bias[c] / e.params[c % e.params.size()].scale) < 0x1p31 - 256)) return false;
  return true;
}

// Whether the layer computes in float although the values around it are codes.
bool ComputesInFloats(const Session& session, const graph::WeightedLayer& layer) {
  if (!session.placement) return false;
  const std::vector<std::string>& floats = session.placement->weights_only_layers;
  return std::find(floats.begin(), floats.end(), layer.node->output(0)) != floats.end();
}

const std::string& BiasValue(const graph::Graph& graph, const graph::WeightedLayer& layer) {
  if (!layer.bias_add) return layer.node->input(2);
  return layer.bias_add->input(graph.Constant(layer.bias_add->input(0)) ? 0 : 1);
}

}  // namespace

Encoding BiasEncoding(double input_unit, const Encoding& weight, int64_t channels,
                      const std::string& decided_by) {
  Encoding e{.role = quant::Role::kBias,
             .grid = {.bits = 32, .is_signed = true, .symmetric = true},
             .granularity = weight.granularity};
  const int64_t count = e.granularity == quant::Granularity::kChannel ? channels : 1;
  for (int64_t i = 0; i < count; ++i) {
    const quant::QParams& p = weight.params[static_cast<size_t>(i) % weight.params.size()];
    e.params.push_back({static_cast<float>(input_unit * p.scale), 0});
  }
  e.decided_by = decided_by;
  return e;
}

std::string BiasObstacle(const Session& session, const graph::WeightedLayer& layer) {
  if (layer.node->Is("MatMul") && !layer.bias_add) return "a MatMul has no bias";
  if (layer.node->Is("Gemm") && layer.node->Float("beta", 1) != 1)
    return "its Gemm scales the bias (beta)";
  const auto weight = session.encodings.find(layer.weight());
  if (weight != session.encodings.end() &&
      weight->second.granularity == quant::Granularity::kBlock &&
      session.encodings.contains(layer.input()))
    return "its weight is not of a kind that has an int32 bias";
  const auto old = session.encodings.find(BiasValue(*session.model.graph, layer));
  if (old == session.encodings.end()) return "";
  if (layer.bias_add) return "the Add after its MatMul has a separate grid";
  return old->second.frozen || old->second.codes ? "its bias is fixed" : "";
}

std::string SetBias(Session& session, graph::WeightedLayer layer, const std::vector<double>& bias,
                    const std::string& decided_by) {
  if (std::string why = BiasObstacle(session, layer); !why.empty()) return why;
  graph::Graph& graph = *session.model.graph;
  const std::string old_value = BiasValue(graph, layer);
  const auto source = session.encodings.find(layer.input());
  const auto weight = session.encodings.find(layer.weight());
  const bool had_grid = session.encodings.contains(old_value);
  const bool on_codes = had_grid || (old_value.empty() && !ComputesInFloats(session, layer));
  std::optional<Encoding> grid;
  if (session.target.quantize_bias && source != session.encodings.end() &&
      weight != session.encodings.end() && !source->second.grid.is_float() &&
      !weight->second.grid.is_float() && !layer.bias_add && on_codes) {
    grid = BiasEncoding(source->second.params[0].scale * layer.weight_factor, weight->second,
                        layer.out_channels(), decided_by);
    if (!FitsGrid(*grid, bias)) return "the corrected bias would not fit int32";
  }
  graph::WriteBias(&graph, &layer, bias);
  // WriteBias does not change a bias that others read.
  if (had_grid && !graph.Constant(old_value)) session.encodings.erase(old_value);
  if (grid) session.encodings[layer.node->input(2)] = *grid;
  return "";
}

}  // namespace roundel::layers
