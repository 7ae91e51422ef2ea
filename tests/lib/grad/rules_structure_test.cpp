// Gradients of operators that move, reduce or combine elements, by differences.

#include <string>
#include <vector>

#include "tests/lib/grad/grad_check.h"

namespace roundel::grad {

TEST_CASE("gradients of operators that move elements") {
  const std::string mix = "\n y = Mul(m, m)";  // so that each element has a gradient of its own
  const auto check = [&](const std::string& inputs, const std::string& body, int opset = 13) {
    CheckGradients(inputs, body + mix, {}, opset);
  };
  check("float32[2,3,4] x", "int64[2] s = {-1, 6}\n m = Reshape(x, s)");
  check("float32[0,3] x", "int64[1] s = {-1}\n m = Reshape(x, s)");
  check("float32[2,3,4] x", "m = Flatten<axis=2>(x)");
  check("float32[2,1,4] x", "int64[1] s = {1}\n m = Squeeze(x, s)");
  check("float32[2,1,4] x", "m = Squeeze<axes=[1]>(x)", 11);
  check("float32[2,4] x", "int64[2] s = {0, -1}\n m = Unsqueeze(x, s)");
  check("float32[2,4] x", "m = Unsqueeze<axes=[1]>(x)", 11);
  check("float32[2,3,4] x", "m = Transpose<perm=[2,0,1]>(x)");
  check("float32[2,3] x", "m = Transpose(x)");
  check("float32[2,3] a, float32[2,1] b", "m = Concat<axis=1>(a, b, a)");
  check("float32[0,3] a, float32[2,3] b", "m = Concat<axis=0>(a, b)");
  check("float32[2,7] x",
        "int64[3] s = {1, 4, 2}\n a, b, c = Split<axis=1>(x, s)\n"
        " ab = Concat<axis=1>(a, b)\n m = Tanh(ab)");
  check("float32[2,6] x", "a, b = Split<axis=-1>(x)\n m = Mul(b, a)", 11);
  check("float32[4,7] x",
        "int64[2] s = {1, -1}\n int64[2] e = {9, 0}\n int64[2] a = {0, 1}\n"
        " int64[2] t = {2, -3}\n m = Slice(x, s, e, a, t)");
  check("float32[4,7] x", "m = Slice<starts=[1], ends=[-1], axes=[1]>(x)", 9);
  check("float32[4,3] x", "int64[2,3] i = {0, 3, 3, -1, 0, 0}\n m = Gather(x, i)");
  check("float32[4,3] x", "int64[] i = {1}\n m = Gather<axis=1>(x, i)");
  check("float32[2,2] x", "int64[2,3] i = {0, 1, 1, 0, 0, 0}\n m = GatherElements<axis=1>(x, i)");
  check("float32[2,3,2] x", "int64[2,2] i = {0, 1, 1, 2}\n m = GatherND(x, i)");
  for (const char* mode : {"constant", "reflect", "edge", "wrap"})
    check("float32[2,3] x, float32[] v",
          StrCat("int64[4] p = {1, 2, 0, -1}\n m = Pad<mode=\"", mode, "\">(x, p)"), 19);
  check("float32[2,3] x", "int64[4] p = {1, 0, 0, 2}\n float32[] v = {3}\n m = Pad(x, p, v)");
  check("float32[2,3] x", "m = Pad<pads=[1,0,0,2], value=1.5>(x)", 9);
  check("float32[3,1] x", "int64[3] s = {2, 1, 4}\n m = Expand(x, s)");
  check("float32[2,3] x", "int64[2] r = {2, 3}\n m = Tile(x, r)");
  check("float32[1,8,2,3] x", "m = DepthToSpace<blocksize=2, mode=\"CRD\">(x)");
  check("float32[1,2,4,6] x", "m = SpaceToDepth<blocksize=2>(x)");
  check("float32[3,3] x", "m = Trilu<upper=0>(x)", 14);
  check("float32[4,2] x, float32[2,2] u", "int64[2,1] i = {1, 3}\n m = ScatterND(x, i, u)");
  check("float32[2,3] x, float32[1,2] u",
        "int64[1,2] i = {1, 0}\n m = ScatterElements<axis=0>(x, i, u)");
  check("float32[2,3] x", "m = Dropout(x)");
  check("float32[2,3] x", "m = Cast<to=1>(x)");
}

TEST_CASE("gradients of reductions") {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSumSquare",
                         "ReduceL2", "ReduceL1"})
    for (const char* call : {"<axes=[1], keepdims=1>(x)", "<axes=[0,-1], keepdims=0>(x)", "(x)",
                             "<keepdims=0>(x)", "<axes=[2]>(x)"})
      CheckGradients("float32[2,3,5] x", StrCat("y = ", op, call),
                     {.seed = 5, .away = 0.05, .step = 2e-3, .tolerance = 4e-3}, 11);
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax"}) {
    const std::string axes = "int64[2] a = {-1, 0}\n y = ";
    const CheckOptions options{.seed = 6, .step = 1e-3, .tolerance = 4e-3};
    CheckGradients("float32[2,3,4] x", axes + op + "<keepdims=0>(x, a)", options, 18);
    CheckGradients("float32[2,3,4] x", StrCat("y = ", op, "<noop_with_empty_axes=1>(x)"), options,
                   18);
    CheckGradients("float32[1,3,1] x", axes + op + "(x, a)", options, 18);
  }
  CheckGradients("float32[0,3] x", "y = ReduceSum<axes=[0]>(x)", {}, 11);
}

