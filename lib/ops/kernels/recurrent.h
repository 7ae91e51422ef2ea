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

// LSTM whose weights (inputs 1 and 2, as floats) are codes minus their zero points. The activations
// that they multiply are rounded to uint8 over their range: X once per direction, the states of the
// whole batch at every step. ONNX Runtime does this with one thread; with several threads it splits
// the batch, and each part has its own range.
Status LstmOfCodes(OpContext& context, const GateScales& scales);

}  // namespace roundel::engine
