#pragma once
// Runs models in the npm package's ONNX Runtime through tests/e2e/ort.js.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::e2e {

// Whether node or the package is missing, so that the test has to return (tests/support/needs.h).
bool SkippedWithoutOrt();

struct OrtJob {
  std::string model;     // file
  bool optimize = true;  // graph optimizations: what users get by default
  std::vector<std::pair<std::string, Tensor>> inputs;
  std::string optimized = {};  // where to leave the model that the optimizations made; "": nowhere
  std::string level = {};      // "disabled", "basic", "extended", "all"; "": as `optimize` says
};

// The outputs of each job in the model's order; kModel with the runtime's words if it refuses one.
Result<std::vector<std::vector<Tensor>>> RunOrt(const std::vector<OrtJob>& jobs,
                                                const std::string& scratch_folder);

// A new empty folder under the build tree, removed by the destructor.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& name);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace roundel::e2e
