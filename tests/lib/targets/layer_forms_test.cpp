#include "lib/targets/layer_forms.h"

#include "lib/graph/text.h"
#include "tests/support/catch.h"

using namespace roundel;
using namespace roundel::target;

TEST_CASE("layers are counted by what they run on, in bodies as well") {
  const auto model = graph::Parse(R"(opset 21, com.microsoft 1
graph g (float32[4,32] x, bool[] c) => (float32[4,32] y, float32[4,32] z) {
  float32[] s = {0.1}
  uint8[] zp = {128}
  int8[32,32] wq = ones
  float32[32,32] w = random(2)
  uint8[32,1,16] packed = zeros
  float32[32] scales = random(4)
  xq = QuantizeLinear(x, s, zp)
  xf = DequantizeLinear(xq, s, zp)
  wf = DequantizeLinear(wq, s)
  on_codes = MatMul(xf, wf)
  weight_only = MatMul(x, wf)
  float_layer = MatMul(x, w)
  integers = MatMulInteger(xq, wq)
  nbits = com.microsoft.MatMulNBits<K=32, N=32, bits=4, block_size=32>(x, packed, scales)
  y = Add(weight_only, float_layer)
  z = If<then_branch=graph t () => (float32[4,32] a) { a = MatMul(x, wf) }, else_branch=graph e () => (float32[4,32] b) { b = Identity(x) }>(c)
}
)");
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  const LayerForms forms = CountLayerForms(*model);
  CHECK(forms.on_codes == 1);
  CHECK(forms.dynamic == 1);
  CHECK(forms.dequantized == 2);  // the body reads the weight from outside
  CHECK(forms.products == 1);  // a body that reads the dequantized weight from outside keeps floats
  CHECK(forms.floats == 1);
  CHECK(forms.packed == 1);
}
