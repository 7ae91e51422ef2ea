// Sequences of tensors, and optionals. Items own their memory, because a sequence may outlive the
// step that made it.

#include <algorithm>

#include "lib/ops/kernels/concat.h"
#include "lib/ops/kernels/control_flow.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/stacker.h"
#include "lib/ops/kernels/strided_copy.h"

namespace roundel::engine {
namespace {

// The minimum memory of any item.
constexpr int64_t kItemBytes = 128;

// kModel if items of that size exceed the limit of a sequence.
Status CheckSequenceSize(int64_t items, int64_t bytes) {
  if (items <= kMaxTensorBytes / kItemBytes && bytes <= kMaxTensorBytes - items * kItemBytes)
    return OkStatus();
  return ModelError(
      StrCat("a sequence of ", items, " items exceeds the limit of ", HumanBytes(kMaxTensorBytes)));
}

Status CheckItems(const std::vector<Tensor>& items) {
  int64_t bytes = 0;
  for (const Tensor& item : items) {
    if (item.dtype() != items[0].dtype())
      return ModelError(StrCat("a sequence of ", DTypeName(items[0].dtype()), " cannot hold ",
                               DTypeName(item.dtype())));
    bytes += item.byte_size();
    RETURN_IF_ERROR(CheckSequenceSize(static_cast<int64_t>(items.size()), bytes));
  }
  return OkStatus();
}

Status PutSequence(OpContext& context, size_t i, std::vector<Tensor> items) {
  RETURN_IF_ERROR(CheckItems(items));
  context.SetDatum(i, Datum::Sequence(std::move(items)));
  return OkStatus();
}

Result<SequencePtr> SequenceInput(const OpContext& context, size_t i) {
  SequencePtr items = context.datum(i).items;
  if (!items) return ModelError(StrCat("input ", i, " is not a sequence"));
  return items;
}

// Optional input `i`: a position in [-count, limit), or `fallback`; returned as counted from the
// front.
Result<int64_t> Position(const OpContext& context, size_t i, int64_t count, int64_t limit,
                         int64_t fallback) {
  int64_t position = fallback;
  if (context.input(i)) {
    ASSIGN_OR_RETURN(position, IntegerScalar(context, i));
  }
  if (position < -count || position >= limit)
    return ModelError(
        StrCat("position ", position, " is out of range for a sequence of ", count, " items"));
  return position < 0 ? position + count : position;
}

Status SequenceEmpty(OpContext& context) { return PutSequence(context, 0, {}); }

Status SequenceConstruct(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, std::max<size_t>(context.input_count(), 1)));
  std::vector<Tensor> items;
  for (size_t i = 0; i < context.input_count(); ++i) {
    ASSIGN_OR_RETURN(Tensor item, OwnCopy(*context.input(i)));
    items.push_back(std::move(item));
  }
  return PutSequence(context, 0, std::move(items));
}

Status SequenceInsert(OpContext& context) {
  ASSIGN_OR_RETURN(const SequencePtr from, SequenceInput(context, 0));
  if (!context.input(1)) return ModelError("input 1 is missing or not a tensor");
  const auto count = static_cast<int64_t>(from->size());
  ASSIGN_OR_RETURN(const int64_t position, Position(context, 2, count, count + 1, count));
  ASSIGN_OR_RETURN(Tensor item, OwnCopy(*context.input(1)));
  std::vector<Tensor> items = *from;
  items.insert(items.begin() + position, std::move(item));
  return PutSequence(context, 0, std::move(items));
}

Status SequenceErase(OpContext& context) {
  ASSIGN_OR_RETURN(const SequencePtr from, SequenceInput(context, 0));
  const auto count = static_cast<int64_t>(from->size());
  ASSIGN_OR_RETURN(const int64_t position, Position(context, 1, count, count, count - 1));
  std::vector<Tensor> items = *from;
  items.erase(items.begin() + position);
  return PutSequence(context, 0, std::move(items));
}

Status SequenceAt(OpContext& context) {
  ASSIGN_OR_RETURN(const SequencePtr from, SequenceInput(context, 0));
  const auto count = static_cast<int64_t>(from->size());
  if (!context.input(1)) return ModelError("input 1 is missing");
  ASSIGN_OR_RETURN(const int64_t position, Position(context, 1, count, count, 0));
  context.SetOutput(0, (*from)[static_cast<size_t>(position)]);
  return OkStatus();
}

Status SequenceLength(OpContext& context) {
  ASSIGN_OR_RETURN(const SequencePtr from, SequenceInput(context, 0));
  context.SetOutput(0, Tensor::Scalar<int64_t>(static_cast<int64_t>(from->size())));
  return OkStatus();
}

// ---- conversion from and to one tensor

// Sizes of the parts: a scalar is the size of all parts but the last.
Result<std::vector<int64_t>> PartSizes(const OpContext& context, int64_t dim) {
  std::vector<int64_t> sizes;
  int64_t part = 1;
  if (context.input(1)) {
    ASSIGN_OR_RETURN(sizes, IntegerInput(context, 1));
    if (context.input(1)->rank() > 0) {
      int64_t total = 0;
      for (int64_t size : sizes) total = size < 0 || size > dim || total < 0 ? -1 : total + size;
      if (total != dim)
        return ModelError(StrCat("split [", Join(sizes), "] does not add up to ", dim));
      return sizes;
    }
    part = sizes[0];
    if (part <= 0) return ModelError(StrCat("parts of ", part, " elements"));
  }
  RETURN_IF_ERROR(CheckSequenceSize(dim / part, 0));
  sizes.clear();
  for (int64_t done = 0; done < dim; done += sizes.back())
    sizes.push_back(std::min(part, dim - done));
  return sizes;
}

