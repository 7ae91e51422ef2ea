// RaiseOpset against the engine: its kernels serve every version of an operator, so that a raised
// model must give what the old one gave.

#include "lib/base/text.h"
#include "lib/graph/check.h"
#include "lib/graph/opset.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"

namespace roundel::passes {
namespace {

struct Case {
  int from, to;
  const char *inputs, *body;
};

TEST_CASE("raised models compute the same") {
  const Case cases[] = {
      {7, 25, "float32[2,3,4,5] x", "y = Softmax(x)\n"},
      {7, 25, "float32[2,3,4,5] x", "y = LogSoftmax<axis=2>(x)\n"},
      {7, 25, "float32[2,3,4,5] x", "y = Hardmax<axis=0>(x)\n"},
      {11, 25, "float32[2,3,4,5] x", "y = Softmax<axis=-3>(x)\n"},
      {7, 25, "float32[2,3,1,1] x", "y = Softmax(x)\n"},
      {7, 25, "float32[2,5] x", "y = Softmax(x)\n"},
      {7, 25, "float32[1,2,3,3] x", "y = Upsample<scales=[1.0,1.0,2.0,3.0]>(x)\n"},
      {7, 25, "float32[1,2,3,4] x", "y = Upsample<mode=\"linear\", scales=[1.0,1.0,2.0,2.5]>(x)\n"},
      {10, 25, "float32[1,2,8,8] x", "float32[4] s = {1,1,0.6,0.5}\ny = Resize(x, s)\n"},
      {10, 25, "float32[1,2,8,8] x", "float32[4] s = {1,1,1.7,2.3}\ny = Resize(x, s)\n"},
      {11, 25, "float32[1,2,8,8] x",
       "float32[0] e = {}\nint64[4] z = {1,2,5,9}\n"
       "y = Resize<mode=\"linear\", coordinate_transformation_mode=\"align_corners\">(x, e, e, "
       "z)\n"},
      {11, 25, "float32[1,2,6,6] x",
       "float32[0] e = {}\nfloat32[4] s = {1,1,2,1.5}\n"
       "y = Resize<coordinate_transformation_mode=\"tf_half_pixel_for_nn\", "
       "nearest_mode=\"floor\">(x, e, s)\n"},
      {7, 25, "float32[2,3,4,5] x", "y = ReduceSum<axes=[1,3], keepdims=0>(x)\n"},
      {7, 25, "float32[2,3,4,5] x", "y = ReduceMean<axes=[2,3]>(x)\n"},
      {7, 25, "float32[2,3,4,5] x", "y = ReduceMax(x)\n"},
      {7, 25, "float32[2,3,4,5] x", "y = ReduceL2<axes=[0]>(x)\n"},
      {7, 25, "float32[2,1,4,1] x", "s = Squeeze<axes=[1,3]>(x)\ny = Unsqueeze<axes=[0,2]>(s)\n"},
      {7, 25, "float32[2,6,4] x",
       "a, b = Split<axis=1, split=[2,4]>(x)\n"
       "c, d = Split<axis=1>(b)\nz = Add(a, c)\ny = Sub(z, d)\n"},
      {7, 25, "float32[5,6] x", "y = Slice<axes=[1,0], starts=[1,-3], ends=[100,-1]>(x)\n"},
      {7, 25, "float32[5,6] x", "y = Slice<starts=[2], ends=[4]>(x)\n"},
      {7, 25, "float32[5,6] x", "y = Pad<pads=[1,0,2,1], value=0.75>(x)\n"},
      {7, 25, "float32[5,6] x", "y = Pad<mode=\"reflect\", pads=[1,2,2,1]>(x)\n"},
      {7, 25, "float32[5,6] x", "y = Clip<min=-0.5, max=0.25>(x)\n"},
      {7, 25, "float32[5,6] x", "y = Clip<max=0.25>(x)\n"},
      {7, 25, "float32[5,6] x", "y, i = TopK<k=3>(x)\n"},
      {7, 25, "float32[5,6] x", "y = Dropout<ratio=0.3>(x)\n"},
      {8, 25, "float32[2,3,4,4] x",
       "float32[3] p = {0.5, 1, 2}\ny = BatchNormalization<spatial=1>(x, p, p, p, p)\n"},
      {9, 25, "float32[5,6] x",
       "int64[2,3] i = {0,1,2,3,4,0}\nfloat32[2,3] u = {1,2,3,4,5,6}\n"
       "y = Scatter<axis=0>(x, i, u)\n"},
      {7, 25, "float32[1,4,9,7] x",
       "float32[6,2,3,3] w = random(1)\nt = Conv<group=2, pads=[1,1,1,1]>(x, w)\n"
       "r = LeakyRelu(t)\nm = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)\n"
       "a = AveragePool<kernel_shape=[2,2], pads=[0,1,0,1]>(m)\nf = Flatten(a)\n"
       "y = Softmax(f)\n"},
  };
  for (const Case& c : cases) {
    INFO(c.body);
    const graph::Model before = support::ParseModel(
        StrCat("opset ", c.from, "\ngraph g (", c.inputs, ") => (float32 y) {\n", c.body, "}\n"));
    for (int to = c.from + 1; to <= c.to; ++to) {
      INFO("to opset " << to);
      graph::Model after = graph::Clone(before);
      const Status status = graph::RaiseOpset(&after, to);
      INFO(status.message());
      REQUIRE(status.ok());
      REQUIRE(graph::CheckModel(&after).ok());
      CHECK(support::OutputDifference(before, after) == 0);
    }
  }
}

}  // namespace
}  // namespace roundel::passes
