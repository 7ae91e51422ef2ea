#include "lib/structure/partition.h"

#include <algorithm>

#include "lib/structure/chain.h"
#include "lib/structure/shape_of_region.h"

namespace roundel::structure {
namespace {

std::vector<int> FindBarriers(const Flow& flow, const Regions& regions,
                              const BlockOptions& options) {
  std::vector<int> last_layer(flow.nodes.size(), Flow::kNone);  // on a way to the node, or itself
  std::vector<int> barriers(regions.order.size(), Flow::kNone);
  for (size_t i = 0; i < regions.order.size(); ++i) {
    const int n = regions.order[i];
    int before = Flow::kNone;
    for (const int source : flow.from[n]) before = std::max(before, last_layer[source]);
    if (before != Flow::kNone && options.why_no_gradient &&
        !options.why_no_gradient(*flow.nodes[n]).empty())
      barriers[i] = before;
    last_layer[n] = flow.layer[n] ? static_cast<int>(i) : before;
  }
  return barriers;
}

std::vector<int> CountLive(const Flow& flow, const Regions& regions) {
  std::vector<int> place(flow.nodes.size(), Flow::kNone);
  for (size_t i = 0; i < regions.order.size(); ++i) place[regions.order[i]] = static_cast<int>(i);
  std::vector<int> last(regions.order.size(), Flow::kNone);
  for (size_t i = 0; i < regions.order.size(); ++i)
    for (const int source : flow.from[regions.order[i]])
      if (place[source] != Flow::kNone) last[place[source]] = static_cast<int>(i);
  std::vector<int> live(regions.order.size() + 2);
  for (size_t i = 0; i < last.size(); ++i) {
    if (last[i] == Flow::kNone) continue;
    const int values = std::max(1, flow.results[regions.order[i]]);
    live[i + 1] += values;
    live[last[i] + 1] -= values;
  }
  for (size_t i = 1; i < live.size(); ++i) live[i] += live[i - 1];
  return live;
}

// Collects pieces; nodes without a layer join another piece.
class Pieces {
 public:
  explicit Pieces(const Flow& flow) : flow_(flow), piece_of_(flow.nodes.size(), Flow::kNone) {}

  // `entry`: of the chain of the pieces. `passes`: whether gradients pass all its nodes.
  void Add(std::vector<Piece> chain, int entry, bool passes) {
    for (Piece& piece : chain) {
      const bool has_layer = std::any_of(piece.nodes.begin(), piece.nodes.end(),
                                         [&](int node) { return flow_.layer[node]; });
      const int before = entry == Flow::kNone ? Flow::kNone : piece_of_[entry];
      if (!has_layer && chain.size() == 1 && passes && before != Flow::kNone) {
        for (const int node : piece.nodes) Put(node, before);
        continue;
      }
      for (const int node : piece.nodes) open_.push_back(node);
      if (!has_layer) continue;
      pieces_.push_back({{}, std::move(piece.boundary)});
      for (const int node : open_) Put(node, static_cast<int>(pieces_.size()) - 1);
      open_.clear();
    }
  }

  std::vector<Piece> Take() { return std::move(pieces_); }

 private:
  void Put(int node, int piece) {
    pieces_[piece].nodes.push_back(node);
    piece_of_[node] = piece;
  }

  const Flow& flow_;
  std::vector<Piece> pieces_;
  std::vector<int> piece_of_;
  std::vector<int> open_;  // nodes without a layer, for the next piece
};

}  // namespace

std::vector<Piece> Partition(const Flow& flow, const Regions& regions,
                             const BlockOptions& options) {
  const std::vector<int> barriers = FindBarriers(flow, regions, options);
  const std::vector<int> live = CountLive(flow, regions);
  const std::vector<Region>& all = regions.regions;
  const auto is_leaf = [](const Region& region) { return region.children == 0; };
  const bool one_end = std::count_if(all.begin(), all.end(), is_leaf) == 1;
  std::vector<bool> follows(all.size());  // a layer is in the region or in one of its ancestors
  Pieces pieces(flow);
  for (size_t first = 0, last = 0; first < all.size(); first = last + 1) {
    last = first;
    const bool starts = all[first].parent == Flow::kNone || !follows[all[first].parent];
    follows[first] = !starts || CountLayers(flow, regions, all[first]) > 0;
    if (!follows[first]) continue;  // before the first layer
    while (all[last].children == 1) follows[++last] = true;
    const auto begin = barriers.begin();
    const bool passes = std::all_of(begin + static_cast<std::ptrdiff_t>(all[first].begin),
                                    begin + static_cast<std::ptrdiff_t>(all[last].end),
                                    [](int barrier) { return barrier == Flow::kNone; });
    const Chain chain{.first = first,
                      .last = last,
                      .starts = starts,
                      .ends = one_end && is_leaf(all[last]),
                      .barriers = barriers,
                      .live = live};
    pieces.Add(CutChain(flow, regions, options, chain), all[first].entry, passes);
  }
  return pieces.Take();
}

}  // namespace roundel::structure
