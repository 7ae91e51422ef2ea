#pragma once
// What the steps of an import share.

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/targets/graph_edit.h"
#include "lib/targets/qdq.h"

namespace roundel::target {

struct Importing {
  const graph::Graph& g;  // with Q/DQ
  quant::EncodingTable& encodings;
  std::vector<std::string>* kept;  // may be nullptr
  const ImportValues values;
  NameSet names{g};
  std::shared_ptr<graph::Graph> made = EmptyCopy(g);
  Renames reads;   // value of `g` -> value of `made` that stands for it
  Renames writes;  // output of a copied node -> its new name
  std::unordered_map<const graph::Node*, quant::Encoding> quantizers;  // Q nodes of pairs
  std::unordered_set<const graph::Node*> scale_nodes;        // DQs of scales, not copied so far
  std::unordered_multimap<std::string, std::string> copies;  // value -> output of its Identity
  std::unordered_map<std::string, bool> one_reading;         // HasOneReading of a value
  // Codes, scale and zero point of a constant -> its name in `made`
  std::map<std::tuple<std::string, std::string, std::string>, std::string> constants;

  // Reports why a Q or DQ node stays in the model.
  void Keep(const graph::Node& node, const std::string& problem);
  std::string Resolve(const std::string& value) const;
  void CopyNode(const graph::Node& node);
  void AddIdentity(const std::string& from, const std::string& to);
  // Whether all readers of `value` read it through pairs equal to `e`, which is one of them.
  bool HasOneReading(const std::string& value, const quant::Encoding& e);
};

// Rank of a value of `g`, -1 if it is not known.
int64_t RankOf(const graph::Graph& g, const std::string& value);
std::string StripSuffix(const std::string& name, const std::string& suffix);

}  // namespace roundel::target
