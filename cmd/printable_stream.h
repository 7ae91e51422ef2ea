#pragma once
// A stream for text with names from models: it passes each line through Printable(), so that no
// name can move the cursor, change colors or reverse text.

#include <ostream>
#include <streambuf>
#include <string>

namespace roundel::cmd {

class PrintableLines : public std::streambuf {
 public:
  explicit PrintableLines(std::ostream& out) : out_(out) {}

 protected:
  int_type overflow(int_type c) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;  // also writes an unfinished line

 private:
  void WriteLine(bool complete);
  std::ostream& out_;
  std::string line_;
};

}  // namespace roundel::cmd
