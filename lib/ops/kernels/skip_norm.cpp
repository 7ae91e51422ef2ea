// Normalizations of com.microsoft with preceding additions or lookups: SkipLayerNormalization,
// SkipSimplifiedLayerNormalization, EmbedLayerNormalization, GroupNorm.

#include <algorithm>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/inner_op.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// input + skip (+ bias): skip and bias broadcast over the leading axes.
Result<Tensor> SkipSum(const OpContext& context, size_t bias) {
  const Tensor &x = *context.input(0), &skip = *context.input(1);
  const auto repeats = [&x](const Tensor& part, int64_t least) {
    Shape tail = part.shape();
    while (tail.size() > 1 && tail[0] == 1) tail.erase(tail.begin());
    return static_cast<int64_t>(tail.size()) >= least && tail.size() <= x.shape().size() &&
           std::equal(tail.rbegin(), tail.rend(), x.shape().rbegin());
  };
  const Tensor* add = context.input(bias);
  if (x.rank() < 1 || !repeats(skip, 1) || (add && !repeats(*add, 1)))
    return ModelError(StrCat("skip ", ShapeString(skip.shape()), " or the bias do not fit input ",
                             ShapeString(x.shape())));
  Tensor sum = Tensor::Empty(DType::kFloat, x.shape());
  const float *from = x.data<float>(), *more = skip.data<float>();
  float* to = sum.mutable_data<float>();
  const int64_t period = skip.size(), width = add ? add->size() : 1;
  ParallelFor(x.size(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      to[i] = from[i] + more[i % period];
      if (add) to[i] += add->data<float>()[i % width];
    }
  });
  return sum;
}

// Outputs: y, mean, 1 / standard deviation, the sum.
Status SkipLayerNormalization(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2, 3, 4}));
  ASSIGN_OR_RETURN(const Tensor sum, SkipSum(context, 4));
  const graph::Node attributes =
      WithAttributes({{"axis", int64_t{-1}}, {"epsilon", context.node().Float("epsilon", 1e-12f)}});
  ASSIGN_OR_RETURN(std::vector<Tensor> results,
                   RunInner("LayerNormalization", {sum, *context.input(2), InputOrNone(context, 3)},
                            attributes, 3));
  results.push_back(sum);
  for (size_t i = 0; i < results.size(); ++i)
    if (context.wants(i)) context.SetOutput(i, results[i]);
  return OkStatus();
}

Status SkipSimplifiedLayerNormalization(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2, 3}));
  ASSIGN_OR_RETURN(const Tensor sum, SkipSum(context, 3));
  const graph::Node attributes =
      WithAttributes({{"axis", int64_t{-1}}, {"epsilon", context.node().Float("epsilon", 1e-12f)}});
  ASSIGN_OR_RETURN(
      const std::vector<Tensor> results,
      RunInner("SimplifiedLayerNormalization", {sum, *context.input(2)}, attributes, 2));
  context.SetOutput(0, results[0]);
  if (context.wants(1))  // RMS normalization subtracts no mean
    context.SetOutput(1, Tensor::Zeros(DType::kFloat, results[1].shape()));
  if (context.wants(2)) context.SetOutput(2, results[1]);
  if (context.wants(3)) context.SetOutput(3, sum);
  return OkStatus();
}

// ---- EmbedLayerNormalization

enum EmbedInput {
  kWords = 0,
  kSegments,
  kWordTable,
  kPlaceTable,
  kSegmentTable,
  kGamma,
  kBeta,
  kMask,
  kPlaces
};

// Adds the rows of a table [rows, width] for every token of ids [batch, length] to `sum`.
Status AddRows(const OpContext& context, size_t table, const std::vector<int64_t>& ids,
               Tensor* sum) {
  const Tensor* rows = context.input(table);
  const int64_t width = sum->dim(-1);
  if (!rows || rows->rank() != 2 || rows->dim(1) != width)
    return ModelError(StrCat("input ", table, " is no table of rows of ", width));
  float* to = sum->mutable_data<float>();
  for (int64_t id : ids) {
    if (id < 0 || id >= rows->dim(0))
      return ModelError(StrCat("index ", id, " of a table of ", rows->dim(0), " rows"));
    const float* from = rows->data<float>() + id * width;
    for (int64_t c = 0; c < width; ++c) *to++ += from[c];
  }
  return OkStatus();
}

