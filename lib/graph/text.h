#pragma once
// Graph text for tests, dumps and error messages; Parse(Print(model)) gives the same graph, except
// for doc strings and fields that this program does not know, which are not printed.
//
//   opset 13, com.microsoft 1                      # also: ir_version 9, producer "pytorch" "2.0",
//   metadata "author" = "me"                       # model_version 3, domain "x"
//   function com.x.Twice<alpha, beta=1.0>(a) => (b) { opset 13   b = Add(a, a) }
//   graph main (float32[N,3,8,8] x) => (float32[N,4,8,8] y) {
//     float32[4,3,1,1] w = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0.5, 0.5, 0.5}
//     int64[2] pads2 = zeros    # large ones: zeros | ones | fill(0.5) | random(seed[, low, high])
//     float32[N,4,8,8] t                                        # a value_info; ? = unknown
//     [conv1] t = Conv<kernel_shape=[1,1], group=1>(x, w, "")   # [node name] is optional
//     y = com.microsoft.Gelu(t)                                 # "" = omitted
//   }
//
// Attributes: 1 (int), 1.0 (float), "s", [1,2], [1.0,2.0], ["s"], float32[2]{1, 2},
// graph g (..) => (..) {..}, lists of the last two, @name (a function's attribute). Empty lists are
// ints[], floats[], ... Names with characters other than letters, digits and _ . / : + - need
// quotes.

#include <string>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::graph {

// Tensors of more than `max_elements` elements print as `hash(<16 digits>)`, which Parse rejects.
std::string Print(const Model& model, int64_t max_elements = 16);
// The part in braces and its signature alone: "graph main (...) => (...) {...}".
std::string Print(const Graph& graph, int64_t max_elements = 16);
// One node on one line, for messages.
std::string Print(const Node& node, int64_t max_elements = 16);
// kModel, "line 3: ...", for text that does not follow the grammar above.
Result<Model> Parse(const std::string& text);

}  // namespace roundel::graph
