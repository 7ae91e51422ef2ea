#include "lib/tune/group_forms.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "lib/layers/layer_bias.h"

namespace roundel::tune {
namespace {

// Scales stay between this and its inverse (published: 1e-2).
constexpr double kLeastScale = 1e-2;

// The constants of a block and the scales that they have.
class BlockConstants {
 public:
  BlockConstants(const Session& session, const structure::Block& block,
                 const std::vector<size_t>& layers)
      : session_(session), graph_(*session.model.graph) {
    for (const size_t i : block.nodes) nodes_.insert(graph_.nodes()[i].get());
    for (const size_t k : layers)
      if (WhyNoClipping(session.encodings.at(block.weights[k])).empty())
        weights_.push_back(block.weights[k]);
  }

  void Add(const ScaleGroup& group, double rate) {
    const auto fits = [&](const GroupMember& member) { return Fits(member); };
    if (!std::all_of(group.makers.begin(), group.makers.end(), fits) ||
        !std::all_of(group.readers.begin(), group.readers.end(), fits))
      return;
    const Learned logarithms = {.name = LearnedName(group),
                                .start = Tensor::Zeros(DType::kFloat, {group.channels}),
                                .rate = rate,
                                .codes = true,
                                .low = static_cast<float>(std::log(kLeastScale)),
                                .high = static_cast<float>(-std::log(kLeastScale))};
    for (const auto* members : {&group.makers, &group.readers})
      for (const GroupMember& member : *members) {
        scales_[member.value].push_back({logarithms, member.channel, members == &group.makers});
        if (!IsWeight(member.value)) others_.emplace(member.value, &member);
      }
  }

  std::vector<FormPtr> Forms(const ClippingSettings& clipping, KeptScales* kept) const {
    std::vector<FormPtr> forms;
    for (const std::string& weight : weights_)
      forms.push_back(MakeClippingForm(weight, *graph_.Constant(weight),
                                       session_.encodings.at(weight), clipping, ScalesOf(weight),
                                       kept));
    for (const auto& [value, member] : others_) {
      const auto layer = member->is_bias ? LayerOf(*member) : std::nullopt;
      forms.push_back(MakeScaledForm(value, *graph_.FindInitializer(value), ScalesOf(value),
                                     layer ? &*layer : nullptr));
    }
    return forms;
  }

 private:
  std::optional<graph::WeightedLayer> LayerOf(const GroupMember& member) const {
    std::string why;
    return graph::MatchLayer(graph_, graph_.nodes()[*member.layer].get(), &why);
  }

  bool IsWeight(const std::string& value) const {
    return std::find(weights_.begin(), weights_.end(), value) != weights_.end();
  }

  // Whether the block alone reads the constant, which may change.
  bool Fits(const GroupMember& member) const {
    for (const graph::Use& use : graph_.Uses(member.value))
      if (!nodes_.contains(use.node)) return false;
    if (member.is_bias) return layers::BiasObstacle(session_, *LayerOf(member)).empty();
    return IsWeight(member.value) || !session_.encodings.contains(member.value);
  }

  std::vector<ChannelScale> ScalesOf(const std::string& value) const {
    const auto found = scales_.find(value);
    return found == scales_.end() ? std::vector<ChannelScale>() : found->second;
  }

  const Session& session_;
  const graph::Graph& graph_;
  std::set<const graph::Node*> nodes_;
  std::vector<std::string> weights_;
  std::map<std::string, std::vector<ChannelScale>> scales_;
  std::map<std::string, const GroupMember*> others_;
};

}  // namespace

std::string LearnedName(const ScaleGroup& group) { return group.name + "/scales"; }

std::vector<FormPtr> MakeGroupForms(const Session& session, const structure::Block& block,
                                    const std::vector<size_t>& layers,
                                    const std::vector<ScaleGroup>& groups,
                                    const GroupSettings& settings, KeptScales* kept) {
  BlockConstants constants(session, block, layers);
  for (const ScaleGroup& group : groups) constants.Add(group, settings.rate);
  return constants.Forms(settings.clipping, kept);
}

}  // namespace roundel::tune
