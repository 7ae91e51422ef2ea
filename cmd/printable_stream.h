#pragma once
// Text for people that holds names from models: lines reach the stream below as Printable() shows
// them, so that no name moves the cursor, colours the screen or reads backwards.

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
  int sync() override;  // writes the line begun, too

 private:
  void WriteLine(bool complete);
  std::ostream& out_;
  std::string line_;
};

}  // namespace roundel::cmd
