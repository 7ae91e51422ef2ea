#pragma once
// Matching of recipe rules with nodes and tensors.

#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/end_layers.h"
#include "lib/graph/graph.h"
#include "lib/targets/choice.h"

namespace roundel::target {

// An exact name, or "re:regex" that must match the whole of it.
class Pattern {
 public:
  static Result<Pattern> Compile(const std::string& text);  // kUsage: invalid regular expression
  bool Matches(const std::string& name) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::optional<std::regex> regex_;
};

// The rules of a choice, and which of them matched.
class RuleSet {
 public:
  // `graph`: whose nodes will be asked for; nullptr only checks the rules. Errors: kUsage for invalid
  // patterns and for rules without pattern or setting ("rule 3: ...").
  static Result<RuleSet> Compile(const std::vector<GridRule>& rules,
                                 const graph::Graph* graph = nullptr);

  // The first rule for the node itself; nullptr if there is none.
  const GridRule* OfNode(const graph::Node& node);
  // The first rule for a tensor that `node` writes or, if it is constant, reads. Node nullptr: a
  // graph input, which only rules without op and node match.
  const GridRule* OfTensor(const graph::Node* node, const std::string& tensor);

  // Rules that OfNode and OfTensor never returned: "rule 3 (op 'Gem')".
  std::vector<std::string> Unmatched() const;

 private:
  struct Entry {
    GridRule rule;
    std::optional<Pattern> op, node, tensor;
    bool matched = false;
  };
  static std::string Name(const Entry& entry, size_t index);
  // Whether the node has the rule's position, type and name.
  bool Matches(const Entry& entry, const graph::Node& node) const;
  std::vector<Entry> entries_;
  graph::EndLayers ends_;
};

}  // namespace roundel::target
