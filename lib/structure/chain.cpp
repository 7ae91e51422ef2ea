#include "lib/structure/chain.h"

#include <algorithm>
#include <limits>

#include "lib/base/text.h"
#include "lib/structure/shape_of_region.h"

namespace roundel::structure {
namespace {

constexpr int64_t kChainLayers = 4;   // of a block of several regions, or of part of one
constexpr int64_t kRegionLayers = 8;  // of a region that stays whole
// Costs of cuts: a block less is worth kBlock, a limit or a gradient more than any number of them.
constexpr double kBlock = 4, kInside = 6, kLive = 3, kPooled = 1, kAfterDepthwise = 1;
constexpr double kOverLimit = 1e5, kNoGradient = 1e9;

// Dynamic programming over the places between nodes.
class Cutter {
 public:
  Cutter(const Flow& flow, const Regions& regions, const BlockOptions& options, const Chain& chain)
      : flow_(flow), regions_(regions), options_(options), chain_(chain) {}

  std::vector<Piece> Cut() {
    ReadRegions();
    std::vector<Piece> pieces;
    size_t begin = Begin();
    for (size_t end = begin + 1; end <= End(); ++end) {
      if (end < End() && !required_[end - Begin()]) continue;
      CutRange(begin, end, &pieces);
      begin = end;
    }
    return pieces;
  }

 private:
  size_t Begin() const { return regions_.regions[chain_.first].begin; }
  size_t End() const { return regions_.regions[chain_.last].end; }
  const Region& RegionAt(size_t place) const { return regions_.regions[regions_.region[place]]; }

  // Costs of a cut before each place, and where there must be one.
  void ReadRegions() {
    const size_t count = End() - Begin();
    cost_.resize(count + 1);
    required_.resize(count + 1);
    units_.resize(count);
    size_t layered = 0;  // regions with layers so far
    const Region* previous = nullptr;
    bool activation = false, pooled = false;
    for (size_t r = chain_.first; r <= chain_.last; ++r) {
      const Region& region = regions_.regions[r];
      const int64_t layers = CountLayers(flow_, regions_, region);
      const bool gate = EndingOf(flow_, regions_, region) == Ending::kGate;
      ReadNodes(region, options_.max_layers == 0 && gate);
      cost_[region.begin - Begin()] = CostBefore(region.begin, pooled);
      const bool ends_active = HasActivation(flow_, regions_, region);
      if (layers == 0) {
        activation = activation || ends_active;
        pooled = pooled || PoolsAll(flow_, regions_, region);
        continue;
      }
      if (previous && options_.max_layers == 0 &&
          (IsEnd(*previous, region, activation) ||
           (layered == 1 && chain_.starts && IsSingle(*previous))))
        Require(*previous, region);
      before_last_ = previous;
      previous = &region;
      activation = ends_active;
      pooled = false;
      ++layered;
    }
    if (before_last_ && options_.max_layers == 0 && chain_.ends && IsSingle(*previous))
      Require(*before_last_, *previous);
  }

  // Places the cut between two regions with layers: where it costs least, as late as possible.
  void Require(const Region& before, const Region& after) {
    size_t best = after.begin - Begin();
    for (size_t place = best; place >= before.end - Begin(); --place)
      if (IsStart(place + Begin()) && cost_[place] < cost_[best]) best = place;
    required_[best] = true;
  }

  bool IsStart(size_t place) const { return regions_.region[place] != regions_.region[place - 1]; }

  // Few values should pass, and targets before pooling of all positions say more than after it.
  double CostBefore(size_t place, bool pooled) const {
    if (place == Begin()) return 0;
    const int last = regions_.order[place - 1];
    return kLive * (flow_.results[last] - 1) + (pooled ? kPooled : 0) + AfterDepthwise(place);
  }

  void ReadNodes(const Region& region, bool as_one_layer) {
    bool counted = false;
    for (size_t i = region.begin; i < region.end; ++i) {
      const bool layer = flow_.layer[regions_.order[i]];
      units_[i - Begin()] = layer && !(as_one_layer && counted);
      counted = counted || layer;
      cost_[i - Begin()] = kInside + kLive * chain_.live[i];
    }
  }

  bool IsSingle(const Region& region) const { return CountLayers(flow_, regions_, region) == 1; }

  // A block of the literature ends between these regions.
  bool IsEnd(const Region& before, const Region& after, bool activation) const {
    const Ending ending = EndingOf(flow_, regions_, before);
    return ending == Ending::kResidual || ending == Ending::kJoin ||
           EndingOf(flow_, regions_, after) == Ending::kResidual || !activation;
  }

