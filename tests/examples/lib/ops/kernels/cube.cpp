// Cube of the domain org.example: y = x^3, element by element.

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"

namespace roundel::engine {
namespace {

Status Cube(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  if (x.dtype() != DType::kFloat) return ModelError("Cube computes on float32 only");
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), x.shape()));
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  for (int64_t i = 0; i < x.size(); ++i) to[i] = from[i] * from[i] * from[i];
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> CubeRows() { return {{"Cube", "org.example", 1, kLatest, &Cube}}; }

}  // namespace roundel::engine
