#include "lib/graph/text_cursor.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/text_tensor.h"

namespace roundel::graph {

const Token& TextCursor::Peek(size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

const Token& TextCursor::Take() {
  const Token& token = Peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TextCursor::Is(const char* punctuation, size_t ahead) const {
  return Peek(ahead).kind == TokenKind::kPunctuation && Peek(ahead).text == punctuation;
}

bool TextCursor::IsWord(const char* word, size_t ahead) const {
  return Peek(ahead).kind == TokenKind::kWord && Peek(ahead).text == word;
}

bool TextCursor::TakeIf(const char* punctuation) {
  if (!Is(punctuation)) return false;
  ++at_;
  return true;
}

Status TextCursor::Here(Status status) const {
  return std::move(status).At(StrCat("line ", Peek().line));
}

Status TextCursor::Unexpected(const std::string& expected) const {
  return Here(ModelError(StrCat("expected ", expected, ", found '", Peek().text, "'")));
}

Status TextCursor::Expect(const char* punctuation) {
  return TakeIf(punctuation) ? OkStatus() : Unexpected(StrCat("'", punctuation, "'"));
}

Result<std::string> TextCursor::TakeName(const char* what) {
  if (Peek().kind != TokenKind::kWord && Peek().kind != TokenKind::kString) return Unexpected(what);
  return Take().text;
}

Result<std::string> TextCursor::TakeString(const char* what) {
  if (Peek().kind != TokenKind::kString) return Unexpected(what);
  return Take().text;
}

Result<int64_t> TextCursor::TakeInteger(const char* what) {
  const auto value = ParseInteger(Peek().text);
  if (Peek().kind != TokenKind::kWord || !value) return Unexpected(what);
  Take();
  return *value;
}

Result<double> TextCursor::TakeDouble() {
  const auto value = ParseDouble(Peek().text);
  if (Peek().kind != TokenKind::kWord || !value) return Unexpected("a number");
  Take();
  return *value;
}

Result<std::string> TextCursor::TakeHexInParentheses() {
  RETURN_IF_ERROR(Expect("("));
  ASSIGN_OR_RETURN(const std::string digits, TakeString("hexadecimal digits in quotes"));
  const auto bytes = ParseHex(digits);
  if (!bytes) return Here(ModelError("the digits are not hexadecimal pairs"));
  RETURN_IF_ERROR(Expect(")"));
  return *bytes;
}

Status TextCursor::ParseNames(const char* close, std::vector<std::string>* names) {
  return ParseList(close, [&]() -> Status {
    ASSIGN_OR_RETURN(std::string name, TakeName("a name"));
    names->push_back(std::move(name));
    return OkStatus();
  });
}

}  // namespace roundel::graph
