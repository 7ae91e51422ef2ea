#include "lib/recipe/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <unordered_set>

#include "lib/base/text.h"

namespace roundel::recipe {
namespace {

using Kind = YamlNode::Kind;

// Length of the UTF-8 sequence at text[i] (RFC 3629, table 3-7 of Unicode), 0 if it is malformed.
size_t Utf8Length(const std::string& text, size_t i) {
  const auto at = [&](size_t k) {
    return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u;
  };
  const auto tail = [&](size_t k) { return (at(k) & 0xc0u) == 0x80u; };
  const unsigned lead = at(0), second = at(1);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return tail(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const bool overlong = lead == 0xe0 && second < 0xa0, surrogate = lead == 0xed && second > 0x9f;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool overlong = lead == 0xf0 && second < 0x90, too_big = lead == 0xf4 && second > 0x8f;
    return tail(1) && tail(2) && tail(3) && !overlong && !too_big ? 4 : 0;
  }
  return 0;
}

bool IsUtf8(const std::string& text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = Utf8Length(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

// Text that yaml-cpp would interpret in its own way: binary files, other encodings, tabs as
// indentation.
Status CheckText(const std::string& text, const std::string& source) {
  int line = 1;
  bool indentation = true;
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const size_t length = Utf8Length(text, i);
    const auto where = [&] { return StrCat(source, ":", line, ": "); };
    if (length == 0) return UsageError(where() + "not UTF-8 text");
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
      return UsageError(where() + "control character; is this a YAML file?");
    if (c == '\t' && indentation) return UsageError(where() + "tab in the indentation; use spaces");
    if (c == '\n') {
      ++line;
      indentation = true;
    } else if (c != ' ') {
      indentation = false;
    }
    i += length;
  }
  return OkStatus();
}

// Builds the tree from yaml-cpp's events. Keeps the first refusal and ignores what follows it.
class TreeBuilder : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark.line + 1, "aliases (*name) are not allowed; write the value out");
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Leaf(mark, "?", anchor, Kind::kNull, "");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Leaf(mark, tag, anchor, Kind::kScalar, value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

  YamlNode root;
  int refused_line = 0;  // 0: nothing refused
  std::string refusal;

 private:
  struct Frame {
    YamlNode node;
    bool has_key = false;
    std::string key;
    int key_line = 0;
    std::unordered_set<std::string> keys;
  };

  void Refuse(int line, const std::string& message) {
    if (refused_line != 0) return;
    refused_line = line;
    refusal = message;
  }
  void CheckPlain(int line, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) Refuse(line, "anchors (&name) are not allowed; write the value out");
    if (!tag.empty() && tag != "?" && tag != "!")
      Refuse(line, StrCat("tags are not allowed: '", ForMessage(tag), "'"));
  }
  void Leaf(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Kind kind,
            const std::string& value) {
    const int line = mark.line + 1;
    CheckPlain(line, tag, anchor);
    if (value.find('\0') != std::string::npos) Refuse(line, "NUL character in a value");
    // yaml-cpp turns some escapes (\N, \_) into single bytes.
    if (!IsUtf8(value)) Refuse(line, "an escape in this value is not supported");
    YamlNode node;
    node.kind = kind;
    node.line = line;
    node.scalar = value;
    Add(std::move(node));
  }
  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Kind kind) {
    const int line = mark.line + 1;
    CheckPlain(line, tag, anchor);
    if (!frames_.empty() && frames_.back().node.kind == Kind::kMap && !frames_.back().has_key)
      Refuse(line, "a key must be a plain name");
    if (frames_.size() >= kMaxYamlDepth)
      Refuse(line, StrCat("nested deeper than ", kMaxYamlDepth, " levels"));
    if (refused_line != 0) return;
    Frame frame;
    frame.node.kind = kind;
    frame.node.line = line;
    frames_.push_back(std::move(frame));
  }
  void Close() {
    if (refused_line != 0) return;
    YamlNode node = std::move(frames_.back().node);
    frames_.pop_back();
    Add(std::move(node));
  }
  void Add(YamlNode node) {
    if (refused_line != 0) return;
    if (frames_.empty()) {
      root = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.node.kind == Kind::kList) {
      frame.node.items.push_back(std::move(node));
    } else if (!frame.has_key) {
      if (node.kind != Kind::kScalar) return Refuse(node.line, "a key must be a plain name");
      if (!frame.keys.insert(node.scalar).second)
        return Refuse(node.line, StrCat("duplicate key '", ForMessage(node.scalar), "'"));
      frame.key = node.scalar;
      frame.key_line = node.line;
      frame.has_key = true;
    } else {
      node.line = frame.key_line;
      frame.node.entries.push_back({frame.key, std::move(node)});
      frame.has_key = false;
    }
  }

  std::vector<Frame> frames_;
};

}  // namespace

const YamlNode* YamlNode::Find(const std::string& key) const {
  for (const auto& [name, node] : entries)
    if (name == key) return &node;
  return nullptr;
}

const char* YamlNode::KindName() const {
  switch (kind) {
    case Kind::kNull: return "nothing";
    case Kind::kScalar: return "a single value";
    case Kind::kList: return "a list";
    case Kind::kMap: return "a map (key: value)";
  }
  return "";
}

std::string ForMessage(const std::string& text) {
  constexpr size_t kLongest = 60;
  std::string out;
  for (char c : text) {
    if (out.size() >= kLongest) {
      // Not in the middle of a UTF-8 sequence.
      if ((static_cast<unsigned char>(c) & 0xc0u) != 0x80u) return out + "...";
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(byte < 0x20 || byte == 0x7f ? '?' : c);
  }
  return out;
}

Result<YamlNode> ParseYaml(const std::string& text, const std::string& source) {
  if (text.size() > kMaxYamlBytes)
    return UsageError(StrCat(source, ": ", HumanBytes(static_cast<int64_t>(text.size())),
                             " is too large; the limit is ",
                             HumanBytes(static_cast<int64_t>(kMaxYamlBytes))));
  RETURN_IF_ERROR(CheckText(text, source));
  TreeBuilder builder;
  std::string fault;
  int fault_line = 0;
  bool empty = true, several = false;
  try {
    // Trimmed: yaml-cpp notices an unfinished quote only if no line end follows it.
    std::istringstream stream(text.substr(0, text.find_last_not_of(" \r\n") + 1));
    YAML::Parser parser(stream);
    empty = !parser.HandleNextDocument(builder) || builder.root.IsNull();
    TreeBuilder rest;
    several = parser.HandleNextDocument(rest);
  } catch (const YAML::Exception& e) {
    fault = e.msg;
    fault_line = e.mark.is_null() ? 0 : e.mark.line + 1;
  } catch (const std::exception& e) {
    fault = e.what();
  }
  if (builder.refused_line != 0)
    return UsageError(StrCat(source, ":", builder.refused_line, ": ", builder.refusal));
  if (!fault.empty())
    return UsageError(StrCat(source, fault_line > 0 ? StrCat(":", fault_line) : std::string(),
                             ": not valid YAML: ", ForMessage(fault)));
  if (empty) return UsageError(source + ": the file is empty");
  if (several) return UsageError(source + ": more than one YAML document ('---'); keep only one");
  return std::move(builder.root);
}

}  // namespace roundel::recipe
