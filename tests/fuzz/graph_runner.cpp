// The program that tests/fuzz/graphs.js drives. Input: one line of JSON, {"text": file, "model":
// file, "inputs": [npy], "outputs": folder}. Output: one line of JSON, {"plain": error or null,
// "fast": error or null}. Reads a graph's text, writes it as ONNX for the other runtime, and runs
// it with the plain kernels and with the fast ones, three times: first run, recorded run, planned
// memory on two threads. Outputs go to <folder>/plain.0.npy, <folder>/fast.0.npy and so on.

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/text.h"
#include "lib/io/npy.h"
#include "lib/io/onnx.h"

namespace roundel {
namespace {

using Json = nlohmann::json;

Result<std::vector<Tensor>> ReadInputs(const Json& job) {
  std::vector<Tensor> inputs;
  for (const Json& file : job["inputs"]) {
    ASSIGN_OR_RETURN(Tensor input, io::ReadNpy(file.get<std::string>()));
    inputs.push_back(std::move(input));
  }
  return inputs;
}

// The same bits, NaN included.
bool Same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!(a[i] == b[i])) return false;
  return true;
}

Status RunMode(const graph::Model& model, const Json& job, bool fast) {
  ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, ReadInputs(job));
  ASSIGN_OR_RETURN(const auto executor, engine::Executor::Create(model, {.fast_kernels = fast}));
  ASSIGN_OR_RETURN(const std::vector<Tensor> first, executor->Run(inputs));
  for (const int threads : {1, 1, 2}) {
    SetThreads(threads);
    ASSIGN_OR_RETURN(const std::vector<Tensor> again, executor->Run(inputs));
    SetThreads(1);
    if (!Same(first, again))
      return InternalError(StrCat("another run gives other values (", threads, " threads)"));
  }
  for (size_t i = 0; i < first.size(); ++i)
    RETURN_IF_ERROR(io::WriteNpy(first[i], StrCat(job["outputs"].get<std::string>(), "/",
                                                  fast ? "fast." : "plain.", i, ".npy")));
  return OkStatus();
}

Json Answer(const Status& status) {
  if (status.ok()) return nullptr;
  // For any graph, the error must be one of the model.
  return status.kind() == ErrorKind::kModel ? status.message() : "WRONG KIND: " + status.message();
}

Json RunJob(const Json& job) {
  std::ifstream file(job["text"].get<std::string>());
  std::stringstream text;
  text << file.rdbuf();
  const auto model = graph::Parse(text.str());
  if (!model.ok()) return {{"refused", model.status().message()}};
  const Status written = io::WriteOnnx(*model, job["model"].get<std::string>());
  if (!written.ok()) return {{"refused", written.message()}};
  return {{"plain", Answer(RunMode(*model, job, false))},
          {"fast", Answer(RunMode(*model, job, true))}};
}

}  // namespace
}  // namespace roundel

int main() {
  roundel::SetThreads(1);
  for (std::string line; std::getline(std::cin, line);)
    std::cout << roundel::RunJob(nlohmann::json::parse(line))
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
              << std::endl;
}
