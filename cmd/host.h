#pragma once
// What the program, as opposed to the library of commands, arranges with its host: how it ends when
// the machine has no more memory or threads to give.

#include <streambuf>

namespace roundel::cmd {

// Once, before anything else. From then on running out of memory or threads is one line and exit
// code 1, wherever it happens.
void PrepareHost();

// Standard output. A reader that has gone away (`| head`) has all it wants: what follows is
// dropped, and that is no error, as a full disk is.
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
