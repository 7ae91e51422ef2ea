#pragma once
// What the machine and the library of fast kernels say of themselves, for reports of problems.

#include <string>
#include <vector>

namespace roundel::engine {

struct HostFacts {
  std::string architecture;           // that this program was compiled for: "x86_64"
  std::vector<std::string> features;  // of the processor, of those that kernels make use of
  std::string onednn_version;         // of the library that was loaded: "2.6.3"
  std::string onednn_isa;             // the instruction set that it generates code for
};

HostFacts FactsOfHost();

}  // namespace roundel::engine
