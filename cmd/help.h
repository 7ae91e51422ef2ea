#pragma once
// The --help page of a command.

#include <string>

#include "cmd/catalog.h"

namespace roundel::cmd {

// "roundel quantize MODEL [flags]".
std::string UsageLine(const CommandFacts& command);
// "-o, --output OUT.onnx".
std::string FlagText(const FlagFacts& flag);
// Description, usage line, positionals, flags by group, footer; wrapped at 100 columns.
std::string CommandHelp(const CommandFacts& command);

}  // namespace roundel::cmd
