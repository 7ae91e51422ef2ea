// Transpose, DepthToSpace and SpaceToDepth: permutations of axes.

#include <numeric>

#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/strided_copy.h"

namespace roundel::engine {
namespace {

// Writes `x`, viewed with `shape`, as output 0 of shape `result`; axis i of the result is axis
// perm[i].
Status Permute(OpContext& context, const Shape& shape, const std::vector<int64_t>& perm,
               const Shape& result) {
  const Tensor& x = *context.input(0);
  const std::vector<int64_t> strides = Strides(shape);
  Shape permuted;
  View view;
  for (int64_t axis : perm) {
    permuted.push_back(shape[axis]);
    view.strides.push_back(strides[axis]);
  }
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), result));
  return CopyStrided(permuted, x, view, y, WholeView(permuted));
}

Status Transpose(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Shape& shape = context.input(0)->shape();
  const int64_t rank = context.input(0)->rank();
  std::vector<int64_t> reversed(shape.size());
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  ASSIGN_OR_RETURN(const std::vector<int64_t> perm,
                   NormalAxes(context.node().Ints("perm", reversed), rank));
  if (perm.size() != shape.size())
    return ModelError(StrCat("perm [", Join(perm), "] does not fit shape ", ShapeString(shape)));
  Shape result;
  for (int64_t axis : perm) result.push_back(shape[axis]);
  return Permute(context, shape, perm, result);
}

// The block size of [N, C, H, W], checked.
Result<int64_t> BlockSize(const OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const int64_t block = context.node().Int("blocksize", 0);
  if (context.input(0)->rank() != 4 || block < 1 || block > 1 << 15)
    return ModelError(StrCat("blocksize ", block, " with shape ",
                             ShapeString(context.input(0)->shape()), " (4 dimensions needed)"));
  return block;
}

Status DepthToSpace(OpContext& context) {
  ASSIGN_OR_RETURN(const int64_t b, BlockSize(context));
  const Shape& s = context.input(0)->shape();
  if (s[1] % (b * b) != 0)
    return ModelError(
        StrCat("channels of ", ShapeString(s), " are not a multiple of blocksize ", b, " squared"));
  const int64_t depth = s[1] / (b * b);
  const Shape result = {s[0], depth, s[2] * b, s[3] * b};
  if (context.node().String("mode", "DCR") == "CRD")
    return Permute(context, {s[0], depth, b, b, s[2], s[3]}, {0, 1, 4, 2, 5, 3}, result);
  return Permute(context, {s[0], b, b, depth, s[2], s[3]}, {0, 3, 4, 1, 5, 2}, result);
}

Status SpaceToDepth(OpContext& context) {
  ASSIGN_OR_RETURN(const int64_t b, BlockSize(context));
  const Shape& s = context.input(0)->shape();
  if (s[2] % b != 0 || s[3] % b != 0)
    return ModelError(
        StrCat("height and width of ", ShapeString(s), " are not multiples of blocksize ", b));
  const Shape split = {s[0], s[1], s[2] / b, b, s[3] / b, b};
  return Permute(context, split, {0, 3, 5, 1, 2, 4}, {s[0], s[1] * b * b, s[2] / b, s[3] / b});
}

}  // namespace

std::vector<OpEntry> TransposeRows() {
  return {
      {"DepthToSpace", "", 1, kLatest, &DepthToSpace},
      {"SpaceToDepth", "", 1, kLatest, &SpaceToDepth},
      {"Transpose", "", 1, kLatest, &Transpose},
  };
}

}  // namespace roundel::engine
