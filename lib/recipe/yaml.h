#pragma once
// A YAML document as a tree, for hand-written files (recipes, target profiles). Strict: one
// document, no anchors, aliases or tags, no duplicate keys, limited depth and size, so that a file
// has one obvious meaning.

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel::recipe {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  int line = 0;                    // 1-based
  std::string scalar;              // kScalar: the text; the reader determines its type
  std::vector<YamlNode> items;     // kList
  std::vector<YamlEntry> entries;  // kMap, in file order

  bool IsNull() const { return kind == Kind::kNull; }
  bool IsScalar() const { return kind == Kind::kScalar; }
  bool IsList() const { return kind == Kind::kList; }
  bool IsMap() const { return kind == Kind::kMap; }
  const YamlNode* Find(const std::string& key) const;  // of a map; nullptr if there is none
  const char* KindName() const;                        // "a map", "a list", ... for messages
};

struct YamlEntry {
  std::string key;
  YamlNode value;
};

inline constexpr size_t kMaxYamlBytes = 1 << 20;
inline constexpr int kMaxYamlDepth = 16;

// Errors are kUsage, "source:line: ...". An empty file is an error too.
Result<YamlNode> ParseYaml(const std::string& text, const std::string& source);

// `text` for a message: shortened to one short line without control characters.
std::string ForMessage(const std::string& text);

}  // namespace roundel::recipe
