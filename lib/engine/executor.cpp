#include "lib/engine/executor.h"

#include <algorithm>
#include <utility>

#include "lib/base/text.h"

namespace roundel::engine {

Result<std::vector<Tensor>> Executor::Run(const std::vector<Tensor>& inputs,
                                          const std::vector<Tap>& taps) {
  for (size_t i = 0; i < std::min(inputs.size(), input_names().size()); ++i)
    if (!inputs[i].defined())
      return ModelError(StrCat("model input '", input_names()[i], "' was not given"));
  ASSIGN_OR_RETURN(std::vector<Datum> outputs, RunAny({inputs.begin(), inputs.end()}, taps));
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].is_tensor())
      return ModelError(StrCat("model output '", output_names()[i], "' is ",
                               outputs[i].is_sequence() ? "a sequence" : "an empty optional",
                               ", a tensor is needed"));
    tensors.push_back(std::move(outputs[i].tensor));
  }
  return tensors;
}

}  // namespace roundel::engine
