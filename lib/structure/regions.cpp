#include "lib/structure/regions.h"

#include <algorithm>
#include <map>
#include <set>

namespace roundel::structure {

std::vector<int> ImmediateDominators(const std::vector<std::vector<int>>& from) {
  std::vector<int> idom(from.size(), Flow::kNone);
  for (size_t n = 0; n < from.size(); ++n) {
    if (from[n].empty()) continue;
    int common = from[n][0];
    for (int other : from[n])  // dominators have lower numbers
      while (common != other) (common > other ? common : other) = idom[std::max(common, other)];
    idom[n] = common;
  }
  return idom;
}

namespace {

// The core as a graph of its own. Vertices: first the float graph inputs that it reads, then nodes.
struct Core {
  std::vector<int> node;  // kNone for a graph input
  std::vector<std::vector<int>> from;
  std::vector<std::vector<int>> to;
};

Core MakeCore(const Flow& flow) {
  Core core;
  std::map<std::string, int> inputs;
  for (size_t n = 0; n < flow.nodes.size(); ++n)
    for (const std::string& value : flow.reads[n])
      if (flow.core[n] && flow.Producer(value) == Flow::kNone && flow.IsFloat(value))
        inputs.emplace(value, 0);
  for (auto& [name, vertex] : inputs) {
    vertex = static_cast<int>(core.node.size());
    core.node.push_back(Flow::kNone);
    core.from.emplace_back();
  }
  std::vector<int> vertex_of(flow.nodes.size(), Flow::kNone);
  for (size_t n = 0; n < flow.nodes.size(); ++n) {
    if (!flow.core[n]) continue;
    vertex_of[n] = static_cast<int>(core.node.size());
    core.node.push_back(static_cast<int>(n));
    std::vector<int>& from = core.from.emplace_back();
    for (const int source : flow.from[n])
      if (vertex_of[source] != Flow::kNone) from.push_back(vertex_of[source]);
    for (const std::string& value : flow.reads[n])
      if (const auto input = inputs.find(value); input != inputs.end())
        from.push_back(input->second);
  }
  core.to.resize(core.from.size());
  for (size_t v = 0; v < core.from.size(); ++v)
    for (const int source : core.from[v]) core.to[source].push_back(static_cast<int>(v));
  return core;
}

// What the main input reaches among the vertices that are not placed: the source that most layers
// depend on. The other sources (states, positions, what another network computes) enter from the
// side.
std::vector<bool> MainPart(const Flow& flow, const Core& core, const std::vector<bool>& placed) {
  std::vector<bool> main;
  int64_t most = -1;
  for (size_t start = 0; start < core.from.size(); ++start) {
    const auto is_open = [&](int source) { return !placed[source]; };
    if (placed[start] || std::any_of(core.from[start].begin(), core.from[start].end(), is_open))
      continue;
    std::vector<bool> reached(core.from.size());
    int64_t layers = 0;
    for (size_t v = start; v < reached.size(); ++v) {
      for (const int source : core.from[v])
        if (reached[source]) reached[v] = true;
      if (v == start) reached[v] = true;
      layers += reached[v] && core.node[v] != Flow::kNone && flow.layer[core.node[v]];
    }
    if (layers > most) {
      most = layers;
      main = reached;
    }
  }
  return main;
}

// Whether a vertex dominates everything that depends on it. An edge that leaves the part which a
// vertex dominates ends that for it.
std::vector<bool> FindEntries(const std::vector<std::vector<int>>& from,
                              const std::vector<int>& idom) {
  std::vector<bool> entry(from.size(), true);
  for (size_t v = 0; v < from.size(); ++v)
    for (const int source : from[v])
      for (int w = source; w != idom[v]; w = idom[w]) entry[w] = false;
  return entry;
}

// The nearest dominator of each vertex that is an entry, kNone if there is none.
std::vector<int> NearestEntries(const std::vector<int>& idom, const std::vector<bool>& entry) {
  std::vector<int> nearest(idom.size(), Flow::kNone);
  for (size_t v = 0; v < idom.size(); ++v)
    if (const int up = idom[v]; up != Flow::kNone) nearest[v] = entry[up] ? up : nearest[up];
  return nearest;
}

// The entry of the region of each vertex of the main part.
std::vector<int> EntryOfEach(const Core& core, const std::vector<bool>& main) {
  std::vector<std::vector<int>> from(core.from.size());
  for (size_t v = 0; v < from.size(); ++v)
    for (const int source : core.from[v])
      if (main[v] && main[source]) from[v].push_back(source);
  const std::vector<int> idom = ImmediateDominators(from);
  return NearestEntries(idom, FindEntries(from, idom));
}

// Regions in depth-first order of their tree, so that each begins as soon as its entry is known.
class Orderer {
 public:
  Orderer(const Flow& flow, const Core& core)
      : flow_(flow), core_(core), placed_(core.node.size()) {}