Status SplitToSequence(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(context.node().Int("axis", 0), x.rank()));
  ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, PartSizes(context, x.dim(axis)));
  const bool squeeze = !context.input(1) && context.node().Int("keepdims", 1) == 0;
  View source = WholeView(x.shape());
  std::vector<Tensor> items;
  for (const int64_t size : sizes) {
    Shape shape = x.shape();
    shape[axis] = size;
    ASSIGN_OR_RETURN(Tensor item, NewTensor(x.dtype(), shape));
    RETURN_IF_ERROR(CopyStrided(shape, x, source, &item, WholeView(shape)));
    source.offset += size * source.strides[axis];
    if (squeeze) shape.erase(shape.begin() + axis);
    items.push_back(item.Reshaped(shape));
  }
  return PutSequence(context, 0, std::move(items));
}

Status ConcatFromSequence(OpContext& context) {
  ASSIGN_OR_RETURN(const SequencePtr from, SequenceInput(context, 0));
  if (from->empty()) return ModelError("the sequence is empty");
  int64_t axis = context.node().Int("axis", 0);
  std::vector<Tensor> parts = *from;
  if (context.node().Int("new_axis", 0) != 0) {
    ASSIGN_OR_RETURN(axis, NormalAxis(axis, parts[0].rank() + 1));
    for (Tensor& part : parts) {
      Shape shape = part.shape();
      shape.insert(shape.begin() + std::min(axis, part.rank()), 1);
      part = part.Reshaped(shape);
    }
  }
  return PutConcat(context, parts, axis);
}

// ---- SequenceMap: runs the body on one item after another

Status SequenceMap(OpContext& context) {
  ASSIGN_OR_RETURN(const std::vector<graph::ValueInfo> declared, SubgraphOutputs(context, "body"));
  ASSIGN_OR_RETURN(const SequencePtr first, SequenceInput(context, 0));
  for (size_t i = 1; i < context.input_count(); ++i) {
    const SequencePtr other = context.datum(i).items;
    if (other && other->size() != first->size())
      return ModelError(StrCat("sequences of ", first->size(), " and ", other->size(), " items"));
  }
  std::vector<std::vector<Tensor>> results(declared.size());
  int64_t bytes = 0;
  for (size_t k = 0; k < first->size(); ++k) {
    std::vector<Datum> inputs;
    for (size_t i = 0; i < context.input_count(); ++i) {
      const Datum whole = context.datum(i);
      inputs.push_back(whole.items ? Datum((*whole.items)[k]) : whole);
    }
    ASSIGN_OR_RETURN(const std::vector<Datum> made,
                     RunBody(context, "body", inputs, declared.size()));
    for (size_t i = 0; i < made.size(); ++i) {
      if (!made[i].is_tensor())
        return ModelError(StrCat("output ", i, " of the body is not a tensor"));
      ASSIGN_OR_RETURN(Tensor item, OwnCopy(made[i].tensor));
      bytes += item.byte_size();
      RETURN_IF_ERROR(CheckSequenceSize(static_cast<int64_t>(k), bytes));
      results[i].push_back(std::move(item));
    }
  }
  for (size_t i = 0; i < results.size(); ++i)
    RETURN_IF_ERROR(PutSequence(context, i, std::move(results[i])));
  return OkStatus();
}

// ---- optionals: a value or nothing

Status Optional(OpContext& context) {
  context.SetDatum(0, context.datum(0));
  return OkStatus();
}

Status OptionalGetElement(OpContext& context) {
  if (context.datum(0).is_nothing()) return ModelError("the optional is empty");
  context.SetDatum(0, context.datum(0));
  return OkStatus();
}

Status OptionalHasElement(OpContext& context) {
  context.SetOutput(0, Tensor::Scalar<bool>(!context.datum(0).is_nothing()));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> SequenceRows() {
  return {
      {"ConcatFromSequence", "", 11, kLatest, &ConcatFromSequence, true},
      {"Optional", "", 15, kLatest, &Optional, true},
      {"OptionalGetElement", "", 15, kLatest, &OptionalGetElement, true},
      {"OptionalHasElement", "", 15, kLatest, &OptionalHasElement, true},
      {"SequenceAt", "", 11, kLatest, &SequenceAt, true},
      {"SequenceConstruct", "", 11, kLatest, &SequenceConstruct, true},
      {"SequenceEmpty", "", 11, kLatest, &SequenceEmpty, true},
      {"SequenceErase", "", 11, kLatest, &SequenceErase, true},
      {"SequenceInsert", "", 11, kLatest, &SequenceInsert, true},
      {"SequenceLength", "", 11, kLatest, &SequenceLength, true},
      {"SequenceMap", "", 17, kLatest, &SequenceMap, true},
      {"SplitToSequence", "", 11, kLatest, &SplitToSequence, true},
  };
}

}  // namespace roundel::engine
