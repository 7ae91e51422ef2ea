#include "lib/data/batch_rows.h"

#include <cstring>
#include <utility>

#include "lib/base/text.h"

namespace roundel::data {
namespace {

// Rows [begin, end) of `tensor`. Scalars are part of every batch.
Tensor Rows(const Tensor& tensor, int64_t begin, int64_t end) {
  if (tensor.rank() == 0) return tensor;
  Shape shape = tensor.shape();
  const int64_t row = shape[0] == 0 ? 0 : tensor.byte_size() / shape[0];
  shape[0] = end - begin;
  Tensor out = Tensor::Empty(tensor.dtype(), shape);
  std::memcpy(out.mutable_raw(), static_cast<const std::byte*>(tensor.raw()) + begin * row,
              static_cast<size_t>((end - begin) * row));
  return out;
}

Result<Tensor> Joined(const Tensor& a, const Tensor& b) {
  if (a.rank() == 0) return a;
  Shape shape = a.shape();
  shape[0] = b.dim(0);
  if (shape != b.shape())
    return DataError(StrCat("samples of shapes ", ShapeString(a.shape()), " and ",
                            ShapeString(b.shape()), " cannot share a batch"));
  shape[0] = a.dim(0) + b.dim(0);
  Tensor out = Tensor::Empty(a.dtype(), shape);
  auto* to = static_cast<std::byte*>(out.mutable_raw());
  std::memcpy(to, a.raw(), static_cast<size_t>(a.byte_size()));
  std::memcpy(to + a.byte_size(), b.raw(), static_cast<size_t>(b.byte_size()));
  return out;
}

template <typename T>
std::vector<T> TakeFront(int64_t count, std::vector<T>* items) {
  if (items->empty()) return {};
  std::vector<T> front(std::make_move_iterator(items->begin()),
                       std::make_move_iterator(items->begin() + count));
  items->erase(items->begin(), items->begin() + count);
  return front;
}

}  // namespace

Status AppendRows(Batch more, Batch* batch) {
  if (batch->size == 0) {
    *batch = std::move(more);
    return OkStatus();
  }
  for (size_t i = 0; i < batch->inputs.size(); ++i) {
    ASSIGN_OR_RETURN(batch->inputs[i], Joined(batch->inputs[i], more.inputs[i]));
  }
  batch->sample_names.insert(batch->sample_names.end(), more.sample_names.begin(),
                             more.sample_names.end());
  batch->labels.insert(batch->labels.end(), more.labels.begin(), more.labels.end());
  batch->size += more.size;
  return OkStatus();
}

Batch TakeRows(int64_t count, Batch* batch) {
  if (batch->size == count) return std::exchange(*batch, {});
  Batch front;
  for (Tensor& input : batch->inputs) {
    front.inputs.push_back(Rows(input, 0, count));
    input = Rows(input, count, batch->size);
  }
  front.sample_names = TakeFront(count, &batch->sample_names);
  front.labels = TakeFront(count, &batch->labels);
  front.size = count;
  batch->size -= count;
  return front;
}

}  // namespace roundel::data
