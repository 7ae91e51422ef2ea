#pragma once
// TensorProto <-> Tensor: raw bytes, typed fields and external data.

#include <string>

#include "lib/base/status.h"
#include "lib/io/external_data.h"
#include "lib/io/onnx_cut.h"
#include "lib/io/onnx_message.h"
#include "lib/tensor/tensor.h"

namespace roundel::io {

// Where data lies that is not in the message itself.
struct TensorFiles {
  explicit TensorFiles(std::string folder) : external(std::move(folder)) {}
  ExternalFiles external;
  CutTensors cut;
};

// In how many of its fields a tensor holds data; external data does not count.
int DataFields(const onnx::TensorProto& proto);

// Moves dims, type and data out of `proto`, with a note of how the data was stored; name, doc
// string and whatever is not modelled stay. The message of an error does not name the tensor.
Result<Tensor> TakeTensor(onnx::TensorProto* proto, TensorFiles* files);

enum class RawData {
  kSet,      // raw bytes are copied into the message
  kLeave,    // the caller writes them itself, straight from the tensor
  kExternal  // the message gets no data at all, not even in typed fields
};
// The inverse, into a message that holds the leftover. Returns whether the data belongs into
// raw_data (with kLeave, kExternal: whether it is still missing).
bool PutTensor(const Tensor& value, RawData raw, onnx::TensorProto* proto);

// Initializers that came from a SparseTensorProto carry this mark in their leftover.
void MarkSparse(onnx::TensorProto* proto);
bool TakeSparseMark(onnx::TensorProto* proto);
// The dense value; `budget` bytes may still be allocated for such values and are counted down.
Result<Tensor> Densify(const onnx::SparseTensorProto& proto, TensorFiles* files, int64_t* budget);

}  // namespace roundel::io
