// Serialized values of test data: tensors, sequences and optionals.

#include <onnx/onnx-data_pb.h>

#include <climits>
#include <utility>

#include "lib/base/file.h"
#include "lib/base/input_file.h"
#include "lib/base/text.h"
#include "lib/io/onnx.h"
#include "lib/io/onnx_message.h"
#include "lib/io/onnx_tensor.h"

namespace roundel::io {
namespace {

template <typename Message>
Status ParseFile(const std::string& path, Message* proto) {
  ASSIGN_OR_RETURN(const auto file, OpenInput(path, ErrorKind::kData));
  if (!file->bytes().empty() && file->bytes().size() <= INT_MAX &&
      ParseQuietly(file->bytes().data(), file->bytes().size(), proto))
    return OkStatus();
  return DataError("not a serialized value").At(StrCat("'", path, "'"));
}

Result<Datum> TakeSequence(onnx::SequenceProto* proto, TensorFiles* files) {
  if (proto->elem_type() != onnx::SequenceProto::TENSOR && proto->elem_type() != 0)
    return DataError("a sequence of items that are not tensors");
  std::vector<Tensor> items;
  for (onnx::TensorProto& item : *proto->mutable_tensor_values()) {
    ASSIGN_OR_RETURN(items.emplace_back(), TakeTensor(&item, files));
  }
  return Datum::Sequence(std::move(items));
}

Result<Datum> TakeOptional(onnx::OptionalProto* proto, TensorFiles* files) {
  if (proto->has_tensor_value()) {
    ASSIGN_OR_RETURN(Tensor tensor, TakeTensor(proto->mutable_tensor_value(), files));
    return Datum(std::move(tensor));
  }
  if (proto->has_sequence_value()) return TakeSequence(proto->mutable_sequence_value(), files);
  if (proto->elem_type() == onnx::OptionalProto::UNDEFINED) return Datum();
  return DataError("an optional that is neither a tensor nor a sequence");
}

// Errors of the parts, with the file's name.
Result<Datum> InFile(Result<Datum> datum, const std::string& path) {
  if (datum.ok()) return datum;
  return DataError(datum.status().message()).At(StrCat("'", path, "'"));
}

}  // namespace

Result<Tensor> ReadTensorProto(const std::string& path) {
  onnx::TensorProto proto;
  RETURN_IF_ERROR(ParseFile(path, &proto));
  TensorFiles files(FolderOf(path));
  auto tensor = TakeTensor(&proto, &files);
  if (!tensor.ok()) return DataError(tensor.status().message()).At(StrCat("'", path, "'"));
  return tensor;
}

Result<Datum> ReadDatum(const std::string& path, const graph::ValueInfo& declared) {
  TensorFiles files(FolderOf(path));
  onnx::TypeProto type;
  ParseLeftover(declared.type_bytes, &type);
  if (type.has_sequence_type()) {
    onnx::SequenceProto proto;
    RETURN_IF_ERROR(ParseFile(path, &proto));
    return InFile(TakeSequence(&proto, &files), path);
  }
  if (type.has_optional_type()) {
    onnx::OptionalProto proto;
    RETURN_IF_ERROR(ParseFile(path, &proto));
    return InFile(TakeOptional(&proto, &files), path);
  }
  ASSIGN_OR_RETURN(Tensor tensor, ReadTensorProto(path));
  return Datum(std::move(tensor));
}

}  // namespace roundel::io
