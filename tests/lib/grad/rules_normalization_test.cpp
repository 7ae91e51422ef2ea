// Gradients of Softmax and normalizations, by differences, and of a small transformer.

#include <string>
#include <vector>

#include "tests/lib/grad/grad_check.h"

namespace roundel::grad {

TEST_CASE("gradients of Softmax and LogSoftmax") {
  for (const char* op : {"Softmax", "LogSoftmax"})
    for (const char* shape : {"[2,3,5]", "[1,1,1]", "[2,0,3]", "[3,2,17]"})
      for (const char* axis : {"", "<axis=1>", "<axis=-1>", "<axis=0>"})
        for (const int opset : {11, 13})
          CheckGradients(StrCat("float32", shape, " x"), StrCat("y = ", op, axis, "(x)"),
                         {.low = -2, .high = 2}, opset);
}

TEST_CASE("gradients of normalizations") {
  const CheckOptions options{.step = 5e-3, .tolerance = 4e-3};
  const std::string x = "float32[2,4,3] x, ";
  CheckGradients(x + "float32[3] g, float32[3] b", "y = LayerNormalization<epsilon=0.01>(x, g, b)",
                 options, 17);
  CheckGradients(x + "float32[4,3] g", "y = LayerNormalization<axis=1>(x, g)", options, 17);
  CheckGradients(x + "float32[1] g, float32[1] b", "y = LayerNormalization(x, g, b)", options, 17);
  CheckGradients("float32[0,3] x, float32[3] g", "y = LayerNormalization(x, g)", options, 17);
  CheckGradients("float32[5,1] x, float32[1] g, float32[1] b", "y = LayerNormalization(x, g, b)",
                 options, 17);
  CheckGradients(x + "float32[3] g", "y = RMSNormalization<epsilon=0.01>(x, g)", options, 23);
  CheckGradients(x + "float32[4,3] g", "y = RMSNormalization<axis=-2>(x, g)", options, 23);
  CheckGradients(x + "float32[3] g", "y = SimplifiedLayerNormalization<axis=-1>(x, g)", options);
  for (const char* shape : {"[2,4,3]", "[1,4,2,3]", "[2,4,1]", "[0,4,2]"}) {
    const std::string inputs = StrCat("float32", shape, " x, ");
    CheckGradients(inputs + "float32[4] g, float32[4] b",
                   "y = InstanceNormalization<epsilon=0.01>(x, g, b)", options);
    CheckGradients(inputs + "float32[4] g, float32[4] b",
                   "y = GroupNormalization<num_groups=2, epsilon=0.01>(x, g, b)", options, 21);
    CheckGradients(inputs + "float32[2] g, float32[2] b",
                   "y = GroupNormalization<num_groups=2, epsilon=0.01>(x, g, b)", options, 18);
  }
}

TEST_CASE("gradients of normalizations after a sum, whose sum is used too") {
  const CheckOptions options{.step = 5e-3, .tolerance = 4e-3};
  const std::string inputs = "float32[2,4,3] x, float32[2,4,3] s, float32[3] g";
  const std::string simple = "com.microsoft.SkipSimplifiedLayerNormalization";
  const std::string full = "com.microsoft.SkipLayerNormalization";
  CheckGradients(inputs + ", float32[3] b, float32[3] c",
                 "y = " + full + "<epsilon=0.01>(x, s, g, b, c)", options);
  CheckGradients(inputs, "y = " + full + "(x, s, g)", options);
  CheckGradients("float32[2,4,3] x, float32[4,3] s, float32[3] g", "y = " + full + "(x, s, g)",
                 options);
  CheckGradients(inputs + ", float32[3] c", "y = " + simple + "<epsilon=0.01>(x, s, g, c)",
                 options);
  CheckGradients(inputs, "n, \"\", \"\", t = " + simple + "(x, s, g)\n u = Tanh(t)\n y = Add(u, n)",
                 options);
  CheckGradients(inputs, "n, \"\", \"\", t = " + full + "(x, s, g)\n y = Tanh(t)", options);
}

TEST_CASE("gradients of a small transformer with attention written out") {
  CheckGradients(
      "float32[2,4,6] x, float32[6] g1, float32[6] g2, float32[6,18] wqkv, float32[6,6] wo, "
      "float32[6,10] wg, float32[6,10] wu, float32[10,6] wd",
      R"(
    int64[5] split = {0, 0, 3, 2, 3}
    int64[] i0 = {0}
    int64[] i1 = {1}
    int64[] i2 = {2}
    int64[3] merge = {0, 0, 6}
    float32[1,1,4,4] mask = {0, -9, -9, -9, 0, 0, -9, -9, 0, 0, 0, -9, 0, 0, 0, 0}
    float32[] scale = {0.577}
    float32[1,1,4,3] c = {1, 0.5, 1, 0.2, 0.9, 1, 1, 0.4, 0.8, 1, 1, 0.6}
    float32[] two = {2}
    float32[] eps = {0.01}
    p1 = Pow(x, two)
    m1 = ReduceMean<axes=[-1]>(p1)
    e1 = Add(m1, eps)
    r1 = Sqrt(e1)
    d1 = Div(x, r1)
    n1 = Mul(d1, g1)
    qkv = MatMul(n1, wqkv)
    s = Reshape(qkv, split)
    t = Transpose<perm=[2,0,3,1,4]>(s)
    q0 = Gather<axis=0>(t, i0)
    k = Gather<axis=0>(t, i1)
    v = Gather<axis=0>(t, i2)
    q = Mul(q0, c)
    kt = Transpose<perm=[0,1,3,2]>(k)
    w0 = MatMul(q, kt)
    w1 = Mul(w0, scale)
    w2 = Add(w1, mask)
    w = Softmax<axis=-1>(w2)
    a0 = MatMul(w, v)
    a1 = Transpose<perm=[0,2,1,3]>(a0)
    a = Reshape(a1, merge)
    o = MatMul(a, wo)
    h = Add(x, o)
    n2 = LayerNormalization<axis=-1>(h, g2)
    gate = MatMul(n2, wg)
    up = MatMul(n2, wu)
    sg = Sigmoid(gate)
    sw = Mul(gate, sg)
    f0 = Mul(sw, up)
    f = MatMul(f0, wd)
    y = Add(h, f))",
      {.step = 5e-3, .tolerance = 4e-3, .elements = 5}, 17);
}

}  // namespace roundel::grad
