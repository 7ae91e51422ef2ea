#pragma once
// Weights inside of a model file stay where they are: before protobuf parses the file, the large
// raw_data fields are cut out of its bytes, and tensors are mapped to the places where they lie.

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

// One field that was cut out: of an initializer of the model's graph, or of the tensor that an
// attribute of one of its nodes holds.
struct Cut {
  int node = -1, attribute = -1;  // -1: an initializer
  int initializer = -1;
  int64_t offset = 0, size = 0;  // in the file
};

// A message without the fields that were cut out: pieces of the file, and the headers of the
// messages around the cuts, whose lengths have changed.
struct CutMessage {
  CutMessage() = default;
  CutMessage(CutMessage&&) = default;  // a copy's pieces would point into this one's headers
  std::vector<std::span<const std::byte>> pieces;
  std::deque<std::string> headers;  // what some of the pieces point to
  std::vector<Cut> cuts;
};

// Cuts raw_data of at least `cut_from` bytes out of a serialised ModelProto. Without cuts (there is
// nothing that large, or there is anything that this scanner does not understand exactly: the file
// is then protobuf's to judge) the result is of no use.
CutMessage CutRawData(std::span<const std::byte> model, int64_t cut_from);

bool ParseCut(const CutMessage& message, onnx::ModelProto* proto);

// Levels of sub-graphs in a serialised ModelProto, 0 for a flat one; as far as the bytes can be read.
int SubgraphDepth(std::span<const std::byte> model);
// Protobuf reads a hundred messages inside of each other, three of which make a level.
inline constexpr int kMaxSubgraphDepth = 32;

// Where the data of tensors lies whose raw_data was cut out.
class CutTensors {
 public:
  struct Place {
    std::shared_ptr<const MappedFile> file;
    int64_t offset;
  };
  CutTensors() = default;
  // `graph` is what the rest of the message was parsed into. Tensors that are unusual in any way
  // get their raw_data back.
  CutTensors(const std::vector<Cut>& cuts, const std::shared_ptr<const MappedFile>& file,
             onnx::GraphProto* graph);
  // nullptr: nothing was cut out of this message. Else it has as many bytes there as its shape and
  // type demand.
  const Place* Find(const onnx::TensorProto& tensor) const;

 private:
  std::unordered_map<const onnx::TensorProto*, Place> places_;
};

}  // namespace roundel::io