TEST_CASE("gradients of products") {
  const std::vector<std::pair<const char*, const char*>> shapes = {
      {"[3,4]", "[4,2]"},       {"[2,3,4]", "[4,5]"},  {"[2,3,4]", "[2,4,5]"}, {"[3,4]", "[2,4,5]"},
      {"[2,1,3,4]", "[5,4,2]"}, {"[4]", "[4]"},        {"[4]", "[4,2]"},       {"[3,4]", "[4]"},
      {"[2,3,4]", "[4]"},       {"[1,1]", "[1,1]"},    {"[2,0]", "[0,3]"},     {"[0,4]", "[4,3]"},
      {"[2,2,3,4]", "[4,3]"},   {"[1,3,4]", "[2,4,5]"}};
  for (const auto& [a, b] : shapes)
    CheckGradients(StrCat("float32", a, " a, float32", b, " b"), "y = MatMul(a, b)");
  for (const char* flags :
       {"", "<transA=1>", "<transB=1>", "<transA=1, transB=1, alpha=0.5, beta=2.0>"}) {
    const std::string text = flags;
    const char* a = text.find("transA") == std::string::npos ? "[3,4]" : "[4,3]";
    const char* b = text.find("transB") == std::string::npos ? "[4,5]" : "[5,4]";
    for (const char* c : {"", "[5]", "[3,1]", "[3,5]", "[]"}) {
      const std::string inputs = StrCat("float32", a, " a, float32", b, " b");
      CheckGradients(*c ? StrCat(inputs, ", float32", c, " c") : inputs,
                     StrCat("y = Gemm", flags, *c ? "(a, b, c)" : "(a, b)"));
    }
  }
  for (const char* flags : {"<transA=1>", "<transB=1, alpha=2.0>", "<transA=1, transB=1>"}) {
    const std::string text = flags;
    const char* a = text.find("transA") == std::string::npos ? "[2,3,4]" : "[2,4,3]";
    const char* b = text.find("transB") == std::string::npos ? "[4,5]" : "[5,4]";
    CheckGradients(StrCat("float32", a, " a, float32", b, " b"),
                   StrCat("y = com.microsoft.FusedMatMul", flags, "(a, b)"));
    CheckGradients(StrCat("float32", a, " a, float32[2", *b ? StrCat(",", b + 1) : "", " b"),
                   StrCat("y = com.microsoft.FusedMatMul", flags, "(a, b)"));
  }
}

}  // namespace roundel::grad
