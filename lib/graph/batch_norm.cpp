#include "lib/graph/batch_norm.h"

#include "lib/base/text.h"
#include "lib/graph/channel_affine.h"

namespace roundel::graph {

std::string BatchNormObstacle(const Graph& graph, int64_t opset, const Node& node) {
  for (size_t i = 1; i <= 4; ++i) {
    const Tensor* parameter = graph.Constant(node.input(i));
    if (!parameter || !IsFloating(parameter->dtype()))
      return StrCat("its parameter '", node.input(i), "' is not a constant");
    if (parameter->rank() != 1 || parameter->dim(0) == 0)
      return StrCat("its parameter '", node.input(i), "' is not one value per channel");
  }
  if (std::string why = WhyTraining(node, opset); !why.empty()) return why;
  for (size_t i = 1; i < node.outputs.size(); ++i)
    if (!node.outputs[i].empty()) return "it has training outputs";
  return "";
}

}  // namespace roundel::graph
