#pragma once
// The run-time content of a value: a tensor, a sequence of tensors, or nothing (an optional without
// a value).

#include <memory>
#include <utility>
#include <vector>

#include "lib/tensor/tensor.h"

namespace roundel {

// Shared and immutable: an operator that inserts an element makes a new list of the same tensors.
using SequencePtr = std::shared_ptr<const std::vector<Tensor>>;

struct Datum {
  Datum() = default;
  Datum(Tensor value) : tensor(std::move(value)) {}  // NOLINT: implicit on purpose
  Datum(Tensor value, SequencePtr list) : tensor(std::move(value)), items(std::move(list)) {}
  static Datum Sequence(std::vector<Tensor> list) {
    return {Tensor(), std::make_shared<const std::vector<Tensor>>(std::move(list))};
  }

  bool is_tensor() const { return tensor.defined(); }
  bool is_sequence() const { return items != nullptr; }
  bool is_nothing() const { return !is_tensor() && !is_sequence(); }

  // At most one of the two is set.
  Tensor tensor;
  SequencePtr items;
};

}  // namespace roundel
