#include <algorithm>
#include <set>

#include "lib/tune/losses.h"
#include "lib/tune/ranges.h"
#include "lib/tune/sample_rows.h"
#include "lib/tune/tuning.h"

namespace roundel::tune {
namespace {

using structure::Block;

// Why the codes of layer `k` of the block cannot be learned; "" if they can. Requires an encoding.
std::string Obstacle(const Tuning& s, const std::set<const graph::Node*>& nodes,
                     const std::string& weight) {
  std::string why = WhyNoRounding(s.session.encodings.at(weight));
  if (!why.empty()) return why;
  const std::vector<graph::Use>& uses = s.session.model.graph->Uses(weight);
  const bool outside = std::any_of(
      uses.begin(), uses.end(), [&](const graph::Use& use) { return !nodes.contains(use.node); });
  return outside ? "another block has the same weights" : "";
}

// The block's layers with weights that may change; one for each weight.
std::vector<size_t> LearnedLayers(Tuning& s, const Block& block, report::PassReport* report) {
  const auto& all = s.session.model.graph->nodes();
  std::set<const graph::Node*> nodes;
  for (const size_t i : block.nodes) nodes.insert(all[i].get());
  std::vector<size_t> learned;
  std::set<std::string> weights;
  for (size_t k = 0; k < block.layers.size(); ++k) {
    const std::string& weight = block.weights[k];
    if (!s.session.encodings.contains(weight) || !weights.insert(weight).second) continue;
    const std::string why = Obstacle(s, nodes, weight);
    if (why.empty()) learned.push_back(k);
    if (why.empty() || !report) continue;
    report->Add(all[block.layers[k]]->DisplayName(), "declined", why);
    ++s.declined;
  }
  return learned;
}

// Of the block's inputs.
std::vector<int64_t> RanksOf(const walk::Streams& streams, const Block& block) {
  std::vector<int64_t> ranks;
  for (const std::string& input : block.inputs)
    ranks.push_back(std::ssize(streams.quantized(input)[0]->shape()));
  return ranks;
}

BlockParts PartsOf(const Tuning& s, const Block& block, const std::vector<DType>& types,
                   const std::vector<FormPtr>& forms) {
  BlockParts parts{.model = s.session.model,
                   .block = block,
                   .input_types = types,
                   .input_ranks = {},
                   .encodings = s.stream,
                   .learned = {},
                   .learned_shapes = {},
                   .scales = {},
                   .zero_points = {},
                   .losses = {},
                   .has_reference = s.options.train.drop > 0};
  for (const FormPtr& form : forms) {
    parts.learned.push_back(form->value());
    parts.learned_shapes.push_back(form->start().shape());
    for (const std::string& activation : form->activations())
      parts.scales[activation] = form->value();
    for (const std::string& activation : form->zero_points())
      parts.zero_points[activation] = form->value();
  }
  return parts;
}

}  // namespace

std::string SpillFolder(const Tuning& s) {
  return s.session.store ? s.session.store->folder() : "";
}

Result<std::vector<FormPtr>> FormsOf(Tuning& s, size_t index, report::PassReport* report) {
  const std::vector<size_t> layers = LearnedLayers(s, s.blocks[index], report);
  if (layers.empty()) return std::vector<FormPtr>();
  ASSIGN_OR_RETURN(std::vector<FormPtr> forms, s.make_forms(s.blocks[index], layers, s.iterations));
  if (!s.options.activations) return forms;
  for (FormPtr& range : RangeForms(s.session, s.blocks, index, s.options.range_rates))
    forms.push_back(std::move(range));
  return forms;
}

Status Prepare(Tuning& s, size_t index, const walk::Stretches::Part& part,
               const walk::Streams& streams, const std::vector<FormPtr>& forms, Workbench* bench) {
  const Block& block = s.blocks[index];
  const TrainSettings& train = s.options.train;
  ASSIGN_OR_RETURN(const std::vector<DType> types, streams.TypesOf(part));
  ASSIGN_OR_RETURN(const bool apart, SamplesApart(s.session.model, part, streams));
  BlockParts parts = PartsOf(s, block, types, forms);
  parts.input_ranks = RanksOf(streams, block);
  const std::vector<std::string> targets(
      block.outputs.begin(), block.outputs.begin() + static_cast<int64_t>(block.targets));
  bench->samples.emplace(streams, block.inputs, targets, parts.has_reference, apart);
  ASSIGN_OR_RETURN(parts.losses, LossesOf(s, index, streams, *bench->samples));
  ASSIGN_OR_RETURN(const graph::Model training,
                   MakeBlockModel(parts, true, {.probability = train.drop}));
  ASSIGN_OR_RETURN(const graph::Model judging, MakeBlockModel(parts, false, {}));
  bench->batch = BatchSize(*bench->samples, train.batch);
  ASSIGN_OR_RETURN(bench->runner,
                   BlockRunner::Create(training, judging, *bench->samples, bench->batch, &s.lanes));
  ASSIGN_OR_RETURN(bench->model, FormsModel::Create(forms));
  return OkStatus();
}

}  // namespace roundel::tune
