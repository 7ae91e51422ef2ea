#pragma once
// TensorProto <-> Tensor: raw bytes, typed fields and external data.

#include <string>

#include "lib/base/status.h"
#include "lib/io/external_data.h"
#include "lib/io/onnx_cut.h"
#include "lib/io/onnx_message.h"
#include "lib/tensor/tensor.h"

namespace roundel::io {

// Sources of data outside the message.
struct TensorFiles {
  explicit TensorFiles(std::string folder) : external(std::move(folder)) {}
  ExternalFiles external;
  CutTensors cut;
};

// The number of fields of a tensor with data, without external data.
int DataFields(const onnx::TensorProto& proto);

// Moves dims, type and data out of `proto`, with a note of how the data was stored. Name, doc
// string and unknown fields stay. Error messages do not name the tensor.
Result<Tensor> TakeTensor(onnx::TensorProto* proto, TensorFiles* files);

enum class RawData {
  kSet,      // raw bytes are copied into the message
  kLeave,    // the caller writes them, directly from the tensor
  kExternal  // the message gets no data at all, not even in typed fields
};
// The inverse, into a message with the leftover. Returns whether the data belongs into raw_data
// (with kLeave, kExternal: whether the caller must write it).
bool PutTensor(const Tensor& value, RawData raw, onnx::TensorProto* proto);

// Initializers that came from a SparseTensorProto carry this mark in their leftover.
void MarkSparse(onnx::TensorProto* proto);
bool TakeSparseMark(onnx::TensorProto* proto);
// The dense value. `budget`: remaining bytes for such values; reduced by its size.
Result<Tensor> Densify(const onnx::SparseTensorProto& proto, TensorFiles* files, int64_t* budget);

}  // namespace roundel::io
