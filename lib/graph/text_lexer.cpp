#include "lib/graph/text_lexer.h"

#include <cctype>
#include <string_view>

#include "lib/base/text.h"

namespace roundel::graph {
namespace {

bool IsOneOf(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

bool IsWordCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || IsOneOf(c, "_./:+-");
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Reads the string that starts at text[*at] == '"' and leaves *at after it; false if it has no
// end.
bool ReadString(const std::string& text, size_t* at, std::string* out) {
  for (size_t i = *at + 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      *at = i + 1;
      return true;
    }
    if (text[i] == '\n') return false;
    if (text[i] != '\\') {
      out->push_back(text[i]);
      continue;
    }
    if (++i >= text.size()) return false;
    if (text[i] != 'x') {
      out->push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size() || HexDigit(text[i + 1]) < 0 || HexDigit(text[i + 2]) < 0)
      return false;
    out->push_back(static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2])));
    i += 2;
  }
  return false;
}

}  // namespace

Result<std::vector<Token>> Tokenize(const std::string& text) {
  std::vector<Token> tokens;
  int line = 1;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (std::isspace(static_cast<unsigned char>(c))) {
      ++i;
    } else if (c == '#') {
      while (i < text.size() && text[i] != '\n') ++i;
    } else if (c == '"') {
      Token token{TokenKind::kString, "", line};
      if (!ReadString(text, &i, &token.text))
        return ModelError(StrCat("line ", line, ": the string has no end, or a bad escape"));
      tokens.push_back(std::move(token));
    } else if (IsWordCharacter(c)) {
      const size_t begin = i;
      while (i < text.size() && IsWordCharacter(text[i])) ++i;
      tokens.push_back({TokenKind::kWord, text.substr(begin, i - begin), line});
    } else if (text.compare(i, 2, "=>") == 0) {
      tokens.push_back({TokenKind::kPunctuation, "=>", line});
      i += 2;
    } else if (IsOneOf(c, "()[]{}<>,=?@")) {
      tokens.push_back({TokenKind::kPunctuation, std::string(1, c), line});
      ++i;
    } else {
      return ModelError(StrFormat("line %d: unexpected character 0x%02x", line,
                                  static_cast<unsigned>(static_cast<unsigned char>(c))));
    }
  }
  tokens.push_back({TokenKind::kEnd, "end of text", line});
  return tokens;
}

}  // namespace roundel::graph
