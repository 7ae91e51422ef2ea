// Gradients of element-wise operators by differences, over awkward shapes and both directions of
// broadcasting.

#include <string>
#include <vector>

#include "tests/lib/grad/grad_check.h"

namespace roundel::grad {

TEST_CASE("gradients of functions of one number") {
  struct Function {
    const char* call;
    double low = -1, high = 1;
    double away = 0;  // from the kink at 0
    int opset = 20;
  };
  const std::vector<Function> functions = {
      {"Abs(x)", -1, 1, 0.1},
      {"Acos(x)", -0.8, 0.8},
      {"Acosh(x)", 1.2, 3},
      {"Asin(x)", -0.8, 0.8},
      {"Asinh(x)"},
      {"Atan(x)"},
      {"Atanh(x)", -0.8, 0.8},
      {"Celu<alpha=0.7>(x)", -2, 2, 0.1},
      {"Cos(x)"},
      {"Cosh(x)"},
      {"Elu<alpha=1.5>(x)", -2, 2, 0.1},
      {"Erf(x)", -2, 2},
      {"Exp(x)"},
      {"Gelu(x)", -3, 3},
      {"Gelu<approximate=\"tanh\">(x)", -3, 3},
      {"HardSigmoid(x)", -1, 1},
      {"HardSigmoid<alpha=0.3, beta=0.4>(x)", -1, 1},
      {"HardSwish(x)", -2.5, 2.5},
      {"Identity(x)"},
      {"LeakyRelu<alpha=0.2>(x)", -1, 1, 0.1},
      {"Log(x)", 0.5, 2},
      {"Mish(x)", -3, 3},
      {"Neg(x)"},
      {"Reciprocal(x)", 0.5, 2},
      {"Relu(x)", -1, 1, 0.1},
      {"Selu(x)", -2, 2, 0.1},
      {"Sigmoid(x)", -3, 3},
      {"Sin(x)", -3, 3},
      {"Sinh(x)"},
      {"Softplus(x)", -3, 3},
      {"Softsign(x)", -2, 2, 0.1},
      {"Sqrt(x)", 0.5, 2},
      {"Swish<alpha=1.3>(x)", -3, 3, 0, 24},
      {"Tan(x)"},
      {"Tanh(x)", -2, 2},
      {"ThresholdedRelu<alpha=-2.0>(x)"},
      {"com.microsoft.FastGelu(x)", -3, 3},
      {"com.microsoft.Gelu(x)", -3, 3},
      {"com.microsoft.QuickGelu(x)", -3, 3},
  };
  for (const Function& f : functions) {
    uint64_t seed = 1;
    for (const char* shape : {"", "[1]", "[0]", "[3,5]", "[2,1,7]"})
      CheckGradients(StrCat("float32", *shape ? shape : "[]", " x"), StrCat("y = ", f.call),
                     {.seed = seed++, .low = f.low, .high = f.high, .away = f.away}, f.opset);
  }
}

TEST_CASE("gradients of operators of several operands, broadcast both ways") {
  struct Operator {
    const char* call;
    double low = -1;
  };
  const std::vector<Operator> operators = {{"Add(a, b)"},      {"Sub(a, b)"},  {"Mul(a, b)"},
                                           {"Div(a, b)", 0.4}, {"Max(a, b)"},  {"Min(a, b)"},
                                           {"Sum(a, b)"},      {"Mean(a, b)"}, {"Sum(a, b, a)"},
                                           {"Mul(a, a)"},      {"Max(a)"},     {"Max(b, a, b)"}};
  const std::vector<std::pair<const char*, const char*>> shapes = {
      {"[3,4]", "[3,4]"}, {"[3,4]", "[4]"},    {"[4]", "[3,4]"}, {"[3,1]", "[1,4]"},
      {"[]", "[2,3]"},    {"[2,3]", "[1]"},    {"[0]", "[1]"},   {"[2,1,3]", "[5,1]"},
      {"[1]", "[1]"},     {"[2,3,4]", "[3,1]"}};
  uint64_t seed = 1;
  for (const Operator& op : operators)
    for (const auto& [a, b] : shapes)
      CheckGradients(StrCat("float32", a, " a, float32", b, " b"),
                     StrCat("u = Mul(a, b)\n v = ", op.call, "\n y = Add(u, v)"),
                     {.seed = seed++, .low = op.low, .high = 1, .step = 5e-4, .tolerance = 4e-3});
}

TEST_CASE("gradients of powers, conditions, clips and slopes") {
  CheckGradients("float32[2,5] x", "float32[] e = {2}\n y = Pow(x, e)");
  CheckGradients("float32[2,5] x", "float32[1,1,1] e = {3}\n y = Pow(x, e)");
  CheckGradients("float32[5] x", "float32[] e = {0.5}\n y = Pow(x, e)", {.low = 0.5, .high = 2});
  CheckGradients("float32[5] x", "int64[] e = {2}\n y = Pow(x, e)");
  CheckGradients("float32[5] x", "float32[3,1] e = {1, 2, 3}\n y = Pow(x, e)",
                 {.low = 0.5, .high = 2});
  CheckGradients("float32[2,3] x, float32[3] z", "bool[2,1] c = {1, 0}\n y = Where(c, x, z)");
  CheckGradients("float32[3] x, float32[] z",
                 "float32[] h = {0}\n c = Less(x, h)\n y = Where(c, z, x)", {.away = 0.1});
  for (const char* bounds : {"float32[] l = {-0.5}\n float32[] h = {0.6}\n y = Clip(x, l, h)",
                             "float32[] h = {0.6}\n y = Clip(x, \"\", h)",
                             "float32[] l = {-0.5}\n y = Clip(x, l)", "y = Clip(x)"})
    CheckGradients("float32[3,7] x", bounds, {.seed = 3, .step = 1e-3, .tolerance = 1e-2});
  CheckGradients("float32[3,7] x", "y = Clip<min=-0.5, max=0.6>(x)",
                 {.seed = 3, .step = 1e-3, .tolerance = 1e-2}, 9);
  for (const char* slope : {"[4]", "[3,1,1]", "[1]", "[2,3,1,4]"})
    CheckGradients(StrCat("float32[2,3,1,4] x, float32", slope, " a"), "y = PRelu(x, a)",
                   {.away = 0.1});
  CheckGradients("float32[2,4] x, float32[4] b", "y = com.microsoft.FastGelu(x, b)");
  CheckGradients("float32[2,4] x, float32[4] b", "y = com.microsoft.BiasGelu(x, b)");
}

namespace {

// d y / d x of one input, for y of the same size.
std::vector<float> SlopesAt(const std::string& body, const std::vector<float>& x, int opset = 20) {
  const auto n = static_cast<int64_t>(x.size());
  graph::Model model = support::ParseModel(StrCat("opset ", opset, "\ngraph g (float32[", n,
                                                  "] x) => (float32 y) {\n", body,
                                                  "\n loss = ReduceSum<keepdims=0>(y)\n}"));
  const auto gradients = Backward(&model, "loss", {"x"});
  INFO((gradients.ok() ? "" : gradients.status().message()));
  REQUIRE(gradients.ok());
  model.graph->outputs = {{.name = (*gradients)[0], .dtype = DType::kFloat}};
  const Tensor dx = RunModel(model, {Tensor::FromVector<float>({n}, x)})[0];
  return {dx.data<float>(), dx.data<float>() + n};
}

}  // namespace

// The table of conventions: PyTorch's, but for ties of Max, Min and reductions, which go to the first.
TEST_CASE("gradients at kinks") {
  using Values = std::vector<float>;
  CHECK(SlopesAt("y = Abs(x)", {-1, 0, 1}) == Values{-1, 0, 1});
  CHECK(SlopesAt("y = Relu(x)", {-1, 0, 1}) == Values{0, 0, 1});
  CHECK(SlopesAt("y = LeakyRelu<alpha=0.5>(x)", {-1, 0, 1}) == Values{0.5, 0.5, 1});
  CHECK(SlopesAt("y = Elu<alpha=2.0>(x)", {0}) == Values{2});
  CHECK(SlopesAt("y = HardSigmoid<alpha=0.5, beta=0.5>(x)", {-1, 0, 1}) == Values{0, 0.5, 0});
  CHECK(SlopesAt("y = HardSwish(x)", {-3, 3}) == Values{0, 1});
  CHECK(SlopesAt("y = ThresholdedRelu<alpha=1.0>(x)", {1, 2}) == Values{0, 1});
  CHECK(SlopesAt("float32[] l = {0}\n float32[] h = {6}\n y = Clip(x, l, h)", {-1, 0, 3, 6, 7}) ==
        Values{0, 1, 1, 1, 0});
  CHECK(SlopesAt("y = Round(x)", {0.2f, 0.5f}) == Values{1, 1});
  CHECK(SlopesAt("y = Floor(x)", {0.2f}) == Values{1});
  CHECK(SlopesAt("y = Ceil(x)", {0.2f}) == Values{1});
  CHECK(SlopesAt("float32[] c = {1}\n y = Max(x, c)", {0, 1, 2}) == Values{0, 1, 1});
  CHECK(SlopesAt("float32[] c = {1}\n y = Max(c, x)", {0, 1, 2}) == Values{0, 0, 1});
  CHECK(SlopesAt("y = ReduceMax(x)", {2, 3, 3}) == Values{0, 1, 0});
  CHECK(SlopesAt("y = ReduceMin(x)", {2, 2, 3}) == Values{1, 0, 0});
  const std::string pool =
      "int64[3] s = {1, 1, -1}\n r = Reshape(x, s)\n y = MaxPool<kernel_shape=[3]>(r)";
  CHECK(SlopesAt(pool, {2, 3, 3}) == Values{0, 1, 0});
}

}  // namespace roundel::grad
