#pragma once
// A position in the tokens of graph text; private to its parser.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/graph/text_lexer.h"

namespace roundel::graph {

// Every method that takes tokens leaves the position after them. Errors name the line.
class TextCursor {
 public:
  explicit TextCursor(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& Peek(size_t ahead = 0) const;
  bool Is(const char* punctuation, size_t ahead = 0) const;
  bool IsWord(const char* word, size_t ahead = 0) const;

  const Token& Take();
  bool TakeIf(const char* punctuation);
  Status Expect(const char* punctuation);
  // A word or a quoted string. `what`: for the message, as in the others.
  Result<std::string> TakeName(const char* what);
  Result<std::string> TakeString(const char* what);
  Result<int64_t> TakeInteger(const char* what);
  Result<double> TakeDouble();
  Result<std::string> TakeHexInParentheses();

  // Takes items separated by commas, and `close`. Requires that the opening bracket has been taken.
  template <typename Item>
  Status ParseList(const char* close, const Item& item) {
    if (TakeIf(close)) return OkStatus();
    do {
      RETURN_IF_ERROR(item());
    } while (TakeIf(","));
    return Expect(close);
  }
  Status ParseNames(const char* close, std::vector<std::string>* names);

  // The status with the line of the position.
  Status Here(Status status) const;
  Status Unexpected(const std::string& expected) const;

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace roundel::graph
