#include "cmd/printable_stream.h"

#include <cstdint>

#include "lib/base/text.h"

namespace roundel::cmd {

void PrintableLines::WriteLine(bool complete) {
  out_ << Printable(line_, SIZE_MAX);
  if (complete) out_ << '\n';
  line_.clear();
}

PrintableLines::int_type PrintableLines::overflow(int_type c) {
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  const char letter = traits_type::to_char_type(c);
  return xsputn(&letter, 1) == 1 ? c : traits_type::eof();
}

std::streamsize PrintableLines::xsputn(const char* text, std::streamsize size) {
  for (std::streamsize i = 0; i < size; ++i) {
    if (text[i] == '\n')
      WriteLine(true);
    else
      line_ += text[i];
  }
  return out_ ? size : 0;
}

int PrintableLines::sync() {
  if (!line_.empty()) WriteLine(false);
  out_.flush();
  return out_ ? 0 : -1;
}

}  // namespace roundel::cmd
