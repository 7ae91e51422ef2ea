#pragma once
// The output files of a command, which are written completely, or not at all.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/file.h"
#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/io/encodings_origin.h"
#include "lib/io/onnx.h"
#include "lib/quant/encodings.h"

namespace roundel::cmd {

// Bytes of all initializers of the main graph.
int64_t InitializerBytes(const graph::Model& model);

// "out/model.onnx", ".report.json" -> "out/model.report.json".
std::string Beside(const std::string& model_path, const std::string& suffix);
// One path per version: stem + ".encodings.json" for a single one, else
// ".encodings-<version>.json".
std::vector<std::string> EncodingsPaths(const std::string& model_path,
                                        const std::vector<std::string>& versions);

// Errors: kUsage if an output's folder is missing or not writable, if an output exists and is not a
// regular file, or if it is one of `inputs` or another output (also by links). Must be called
// before the work. Removes temporary files of these outputs that killed runs left.
Status CheckOutputs(const std::vector<std::string>& outputs,
                    const std::vector<std::string>& inputs);

// Errors if the output's external data file would replace one that the input model refers to.
Status CheckExternalData(const std::string& input_model, const std::string& output_model);

// Writes all files to temporary names, and renames them when only the machine can still fail: all
// files or none, also after a signal.
class OutputSet {
 public:
  Status Stage(const std::string& path, const std::string& contents);
  // `graph`: of the float model that the table describes; `origin` says which that is.
  Status StageEncodings(const quant::EncodingTable& table, const graph::Graph& graph,
                        const std::string& model_path, const std::vector<std::string>& versions,
                        const io::EncodingsOrigin* origin = nullptr);
  struct ModelFile {
    const graph::Model& model;
    std::string path;
  };
  Status Commit(const std::vector<ModelFile>& models, const io::OnnxWriteOptions& options);

 private:
  std::vector<std::unique_ptr<AtomicFile>> files_;
};

}  // namespace roundel::cmd