Result<Tensor> EmbedSum(const OpContext& context) {
  const Tensor &words = *context.input(kWords), &table = *context.input(kWordTable);
  if (words.rank() != 2 || table.rank() != 2)
    return ModelError(StrCat("input_ids ", ShapeString(words.shape()), " and word_embedding ",
                             ShapeString(table.shape())));
  const int64_t batch = words.dim(0), length = words.dim(1);
  const Shape shape = {batch, length, table.dim(1)};
  RETURN_IF_ERROR(CheckSize(DType::kFloat, shape));
  Tensor sum = Tensor::Zeros(DType::kFloat, shape);
  ASSIGN_OR_RETURN(const std::vector<int64_t> ids, IntegerInput(context, kWords));
  RETURN_IF_ERROR(AddRows(context, kWordTable, ids, &sum));
  std::vector<int64_t> places(ids.size());
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int64_t>(i) % length;
  if (context.input(kPlaces)) {
    ASSIGN_OR_RETURN(const std::vector<int64_t> given, IntegerInput(context, kPlaces));
    if (given.size() != places.size() && static_cast<int64_t>(given.size()) != length)
      return ModelError(StrCat(given.size(), " position_ids for ", places.size(), " tokens"));
    for (size_t i = 0; i < places.size(); ++i) places[i] = given[i % given.size()];
  }
  RETURN_IF_ERROR(AddRows(context, kPlaceTable, places, &sum));
  if (context.input(kSegmentTable) == nullptr) return sum;
  std::vector<int64_t> segments(ids.size(), 0);
  if (context.input(kSegments)) {
    ASSIGN_OR_RETURN(segments, IntegerInput(context, kSegments));
  }
  if (segments.size() != ids.size())
    return ModelError(StrCat(segments.size(), " segment_ids for ", ids.size(), " tokens"));
  RETURN_IF_ERROR(AddRows(context, kSegmentTable, segments, &sum));
  return sum;
}

// The number of ones in each row of the mask; zeros without a mask.
Result<Tensor> MaskIndex(const OpContext& context) {
  const int64_t batch = context.input(kWords)->dim(0), length = context.input(kWords)->dim(1);
  std::vector<int32_t> ends(static_cast<size_t>(batch), 0);
  if (context.input(kMask)) {
    ASSIGN_OR_RETURN(const std::vector<int64_t> mask, IntegerInput(context, kMask));
    if (static_cast<int64_t>(mask.size()) != batch * length)
      return ModelError(StrCat("mask of ", mask.size(), " values for ", batch * length, " tokens"));
    for (size_t i = 0; i < mask.size(); ++i)
      ends[i / static_cast<size_t>(length)] += mask[i] == 1 ? 1 : 0;
  }
  return Tensor::FromVector<int32_t>({batch}, ends);
}

Status EmbedLayerNormalization(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  if (!context.input(kWordTable) || !context.input(kGamma) || !context.input(kBeta))
    return ModelError("EmbedLayerNormalization without its tables, gamma or beta");
  RETURN_IF_ERROR(RequireFloat(context, {kWordTable, kPlaceTable, kSegmentTable, kGamma, kBeta}));
  ASSIGN_OR_RETURN(const Tensor sum, EmbedSum(context));
  const graph::Node attributes =
      WithAttributes({{"axis", int64_t{-1}}, {"epsilon", context.node().Float("epsilon", 1e-12f)}});
  ASSIGN_OR_RETURN(Tensor y,
                   RunInnerOp("LayerNormalization",
                              {sum, *context.input(kGamma), *context.input(kBeta)}, attributes));
  context.SetOutput(0, std::move(y));
  if (context.wants(1)) {
    ASSIGN_OR_RETURN(Tensor index, MaskIndex(context));
    context.SetOutput(1, std::move(index));
  }
  if (context.wants(2)) context.SetOutput(2, sum);
  return OkStatus();
}

// ---- GroupNorm: channels last by default, with an optional SiLU

Status GroupNorm(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  const graph::Node& node = context.node();
  const bool last = node.Int("channels_last", 1) != 0;
  Tensor x = *context.input(0);
  if (last) {
    ASSIGN_OR_RETURN(x, ToChannelsFirst(x));
  }
  const graph::Node attributes = WithAttributes(
      {{"num_groups", node.Int("groups", 0)}, {"epsilon", node.Float("epsilon", 1e-5f)}});
  ASSIGN_OR_RETURN(Tensor y, RunInnerOp("GroupNormalization",
                                        {x, *context.input(1), *context.input(2)}, attributes));
  if (node.Int("activation", 0) == 1) {
    ASSIGN_OR_RETURN(y, RunInnerOp("Swish", {y}));
  }
  if (last) {
    ASSIGN_OR_RETURN(y, ToChannelsLast(y));
  }
  context.SetOutput(0, std::move(y));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> SkipNormRows() {
  constexpr const char* kContrib = "com.microsoft";
  return {
      {"EmbedLayerNormalization", kContrib, 1, kLatest, &ViaFloat<&EmbedLayerNormalization>},
      {"GroupNorm", kContrib, 1, kLatest, &ViaFloat<&GroupNorm>},
      {"SkipLayerNormalization", kContrib, 1, kLatest, &ViaFloat<&SkipLayerNormalization>},
      {"SkipSimplifiedLayerNormalization", kContrib, 1, kLatest,
       &ViaFloat<&SkipSimplifiedLayerNormalization>},
  };
}

}  // namespace roundel::engine
