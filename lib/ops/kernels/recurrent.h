#pragma once
// LSTM on weights in codes.

#include <vector>

#include "lib/base/status.h"
#include "lib/ops/op.h"

namespace roundel::engine {

// Scales of weights W and R, [directions, gates * hidden] each.
struct GateScales {
  std::vector<float> w, r;
};

// LSTM whose weights (inputs 1 and 2, as floats) are codes without their zero points. Each factor
// of theirs is rounded to uint8 over its own range: all of X once per direction, the states of the
// whole batch at every step. That is how ONNX Runtime does it with one thread; with several it cuts
// the batch among them, and each has ranges of its own.
Status LstmOfCodes(OpContext& context, const GateScales& scales);

}  // namespace roundel::engine
