#pragma once
// Scripts that complete the command line in a shell, from the tables of flags.

#include <string>
#include <vector>

#include "cmd/catalog.h"

namespace roundel::cmd {

std::string BashCompletion(const std::vector<CommandFacts>& commands);
std::string ZshCompletion(const std::vector<CommandFacts>& commands);
std::string FishCompletion(const std::vector<CommandFacts>& commands);

}  // namespace roundel::cmd
