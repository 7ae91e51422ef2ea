#include "lib/targets/export.h"

#include <algorithm>

#include "lib/graph/bodies.h"
#include "lib/graph/opset.h"
#include "lib/graph/rounded_products.h"
#include "lib/targets/formats.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/kept_float.h"
#include "lib/targets/layer_forms.h"
#include "lib/targets/narrow.h"

namespace roundel::target {
namespace {

bool HasActivations(const quant::EncodingTable& table) {
  return std::any_of(table.begin(), table.end(), [](const auto& entry) {
    return entry.second.role == quant::Role::kActivation;
  });
}

}  // namespace

ExportOptions OptionsFor(const Profile& profile, const std::string& format) {
  const auto rank = profile.max_channel_rank.find("MatMul");
  return {.format = format.empty() ? profile.format : format,
          .qdq = {.absorb_relu = profile.absorb_relu,
                  .contrib_qdq = profile.contrib_qdq,
                  .e8m0_scales = profile.e8m0_scales,
                  .quantizes_between_pairs = profile.quantizes_between_pairs,
                  .matmul_channel_rank = rank == profile.max_channel_rank.end() ? 0 : rank->second,
                  .min_opset = profile.min_opset},
          .rounds_product_inputs = profile.rounds_product_inputs,
          .accuracy_level = profile.accuracy_level,
          .narrow = NarrowOptionsOf(profile)};
}

Result<graph::Model> Export(const graph::Model& model, const quant::EncodingTable& encodings,
                            const ExportOptions& options) {
  ASSIGN_OR_RETURN(const Format* format, FindFormat(options.format));
  graph::Model floats = graph::Clone(model);
  const graph::Bodies bodies = graph::FlattenBodies(&floats);
  RETURN_IF_ERROR(CheckExportable(floats, encodings));
  quant::EncodingTable rest = encodings;
  if (format->before) format->before(options, &floats, &rest);
  if (!options.dynamic_layers.empty()) {
    constexpr int64_t kDynamicQuantizeLinear = 11;
    WriteDynamic(options.dynamic_layers, &floats, &rest);
    if (floats.Opset() < kDynamicQuantizeLinear)
      RETURN_IF_ERROR(graph::RaiseOpset(&floats, kDynamicQuantizeLinear));
  }
  ASSIGN_OR_RETURN(graph::Model out, ExportQdq(floats, rest, options.qdq));
  if (format->after) format->after(options, &out);
  KeepFloats(options.qdq, &out);
  WidenClips(&out);
  if (bodies.bodies.empty()) MergeInitializers(out.graph.get());  // otherwise RestoreBodies merges
  graph::RestoreBodies(bodies, &out);
  RETURN_IF_ERROR(NarrowTypes(options.types, options.narrow, &out));
  NoteKeptFloat(HasActivations(encodings) ? options.kept_float : std::set<std::string>(), &out);
  out.SetMetadata("roundel.format", format->title);
  if (options.rounds_product_inputs && CountLayerForms(out).products > 0)
    out.SetMetadata(graph::kRoundsProductInputs, "true");
  return out;
}

}  // namespace roundel::target