  Regions Run() {
    while (std::find(placed_.begin(), placed_.end(), false) != placed_.end()) {
      main_ = MainPart(flow_, core_, placed_);
      const std::vector<int> entry = EntryOfEach(core_, main_);
      members_.clear();
      for (size_t v = 0; v < entry.size(); ++v)
        if (main_[v]) members_[entry[v]].push_back(static_cast<int>(v));
      MoveStartsOfBranches();
      PlaceMainPart();
    }
    return std::move(result_);
  }

 private:
  // Where a region has several next ones, each branch begins with its own first node.
  void MoveStartsOfBranches() {
    const auto leads = [&](int v) { return members_.contains(v); };
    for (const auto& [entry, members] : members_) {
      if (std::count_if(members.begin(), members.end(), leads) < 2) continue;
      for (const int v : members)
        if (leads(v) && core_.from[v].size() == 1) starts_.insert(v);
    }
  }

  void PlaceMainPart() {
    struct Open {
      int entry, parent;
    };
    std::vector<Open> open = {{Flow::kNone, Flow::kNone}};
    while (!open.empty()) {
      const auto [entry, parent] = open.back();
      open.pop_back();
      if (!members_.contains(entry)) continue;
      const int id = static_cast<int>(result_.regions.size());
      Region region{.entry = entry == Flow::kNone ? Flow::kNone : core_.node[entry],
                    .parent = parent,
                    .begin = result_.order.size()};
      if (starts_.contains(entry)) Place(entry, id);
      for (const int v : members_[entry])
        if (!starts_.contains(v)) Place(v, id);
      region.end = result_.order.size();
      result_.regions.push_back(region);
      if (parent != Flow::kNone) ++result_.regions[parent].children;
      for (auto v = members_[entry].rbegin(); v != members_[entry].rend(); ++v)
        open.push_back({*v, id});
    }
  }

  // With the vertices before it that the main input does not reach.
  void Place(int vertex, int region) {
    std::vector<int> open = {vertex};
    while (!open.empty()) {
      const int v = open.back();
      const auto before = std::find_if(core_.from[v].begin(), core_.from[v].end(), [&](int source) {
        return !placed_[source] && !main_[source];
      });
      if (!placed_[v] && before != core_.from[v].end()) {
        open.push_back(*before);
        continue;
      }
      open.pop_back();
      if (!placed_[v] && core_.node[v] != Flow::kNone) {
        result_.order.push_back(core_.node[v]);
        result_.region.push_back(static_cast<size_t>(region));
      }
      placed_[v] = true;
    }
  }

  const Flow& flow_;
  const Core& core_;
  std::vector<bool> placed_, main_;
  std::map<int, std::vector<int>> members_;  // by entry
  std::set<int> starts_;                     // entries that belong to their own region
  Regions result_;
};

// Whether each node comes after all it depends on, also through sizes and other integers.
bool IsTopological(const Flow& flow, const std::vector<int>& order) {
  std::vector<int> place(flow.nodes.size(), Flow::kNone);
  for (size_t i = 0; i < order.size(); ++i) place[order[i]] = static_cast<int>(i);
  std::vector<int> latest(flow.nodes.size(), Flow::kNone);
  for (size_t n = 0; n < flow.nodes.size(); ++n) {
    for (const int source : flow.sources[n]) latest[n] = std::max(latest[n], latest[source]);
    if (place[n] == Flow::kNone) continue;
    if (latest[n] > place[n]) return false;
    latest[n] = place[n];
  }
  return true;
}

Regions OneRegion(const Flow& flow) {
  Regions whole;
  for (size_t n = 0; n < flow.nodes.size(); ++n)
    if (flow.core[n]) whole.order.push_back(static_cast<int>(n));
  whole.region.assign(whole.order.size(), 0);
  whole.regions = {{.end = whole.order.size()}};
  return whole;
}

}  // namespace

Regions FindRegions(const Flow& flow) {
  const Core core = MakeCore(flow);
  const Regions regions = Orderer(flow, core).Run();
  return IsTopological(flow, regions.order) ? regions : OneRegion(flow);
}

}  // namespace roundel::structure
