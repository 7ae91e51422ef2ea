#include "lib/targets/importing.h"

#include "lib/base/text.h"
#include "lib/targets/read_quantizer.h"

namespace roundel::target {
namespace {

using graph::Node;
using quant::Encoding;

bool FindOneReading(const Importing& s, const std::string& value, const Encoding& e) {
  if (s.g.IsOutput(value)) return false;
  for (const graph::Use& use : s.g.Uses(value)) {
    const auto q = s.quantizers.find(use.node);
    if (q != s.quantizers.end() && use.index == 0) {
      if (!SameQuantizer(q->second, e)) return false;
      continue;
    }
    // A quantizer further down has not been visited yet.
    if (use.index != 0 || !IsQuantizeNode(*use.node)) return false;
    const ReadResult later =
        ReadQuantizer(s.g, *use.node, StorageOf(s.g, *use.node), RankOf(s.g, value));
    if (!later.problem.empty() || !SameQuantizer(later.encoding, e)) return false;
  }
  return true;
}

}  // namespace

void Importing::Keep(const Node& node, const std::string& problem) {
  if (kept) kept->push_back(StrCat(node.DisplayName(), ": ", problem));
}

std::string Importing::Resolve(const std::string& value) const {
  const auto it = reads.find(value);
  return it == reads.end() ? value : it->second;
}

void Importing::CopyNode(const Node& node) {
  // A Q or DQ node that is kept needs the node that computes its scale.
  const Node* scale =
      IsDequantizeNode(node) || IsQuantizeNode(node) ? g.Producer(node.input(1)) : nullptr;
  if (scale && scale_nodes.erase(scale) > 0) CopyNode(*scale);
  Node copy = node;
  RenameReads(reads, &copy);
  made->AddNode(std::move(copy));
}

void Importing::AddIdentity(const std::string& from, const std::string& to) {
  made->AddNode({.name = names.Fresh(to + "_Identity"),
                 .op_type = "Identity",
                 .inputs = {from},
                 .outputs = {to}});
}

bool Importing::HasOneReading(const std::string& value, const Encoding& e) {
  const auto [known, fresh] = one_reading.try_emplace(value, false);
  if (fresh) known->second = FindOneReading(*this, value, e);
  return known->second;
}

int64_t RankOf(const graph::Graph& g, const std::string& value) {
  if (const Tensor* constant = g.Constant(value)) return constant->rank();
  for (const auto* infos : {&g.inputs, &g.outputs, &g.value_info})
    for (const auto& info : *infos)
      if (info.name == value && info.shape) return static_cast<int64_t>(info.shape->size());
  return -1;
}

std::string StripSuffix(const std::string& name, const std::string& suffix) {
  return name.size() > suffix.size() && name.ends_with(suffix)
             ? name.substr(0, name.size() - suffix.size())
             : name;
}

}  // namespace roundel::target
