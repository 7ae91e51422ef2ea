#pragma once
// Mapping of weights inside a model file: before protobuf parses the file, the large raw_data
// fields are cut out of its bytes, and their tensors map the file.

#include <onnx/onnx_pb.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/file.h"

namespace roundel::io {

// One cut field: of an initializer of the model's graph, or of a tensor attribute of one of its
// nodes.
struct Cut {
  int node = -1, attribute = -1;  // -1: an initializer
  int initializer = -1;
  int64_t offset = 0, size = 0;  // in the file
};

// A message without the cut fields: pieces of the file, and new headers of the messages around the
// cuts, with changed lengths.
struct CutMessage {
  CutMessage() = default;
  CutMessage(CutMessage&&) = default;  // a copy's pieces would point into this one's headers
  std::vector<std::span<const std::byte>> pieces;
  std::deque<std::string> headers;  // storage of some pieces
  std::vector<Cut> cuts;
};

// Cuts raw_data of at least `cut_from` bytes out of a serialized ModelProto. If there are no cuts
// (no field is that large, or the scanner does not fully understand the file, which protobuf then
// checks), the result must not be used.
CutMessage CutRawData(std::span<const std::byte> model, int64_t cut_from);

bool ParseCut(const CutMessage& message, onnx::ModelProto* proto);

// Number of sub-graph levels in a serialized ModelProto, 0 for a flat one, as far as it parses.
int SubgraphDepth(std::span<const std::byte> model);
// Protobuf parses up to a hundred nested messages, three of which are one level.
inline constexpr int kMaxSubgraphDepth = 32;

// The locations of cut raw_data fields, by tensor.
class CutTensors {
 public:
  struct Place {
    std::shared_ptr<const MappedFile> file;
    int64_t offset;
  };
  CutTensors() = default;
  // `graph` is the parsed rest of the message. Tensors with other fields than usual get their
  // raw_data back.
  CutTensors(const std::vector<Cut>& cuts, const std::shared_ptr<const MappedFile>& file,
             onnx::GraphProto* graph);
  // nullptr: this message was not cut. Ensures: the size agrees with shape and
  // type.
  const Place* Find(const onnx::TensorProto& tensor) const;

 private:
  std::unordered_map<const onnx::TensorProto*, Place> places_;
};

}  // namespace roundel::io
