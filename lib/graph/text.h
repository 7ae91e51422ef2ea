#pragma once
// Graph text for tests, dumps and error messages; Parse(Print(model)) gives the same graph.
//
//   opset 13, com.microsoft 1
//   graph main (float32[N,3,8,8] x) => (float32[N,4,8,8] y) {
//     float32[4,3,1,1] w = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0.5, 0.5, 0.5}
//     int64[2] pads2 = zeros            # large tensors: zeros | ones | random(seed)
//     y = Conv<kernel_shape=[1,1], group=1>(x, w, "")      # domain ops: com.microsoft.Gelu(...)
//   }

#include <string>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::graph {

// Tensors of more than `max_elements` elements print as `hash(<16 digits>)`, which Parse rejects.
std::string Print(const Model& model, int64_t max_elements = 16);
Result<Model> Parse(const std::string& text);

}  // namespace roundel::graph
