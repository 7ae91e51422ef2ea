#pragma once
// Reading and writing of ONNX files. Only this room uses protobuf.

#include <cstdint>
#include <memory>
#include <string>

#include "lib/base/file.h"
#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/tensor/datum.h"

namespace roundel::io {

// Reads and checks structure (graph/check.h). Large weights and external data are mapped, not read;
// files must lie in the model's folder (no `..`, absolute paths, or links that lead out). Errors
// are kModel (kUsage if the file does not exist). Unknown fields and types are kept for writing.
Result<graph::Model> ReadOnnx(const std::string& path);
// The same from memory. External data is an error unless `folder` is given.
Result<graph::Model> ParseOnnx(const void* data, size_t bytes, const std::string& folder = "");

// The same from a mapped file; weights of at least `map_from` bytes stay mapped. Values below a
// page save no memory.
inline constexpr int64_t kMapFrom = 4096;
Result<graph::Model> ParseMappedOnnx(const std::shared_ptr<const MappedFile>& file,
                                     const std::string& folder, int64_t map_from = kMapFrom);

struct OnnxWriteOptions {
  // Weights of >= 1 kB go to "<file name>.data" next to the model; automatic above 2 GB.
  bool external_data = false;
};
// Atomic (base/file.h).
Status WriteOnnx(const graph::Model& model, const std::string& path,
                 const OnnxWriteOptions& options = {});
// The bytes that WriteOnnx would write to `path` and its external data.
int64_t OnnxBytes(const graph::Model& model, const std::string& path,
                  const OnnxWriteOptions& options = {});
// Serialized bytes without external data; kModel above 2 GB.
Result<std::string> SerializeOnnx(const graph::Model& model);

// A serialized TensorProto (ONNX test_data_set_*/input_0.pb).
Result<Tensor> ReadTensorProto(const std::string& path);
// The same for any declared type, including sequences and optionals.
Result<Datum> ReadDatum(const std::string& path, const graph::ValueInfo& declared);

}  // namespace roundel::io
