#pragma once
// Words, quoted strings and punctuation of graph text; private to text_parse.cpp.

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel::graph {

enum class TokenKind { kWord, kString, kPunctuation, kEnd };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // without quotes and escapes; "=>" is one token
  int line = 0;
};

// The last token is kEnd. kModel for an unfinished string or a character outside the grammar.
Result<std::vector<Token>> Tokenize(const std::string& text);

}  // namespace roundel::graph
