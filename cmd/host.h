#pragma once
// The interface of the program (not of the library of commands) to its host: its exit when memory
// or threads are exhausted.

#include <streambuf>

namespace roundel::cmd {

// Must be called once, first. Afterwards, running out of memory or threads anywhere prints one line
// and exits with code 1.
void PrepareHost();

// Standard output. If the reader has closed the pipe (`| head`), further output is dropped without
// an error. A full disk is an error.
class StandardOutput : public std::streambuf {
 public:
  StandardOutput();

 protected:
  int_type overflow(int_type c) override;
  int sync() override;

 private:
  bool reader_gone_ = false;
  char buffer_[1 << 14];
};

}  // namespace roundel::cmd
