
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

std::string OneNode(const Shape& x, const std::string& node, int opset = 14) {
  return StrCat("opset ", opset, "\ngraph g (float32[", Join(x), "] x) => (float32 y) {\n  ", node,
                "\n}");
}

TEST_CASE("pools of awkward shapes run fast and right") {
  const char* windows[] = {"kernel_shape=[2,2], strides=[2,2]",
                           "kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]",
                           "kernel_shape=[3,2], strides=[1,2], pads=[0,1,2,0]",
                           "kernel_shape=[3,3], auto_pad=\"SAME_UPPER\", strides=[2,2]",
                           "kernel_shape=[3,3], strides=[2,2], ceil_mode=1"};
  for (const int64_t channels : {1, 3, 17, 32})
    for (const char* window : windows) {
      const Shape x = {2, channels, 8, 9};
      for (const char* op : {"MaxPool", "AveragePool"})
        CheckOneFastStep(OneNode(x, StrCat("y = ", op, "<", window, ">(x)")), {RandomTensor(x, 1)});
    }
}

TEST_CASE("an average that counts its padding") {
  const Shape x = {1, 5, 8, 8};
  CheckOneFastStep(OneNode(x,
                           "y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2], "
                           "count_include_pad=1>(x)"),
                   {RandomTensor(x, 1)});
  // Rounding up brings in positions that are not padding and do not count.
  CheckFastEqualsPlain(
      ParseModel(OneNode(x,
                         "y = AveragePool<kernel_shape=[3,3], pads=[1,1,0,0], strides=[2,2], "
                         "count_include_pad=1, ceil_mode=1>(x)")),
      {RandomTensor(x, 1)});
}

TEST_CASE("pools in one and three dimensions") {
  CheckOneFastStep(OneNode({2, 5, 9}, "y = MaxPool<kernel_shape=[3], strides=[2]>(x)"),
                   {RandomTensor({2, 5, 9}, 1)});
  CheckOneFastStep(OneNode({1, 3, 5, 6, 7}, "y = AveragePool<kernel_shape=[2,2,2]>(x)"),
                   {RandomTensor({1, 3, 5, 6, 7}, 1)});
}

TEST_CASE("dilated pools and pools with indices give the plain kernel's results") {
  const Shape x = {1, 4, 9, 9};
  CheckFastEqualsPlain(
      ParseModel(OneNode(x, "y = MaxPool<kernel_shape=[2,2], dilations=[3,2]>(x)")),
      {RandomTensor(x, 1)});
  CheckFastEqualsPlain(ParseModel(R"(opset 14
graph g (float32[1,4,9,9] x) => (float32 y, int64 i) {
  y, i = MaxPool<kernel_shape=[2,2]>(x)
})"),
                       {RandomTensor(x, 1)});
}

TEST_CASE("means over all pixels") {
  const Shape x = {2, 7, 5, 6};
  for (const char* node :
       {"y = GlobalAveragePool(x)", "y = GlobalMaxPool(x)", "y = ReduceMean<axes=[2,3]>(x)",
        "y = ReduceMean<axes=[-1,2]>(x)", "y = ReduceMean<axes=[2,3], keepdims=0>(x)"})
    CheckOneFastStep(OneNode(x, node), {RandomTensor(x, 1)});
  for (const char* node :
       {"y = ReduceMean<axes=[1,3]>(x)", "y = ReduceMean(x)", "y = ReduceMean<axes=[3]>(x)"})
    CheckFastEqualsPlain(ParseModel(OneNode(x, node)), {RandomTensor(x, 1)});
  CheckOneFastStep(R"(opset 18
graph g (float32[2,7,5,6] x) => (float32 y) {
  int64[2] axes = {2, 3}
  y = ReduceMean<keepdims=0>(x, axes)
})",
                   {RandomTensor(x, 1)});
}

TEST_CASE("Softmax over the last axis, and over several below opset 13") {
  const Shape x = {2, 3, 17};
  CheckOneFastStep(OneNode(x, "y = Softmax(x)"), {RandomTensor(x, 1, -20, 20)}, 1e-5);
  CheckOneFastStep(OneNode(x, "y = LogSoftmax<axis=2>(x)"), {RandomTensor(x, 1, -20, 20)}, 1e-5);
  CheckOneFastStep(OneNode(x, "y = Softmax<axis=1>(x)", 11), {RandomTensor(x, 1)}, 1e-5);
  CheckFastEqualsPlain(ParseModel(OneNode(x, "y = Softmax<axis=1>(x)")), {RandomTensor(x, 1)});
}

}  // namespace
}  // namespace roundel::engine
