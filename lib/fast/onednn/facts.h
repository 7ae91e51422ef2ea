#pragma once
// The version of oneDNN that was loaded, and the instruction set that it generates code for.

#include <string>

namespace roundel::engine {

struct OneDnnFacts {
  std::string version, isa;
};

OneDnnFacts FactsOfOneDnn();

}  // namespace roundel::engine
