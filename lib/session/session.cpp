#include "lib/session/session.h"

namespace roundel {

ModelState ModelState::Clone() const {
  return {.model = graph::Clone(model),
          .float_model = float_model,
          .types = types,
          .encodings = encodings,
          .target = target,
          .grids = grids,
          .placement = placement,
          .copies = copies,
          .output_moments = output_moments,
          .input_means = input_means,
          .corrected_biases = corrected_biases};
}

Session Session::Clone() const { return {ModelState::Clone(), *this}; }

}  // namespace roundel
