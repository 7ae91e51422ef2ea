// Learns the ranges of weights by gradients through blocks of several layers (OmniQuant).
//
// Learned weight clipping (LWC): the grid of each row or block of a weight w spans
//
//   [sigmoid(l) min w, sigmoid(u) max w]        l = u = 4 at the start, which is 98 % of the range
//
// from which scale and zero point follow; a symmetric grid spans what the longer side needs. Codes are
// the nearest ones in every step, and rounding passes gradients straight through, to the zero point,
// too. Weights start at their float values: codes that a pass before has chosen are not kept.
//
// Learned equivalent transformation (LET): a norm or layer that makes channels, and the layers that
// read them, get a scale s for each channel, which leaves the float model's function as it is:
//
//   norm:   gain / s, bias / s     layer:   rows of W / s, bias / s     readers:   columns of W * s
//
// for norm -> q, k, v; v -> o; norm -> gate, up; up -> down; and any other layers with homogeneous
// nodes between. Groups are found by a run of these nodes (lib/tune/scale_groups), so that value
// channels which several query heads read have one scale. s is learned as a logarithm, from 1, with
// the clipping of all weights that it changes, whose ranges follow; only groups within one block take
// part. With activations that stay float it is off unless asked for, as published for Llama.
//
// `scales_out` writes what the weights were multiplied with, for adapters that were trained on the float
// model.
//
// Blocks, targets and acceptance as in block_reconstruction: the targets are those of the float model,
// the inputs come from the model with all blocks before quantized.
//
// Source: Shao et al. 2023 (OmniQuant). Published: one sequence a step, 20 passes over 128 of them
// (40 for 2 bits), rates 1e-2 and 5e-3, constant; scales start from the ranges of activations. Here
// rates fall to 0, and scales start at 1 as in AIMET. No shifts, and no scales between q and k.

#include <algorithm>
#include <map>
#include <set>

#include "lib/base/file.h"
#include "lib/tensor/safetensors.h"
#include "lib/tune/group_forms.h"
#include "passes/block_pass.h"

namespace roundel::passes {
namespace {

// The groups of the model, if their scales are to be learned.
Result<std::vector<tune::ScaleGroup>> Groups(Session& session, const recipe::Params& params,
                                             bool activations) {
  const std::string& transform = params.String("transform");
  if (transform == "off" || (transform == "auto" && !activations) || session.running_graph)
    return std::vector<tune::ScaleGroup>();
  RETURN_IF_ERROR(session.data->Rewind());
  ASSIGN_OR_RETURN(const std::optional<Batch> batch, session.data->Next());
  if (!batch) return std::vector<tune::ScaleGroup>();
  return tune::FindScaleGroups(session.model, batch->inputs);
}

// Forms of the biases that have none.
void AddBiases(const Session& session, const structure::Block& block,
               const std::vector<size_t>& layers, const recipe::Params& params,
               std::vector<tune::FormPtr>* forms) {
  std::set<std::string> values;
  for (const tune::FormPtr& form : *forms) values.insert(form->value());
  for (const size_t k : layers) {
    std::string why;
    const auto layer = graph::MatchLayer(*session.model.graph,
                                         session.model.graph->nodes()[block.layers[k]].get(), &why);
    if (!layer) continue;
    tune::FormPtr bias = tune::MakeBiasForm(session, *layer, params.Float("bias_rate"));
    if (bias && !values.contains(bias->value())) forms->push_back(std::move(bias));
  }
}

// What the columns of a reader's weight were multiplied by, and what the rows of a maker's were divided
// by: the factors with which the two matrices of a low-rank adapter have to follow.
std::map<std::string, Tensor> AdapterScales(const std::vector<tune::ScaleGroup>& groups,
                                            const tune::KeptScales& kept) {
  std::map<std::string, Tensor> scales;
  for (const tune::ScaleGroup& group : groups) {
    const auto logarithms = kept.find(tune::LearnedName(group));
    if (logarithms == kept.end()) continue;
    for (const auto* members : {&group.makers, &group.readers})
      for (const tune::GroupMember& member : *members) {
        const bool makes = members == &group.makers;
        Tensor ones = Tensor::Empty(DType::kFloat, member.channel.shape());
        std::fill_n(ones.mutable_data<float>(), ones.size(), 1.0f);
        const tune::ChannelScale scale{.logarithms = {}, .channel = member.channel};
        scales[member.value + (makes ? ".divided_by" : ".multiplied_by")] =
            tune::Scaled(ones, {scale}, {&logarithms->second, 1});
      }
  }
  return scales;
}

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  const tune::TuneOptions options = ReadBlockOptions(session, "omniquant", params);
  ASSIGN_OR_RETURN(const std::vector<tune::ScaleGroup> groups,
                   Groups(session, params, options.activations));
  tune::KeptScales kept;
  const tune::GroupSettings settings{.clipping = {.rate = params.Float("rate")},
                                     .rate = params.Float("transform_rate")};
  const auto forms = [&](const structure::Block& block, const std::vector<size_t>& layers,
                         int64_t) -> Result<std::vector<tune::FormPtr>> {
    std::vector<tune::FormPtr> made =
        tune::MakeGroupForms(session, block, layers, groups, settings, &kept);
    if (params.Float("bias_rate") > 0) AddBiases(session, block, layers, params, &made);
    return made;
  };
  ASSIGN_OR_RETURN(const Outcome outcome, tune::TuneBlocks(session, options, forms));
  session.report->Metric("groups", std::ssize(groups));
  // A restored start has no scales.
  if (outcome == Outcome::kUnchanged) kept.clear();
  session.report->Metric("transformed", std::ssize(kept));
  const std::string& file = params.String("scales_out");
  if (!file.empty() && !session.dry)
    RETURN_IF_ERROR(WriteFileAtomically(file, SafetensorsText(AdapterScales(groups, kept))));
  return outcome;
}

}  // namespace

PassInfo omniquant_pass() {
  PassInfo info = BlockPass(
      "omniquant", "learns clipping of weights, and scales that layers share, through blocks",
      {.iterations = 640, .batch = 4, .scale_rate = 0, .bias_rate = 0},
      {{.name = "rate",
        .default_value = 1e-2,
        .help = "learning rate of the clipping of weights",
        .min = 0,
        .max = 1},
       {.name = "transform",
        .default_value = std::string("auto"),
        .help = "whether to learn scales of channels that norms and layers share with "
                "the layers after them; auto: if activations are quantized",
        .choices = {"auto", "on", "off"}},
       {.name = "transform_rate",
        .default_value = 5e-3,
        .help = "learning rate of the logarithms of these scales",
        .min = 0,
        .max = 1},
       {.name = "scales_out",
        .default_value = std::string(),
        .help = "safetensors file for these scales, with which adapters of the weights "
                "have to follow"}},
      Run);
  // Scales follow from ranges, and codes from both.
  std::erase_if(info.params, [](const recipe::ParamSpec& one) {
    return one.name == "scale_rate" || one.name == "start";
  });
  return info;
}

}  // namespace roundel::passes
