#include <iostream>

#include "cmd/command.h"
#include "lib/base/interrupt.h"

int main(int argc, char** argv) {
  roundel::InstallInterruptHandler();
  return roundel::cmd::RunMain({argv + 1, argv + argc}, std::cout, std::cerr);
}