  // The channels of a depthwise layer meet in the next layer only.
  double AfterDepthwise(size_t place) const {
    for (size_t i = place; i-- > Begin();)
      if (const int node = regions_.order[i]; flow_.layer[node])
        return flow_.IsDepthwise(node) ? kAfterDepthwise : 0;
    return 0;
  }

  // The least cost by dynamic programming, from the end; of equal ones the longest first piece.
  void CutRange(size_t begin, size_t end, std::vector<Piece>* pieces) {
    std::vector<double> best(end - begin + 1, std::numeric_limits<double>::infinity());
    std::vector<size_t> next(end - begin + 1, end);
    best[end - begin] = 0;
    for (size_t i = end; i-- > begin;) {
      Sum sum;
      for (size_t j = i + 1; j <= end; ++j) {
        Extend(i, j - 1, &sum);
        const double penalty = Penalty(sum);
        if (penalty >= kOverLimit && best[i - begin] < kOverLimit) break;
        const double cost =
            kBlock + penalty + best[j - begin] + (j == end ? 0 : cost_[j - Begin()]);
        if (cost <= best[i - begin]) {
          best[i - begin] = cost;
          next[i - begin] = j;
        }
      }
    }
    for (size_t i = begin; i < end; i = next[i - begin]) {
      const size_t j = next[i - begin];
      pieces->push_back({{regions_.order.begin() + static_cast<std::ptrdiff_t>(i),
                          regions_.order.begin() + static_cast<std::ptrdiff_t>(j)},
                         Boundary(i, j)});
    }
  }

  struct Sum {
    int64_t units = 0, layers = 0, weights = 0;
    size_t region = 0;       // of the last layer
    bool one_region = true;  // all layers are in it
    bool no_gradient = false;
  };

  void Extend(size_t begin, size_t place, Sum* sum) const {
    const int node = regions_.order[place];
    sum->units += units_[place - Begin()];
    if (flow_.layer[node]) {
      sum->one_region &= sum->layers == 0 || sum->region == regions_.region[place];
      sum->region = regions_.region[place];
      ++sum->layers;
      sum->weights += flow_.WeightSize(node);
    }
    sum->no_gradient |= chain_.barriers[place] >= static_cast<int>(begin);
  }

  double Penalty(const Sum& sum) const {
    const bool whole = sum.one_region && sum.layers > 0 &&
                       sum.layers == CountLayers(flow_, regions_, regions_.regions[sum.region]);
    const int64_t limit = options_.max_layers > 0 ? options_.max_layers
                          : whole                 ? kRegionLayers
                                                  : kChainLayers;
    double penalty = kOverLimit * static_cast<double>(std::max<int64_t>(0, sum.units - limit));
    if (options_.max_weights > 0 && sum.weights > options_.max_weights && sum.layers > 1)
      penalty += kOverLimit * static_cast<double>(sum.layers - 1);
    if (sum.layers == 0) penalty += kOverLimit;
    return penalty + (sum.no_gradient ? kNoGradient : 0);
  }

  std::string Boundary(size_t begin, size_t end) const {
    for (size_t i = end; i < regions_.order.size(); ++i) {
      const int barrier = chain_.barriers[i];
      if (barrier < static_cast<int>(begin) || barrier >= static_cast<int>(end)) continue;
      if (CountFrom(end, i) > 0) break;
      const graph::Node& node = *flow_.nodes[regions_.order[i]];
      return StrCat(node.DisplayName(), ": ", options_.why_no_gradient(node));
    }
    if (end == End() || regions_.region[end - 1] != regions_.region[end]) return "";
    return StrCat("a part of ", CountLayers(flow_, regions_, RegionAt(end)),
                  " layers has no point that all data pass; ", chain_.live[end],
                  " values leave this block or bypass it");
  }

  int64_t CountFrom(size_t begin, size_t end) const {
    int64_t layers = 0;
    for (size_t i = begin; i < end; ++i) layers += flow_.layer[regions_.order[i]];
    return layers;
  }

  const Flow& flow_;
  const Regions& regions_;
  const BlockOptions& options_;
  const Chain& chain_;
  const Region* before_last_ = nullptr;  // with layers
  std::vector<double> cost_;
  std::vector<bool> required_;
  std::vector<int64_t> units_;
};

}  // namespace

std::vector<Piece> CutChain(const Flow& flow, const Regions& regions, const BlockOptions& options,
                            const Chain& chain) {
  return Cutter(flow, regions, options, chain).Cut();
}

}  // namespace roundel::structure
