#pragma once
// Which rule of a recipe speaks of a node or tensor.

#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/targets/choice.h"

namespace roundel::target {

// An exact name, or "re:regex" that must match the whole of it.
class Pattern {
 public:
  static Result<Pattern> Compile(const std::string& text);  // kUsage: no regular expression
  bool Matches(const std::string& name) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::optional<std::regex> regex_;
};

// The rules of a choice, and which of them found something.
class RuleSet {
 public:
  // kUsage for patterns that are none and for rules that match or say nothing ("rule 3: ...").
  static Result<RuleSet> Compile(const std::vector<GridRule>& rules);

  // The first rule for the node itself; nullptr if there is none.
  const GridRule* OfNode(const graph::Node& node);
  // The first rule for a tensor that `node` writes or, if it is constant, reads. nullptr as node:
  // a graph input, which only rules without op and node match.
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
  std::vector<Entry> entries_;
};

}  // namespace roundel::target
