// Fused operators that this program splits into single ones: the fused kernels, which are compared
// with ONNX Runtime elsewhere, against the kernels of the single operators.

#include "lib/graph/unfuse.h"

#include <cmath>

#include "lib/engine/executor.h"
#include "lib/graph/check.h"
#include "tests/support/catch.h"
#include "tests/support/op_case.h"

namespace roundel::engine {
namespace {

void CheckSame(const std::string& text, bool stays = false) {
  INFO(text);
  const auto made = MakeOpGraph({"unfuse", text});
  INFO((made.ok() ? "" : made.status().message()));
  REQUIRE(made.ok());
  graph::Model unfused = graph::Clone(made->model);
  graph::UnfuseLayers(&unfused);
  REQUIRE(graph::CheckModel(&unfused).ok());
  for (const graph::NodePtr& node : unfused.graph->nodes()) {
    INFO(node->DisplayName());
    CHECK((node->domain == "com.microsoft") == stays);
  }
  auto before = Executor::Create(made->model), after = Executor::Create(unfused);
  REQUIRE(before.ok());
  REQUIRE(after.ok());
  const auto expected = (*before)->Run(made->inputs), actual = (*after)->Run(made->inputs);
  REQUIRE(expected.ok());
  REQUIRE(actual.ok());
  for (size_t i = 0; i < expected->size(); ++i) {
    REQUIRE((*expected)[i].shape() == (*actual)[i].shape());
    for (int64_t k = 0; k < (*expected)[i].size(); ++k)
      CHECK((*actual)[i].data<float>()[k] ==
            Approx((*expected)[i].data<float>()[k]).margin(1e-4).epsilon(1e-4));
  }
}

std::string Graph(const std::string& inputs, const std::string& nodes, int opset = 17) {
  return "ir_version 8 opset " + std::to_string(opset) + ", com.microsoft 1 graph g (" + inputs +
         ") => (float32 y) { " + nodes + " }";
}

TEST_CASE("FusedConv is Conv, Add and an activation") {
  const std::string inputs =
      "float32[1,3,6,6] x, float32[4,3,3,3] w, float32[4] b, float32[1,4,4,4] s";
  for (const char* activation :
       {"", "activation=\"Relu\"", "activation=\"Clip\", activation_params=[-0.5,1.0]",
        "activation=\"HardSigmoid\", activation_params=[0.3,0.4]", "activation=\"Tanh\"",
        "activation=\"LeakyRelu\", activation_params=[0.3]"}) {
    const std::string attributes = *activation ? "<" + std::string(activation) + ">" : "";
    CheckSame(Graph(inputs, "y = com.microsoft.FusedConv" + attributes + "(x, w, b)"));
    CheckSame(Graph(inputs, "y = com.microsoft.FusedConv" + attributes + "(x, w, b, s)"));
    CheckSame(Graph(inputs, "y = com.microsoft.FusedConv" + attributes + "(x, w)", 9));
  }
}

TEST_CASE("FusedGemm is Gemm and an activation") {
  const std::string inputs = "float32[5,4] a, float32[5,6] b, float32[6] c";
  for (const char* activation :
       {"activation=\"Relu\"", "activation=\"LeakyRelu\", activation_alpha=0.2",
        "activation=\"HardSigmoid\", activation_alpha=0.3, activation_beta=0.1"})
    CheckSame(Graph(inputs, "y = com.microsoft.FusedGemm<transA=1, alpha=0.5, beta=2.0, " +
                                std::string(activation) + ">(a, b, c)"));
}

TEST_CASE("FusedMatMul by a constant matrix is MatMul and Mul, others stay") {
  CheckSame(Graph("float32[2,3,5] a", R"(float32[6,5] w = random(1)
    y = com.microsoft.FusedMatMul<transB=1, alpha=0.3>(a, w))"));
  CheckSame(Graph("float32[2,3,5] a", R"(float32[5,6] w = random(1)
    y = com.microsoft.FusedMatMul(a, w))"));
  CheckSame(
      Graph("float32[2,3,5] a, float32[2,3,5] b", "y = com.microsoft.FusedMatMul<transB=1>(a, b)"),
      true);
  CheckSame(Graph("float32[5,3] a", R"(float32[5,6] w = random(1)
    y = com.microsoft.FusedMatMul<transA=1>(a, w))"),
            true);
}

TEST_CASE("layers inside of bodies are taken apart, with constants from outside") {
  CheckSame(R"(ir_version 8 opset 17, com.microsoft 1
graph g (float32[2,5] a, bool[] c) => (float32 y) {
  float32[6,5] w = random(1)
  y = If<then_branch=graph t () => (? o) { o = com.microsoft.FusedMatMul<transB=1, alpha=0.5>(a, w) },
         else_branch=graph e () => (? p) {
           float32[5,6] v = random(2)
           p = com.microsoft.FusedGemm<activation="Relu">(a, v) }>(c)
})");
}

}  // namespace
}  // namespace roundel::engine
