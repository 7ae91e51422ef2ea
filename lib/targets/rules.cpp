#include "lib/targets/rules.h"

#include <algorithm>

#include "lib/base/text.h"

namespace roundel::target {
namespace {

// Names longer than this are not searched with regular expressions.
constexpr size_t kMaxNameLength = 4096;

Result<std::optional<Pattern>> CompileField(const std::string& text) {
  if (text.empty()) return std::optional<Pattern>();
  ASSIGN_OR_RETURN(Pattern pattern, Pattern::Compile(text));
  return std::optional<Pattern>(std::move(pattern));
}

Status CheckRule(const GridRule& rule) {
  if (rule.op.empty() && rule.node.empty() && rule.tensor.empty() &&
      rule.layer == LayerPosition::kAny)
    return UsageError("applies to nothing: give op, node, tensor or layer");
  const bool says =
      rule.weights || rule.float_weights || rule.granularity || rule.activations || rule.mode;
  if (!says) return UsageError("changes nothing: give weights, granularity or activations");
  if ((rule.granularity == quant::Granularity::kBlock) != (rule.block_size > 0))
    return UsageError("granularity block and block_size belong together");
  if (!rule.tensor.empty() && rule.mode == ActivationMode::kDynamic)
    return UsageError("a single tensor cannot be dynamic, only the nodes that read it");
  return OkStatus();
}

}  // namespace

Result<Pattern> Pattern::Compile(const std::string& text) {
  Pattern pattern;
  pattern.text_ = text;
  if (!text.starts_with("re:")) return pattern;
  try {
    auto flags = std::regex::ECMAScript;
#ifdef __GLIBCXX__
    flags |= std::regex_constants::__polynomial;  // no exponential time, no deep recursion
#endif
    pattern.regex_ = std::regex(text.substr(3), flags);
    return pattern;
  } catch (const std::regex_error& error) {
    return UsageError(StrCat("'", text, "' is not a regular expression: ", error.what()));
  }
}

bool Pattern::Matches(const std::string& name) const {
  if (!regex_) return name == text_;
  return name.size() <= kMaxNameLength && std::regex_match(name, *regex_);
}

Result<RuleSet> RuleSet::Compile(const std::vector<GridRule>& rules, const graph::Graph* graph) {
  RuleSet set;
  const bool by_layer = std::any_of(rules.begin(), rules.end(), [](const GridRule& rule) {
    return rule.layer != LayerPosition::kAny;
  });
  if (graph && by_layer) set.ends_ = graph::FindEndLayers(*graph);
  for (const GridRule& rule : rules) {
    Entry entry{.rule = rule, .op = {}, .node = {}, .tensor = {}};
    const auto fill = [&]() -> Status {
      RETURN_IF_ERROR(CheckRule(rule));
      ASSIGN_OR_RETURN(entry.op, CompileField(rule.op));
      ASSIGN_OR_RETURN(entry.node, CompileField(rule.node));
      ASSIGN_OR_RETURN(entry.tensor, CompileField(rule.tensor));
      return OkStatus();
    };
    RETURN_IF_ERROR(fill().At(StrCat("rule ", set.entries_.size() + 1)));
    set.entries_.push_back(std::move(entry));
  }
  return set;
}

bool RuleSet::Matches(const Entry& entry, const graph::Node& node) const {
  const LayerPosition at = entry.rule.layer;
  const bool first = at != LayerPosition::kLast && ends_.first.contains(&node),
             last = at != LayerPosition::kFirst && ends_.last.contains(&node);
  return (at == LayerPosition::kAny || first || last) &&
         (!entry.op || entry.op->Matches(node.op_type)) &&
         (!entry.node || entry.node->Matches(node.NameOrOutput()));
}

const GridRule* RuleSet::OfNode(const graph::Node& node) {
  for (Entry& entry : entries_) {
    if (entry.tensor || !Matches(entry, node)) continue;
    entry.matched = true;
    return &entry.rule;
  }
  return nullptr;
}

const GridRule* RuleSet::OfTensor(const graph::Node* node, const std::string& tensor) {
  for (Entry& entry : entries_) {
    if (!node && (entry.op || entry.node || entry.rule.layer != LayerPosition::kAny)) continue;
    if (entry.tensor && !entry.tensor->Matches(tensor)) continue;
    if (node && !Matches(entry, *node)) continue;
    entry.matched = true;
    return &entry.rule;
  }
  return nullptr;
}

std::vector<std::string> RuleSet::Unmatched() const {
  std::vector<std::string> names;
  for (size_t i = 0; i < entries_.size(); ++i)
    if (!entries_[i].matched) names.push_back(Name(entries_[i], i));
  return names;
}

std::string RuleSet::Name(const Entry& entry, size_t index) {
  std::vector<std::string> parts;
  if (entry.op) parts.push_back(StrCat("op '", entry.op->text(), "'"));
  if (entry.node) parts.push_back(StrCat("node '", entry.node->text(), "'"));
  if (entry.tensor) parts.push_back(StrCat("tensor '", entry.tensor->text(), "'"));
  if (entry.rule.layer != LayerPosition::kAny)
    parts.push_back(StrCat("layer ", kLayerPositions[static_cast<size_t>(entry.rule.layer)]));
  return StrCat("rule ", index + 1, " (", Join(parts), ")");
}

}  // namespace roundel::target
