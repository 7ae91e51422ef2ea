// count: prints the number of nodes of a model.

#include <CLI/CLI.hpp>

#include <memory>

#include "cmd/command.h"
#include "lib/io/onnx.h"

namespace roundel::cmd {

CommandRun SetupCount(CLI::App& app) {
  const auto path = std::make_shared<std::string>();
  app.add_option("MODEL", *path, "ONNX model")->required();
  return [path](Console& console) -> Status {
    ASSIGN_OR_RETURN(const graph::Model model, io::ReadOnnx(*path));
    const size_t nodes = model.graph->nodes().size();
    if (console.json)
      console.out << "{\"nodes\": " << nodes << "}\n";
    else
      console.out << nodes << " nodes\n";
    return OkStatus();
  };
}

}  // namespace roundel::cmd
