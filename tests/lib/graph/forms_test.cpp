#include "lib/graph/forms.h"

#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::graph {
namespace {

std::string Fault(const std::string& text) {
  const Status status = CheckForms(Parse(text).value());
  if (!status.ok()) CHECK(status.kind() == ErrorKind::kModel);
  return status.message();
}

// A node of one operator; `node` is its line without the result.
std::string FaultOf(int opset, const std::string& node) {
  return Fault("opset " + std::to_string(opset) + R"(
    graph g (float32[2,3] x) => (float32[2,3] y) {
      float32[] low = {0}
      float32[] high = {1}
      int64[1] one = {1}
      y = )" + node +
               "\n}");
}

}  // namespace

TEST_CASE("inputs that an operator has at a later opset only are a fault of the model") {
  CHECK(FaultOf(10, "Clip(x, low, high)").find("has 3 inputs; at opset 10 Clip takes 1") !=
        std::string::npos);
  CHECK(FaultOf(11, "Clip(x, low, high)").empty());
  CHECK(FaultOf(10, "Clip<min=0.0, max=1.0>(x)").empty());
  CHECK_FALSE(FaultOf(12, "Unsqueeze(x, one)").empty());
  CHECK(FaultOf(13, "Unsqueeze(x, one)").empty());
  CHECK_FALSE(FaultOf(17, "ReduceMean(x, one)").empty());
  CHECK(FaultOf(18, "ReduceMean(x, one)").empty());
  CHECK_FALSE(FaultOf(10, "Pad(x, one)").empty());
  CHECK_FALSE(FaultOf(9, "TopK(x, one)").empty());
  CHECK_FALSE(FaultOf(12, "Split(x, one)").empty());
}

TEST_CASE("attributes that have become inputs are a fault of the model") {
  CHECK(FaultOf(11, "Clip<min=0.0>(x)")
            .find("has the attribute 'min', which is an input of Clip since opset 11 (the model "
                  "has 11)") != std::string::npos);
  CHECK_FALSE(FaultOf(13, "Squeeze<axes=[0]>(x)").empty());
  CHECK(FaultOf(12, "Squeeze<axes=[0]>(x)").empty());
  CHECK_FALSE(FaultOf(13, "ReduceSum<axes=[0]>(x)").empty());
  CHECK(FaultOf(13, "ReduceMax<axes=[0]>(x)").empty());  // an attribute until 18
  CHECK_FALSE(FaultOf(18, "ReduceMax<axes=[0]>(x)").empty());
  CHECK(FaultOf(13, "Clip(x)").empty());  // bounds are optional
}

TEST_CASE("operators of other domains of the same name may have what they like") {
  CHECK(FaultOf(10, "my.ops.Clip<min=0.0>(x, low, high)").empty());
}

TEST_CASE("nodes of sub-graphs are looked at, too") {
  CHECK_FALSE(Fault(R"(opset 10
    graph g (bool[] c, float32[2] x) => (float32[2] y) {
      y = If<then_branch=graph a () => (float32[2] t) {
        float32[] low = {0}
        t = Clip(x, low)
      }, else_branch=graph b () => (float32[2] e) {
        e = Neg(x)
      }>(c)
    })")
                  .empty());
}

}  // namespace roundel::graph
