// Gradients of convolutions by oneDNN, against the plain kernels, and against loops of this file where
// oneDNN has failed.

#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

struct Form {
  Shape x, w;
  std::string attributes;
};

std::string Forward(const std::string& op, const Form& form) {
  return StrCat("opset 14\ngraph g (float32[", Join(form.x), "] x, float32[", Join(form.w),
                "] w) => (float32 y) {\n  y = ", op, "<", form.attributes, ">(x, w)\n}");
}

// Both gradients of `op` run fast and right.
void CheckGradients(const std::string& op, const Form& form, double tolerance = 4e-6) {
  const Tensor x = RandomTensor(form.x, 1), w = RandomTensor(form.w, 2);
  const Tensor y = MustRun(*MustCreate(ParseModel(Forward(op, form))), {x, w})[0];
  const Tensor dy = RandomTensor(y.shape(), 3);
  const std::string head =
      "opset 14, roundel 1\ngraph g (float32 dy, float32 a, float32 b) => (float32 d) {\n"
      "  d = roundel." +
      op;
  CheckOneFastStep(StrCat(head, "GradInput<", form.attributes, ">(dy, a, b)\n}"), {dy, w, x},
                   tolerance);
  CheckOneFastStep(StrCat(head, "GradWeight<", form.attributes, ">(dy, a, b)\n}"), {dy, x, w},
                   tolerance);
}

TEST_CASE("gradients of Conv run fast and right") {
  const Form forms[] = {
      {{2, 16, 9, 9}, {16, 16, 3, 3}, "pads=[1,1,1,1]"},
      {{2, 3, 15, 11}, {8, 3, 3, 3}, "strides=[2,2], pads=[1,1,1,1]"},
      {{1, 5, 8, 8}, {7, 5, 3, 3}, "strides=[2,2]"},  // the last row and column are not read
      {{1, 5, 8, 8}, {7, 5, 2, 2}, "strides=[3,3]"},
      {{2, 32, 12, 10}, {32, 1, 3, 3}, "group=32, pads=[1,1,1,1]"},
      {{2, 33, 12, 10}, {33, 1, 3, 3}, "group=33, strides=[2,2], pads=[1,0,1,0]"},
      {{2, 24, 7, 7}, {24, 1, 5, 5}, "group=24, pads=[2,2,2,2]"},
      {{2, 12, 6, 6}, {18, 4, 3, 3}, "group=3, pads=[1,1,1,1]"},
      {{2, 6, 9, 9}, {9, 6, 3, 3}, "dilations=[2,2], pads=[2,2,2,2]"},
      {{2, 6, 9, 9}, {9, 6, 3, 2}, "dilations=[2,3], pads=[0,1,2,0], strides=[1,2]"},
      {{2, 6, 9, 9}, {9, 6, 3, 3}, R"(auto_pad="SAME_UPPER", strides=[2,2])"},
      {{2, 6, 8, 9}, {9, 6, 2, 3}, R"(auto_pad="SAME_LOWER")"},
      {{2, 64, 5, 5}, {48, 64, 1, 1}, ""},
      {{2, 5, 5, 5}, {7, 5, 1, 1}, ""},
      {{2, 5, 5, 5}, {7, 5, 1, 1}, "pads=[1,1,0,2]"},
      {{1, 1, 5, 5}, {1, 1, 1, 1}, ""},
      {{3, 4, 11}, {6, 4, 3}, "strides=[2], pads=[1,1]"},
      {{2, 8, 17}, {8, 8, 1}, ""},
      {{2, 8, 17}, {8, 8, 1}, "strides=[3]"},
      {{1, 3, 4, 5, 6}, {4, 3, 2, 3, 3}, "pads=[0,1,1,1,1,1]"},
      {{1, 6, 4, 5, 6}, {4, 3, 1, 1, 1}, "group=2, strides=[1,2,2]"},
  };
  for (const Form& form : forms) CheckGradients("Conv", form);
}

TEST_CASE("gradients of ConvTranspose run fast and right") {
  const Form forms[] = {
      {{2, 16, 5, 5}, {16, 8, 3, 3}, "pads=[1,1,1,1]"},
      {{2, 6, 5, 4}, {6, 5, 2, 2}, "strides=[2,2]"},
      {{2, 6, 5, 4}, {6, 5, 3, 3}, "strides=[2,2], pads=[1,0,1,1], output_padding=[1,0]"},
      {{2, 6, 5, 4}, {6, 3, 3, 3}, "group=2, dilations=[2,1]"},
      {{2, 6, 5, 4}, {6, 1, 4, 4}, "group=6, strides=[2,2], pads=[1,1,1,1]"},
      {{2, 6, 5, 4}, {6, 5, 1, 1}, "strides=[2,2], output_padding=[1,1]"},
      {{2, 6, 9}, {6, 4, 3}, "strides=[2]"},
  };
  for (const Form& form : forms) CheckGradients("ConvTranspose", form);
}

// dX and dW of a Conv of one tap, in double.
void OneTap(const Form& f, int64_t groups, int64_t stride, const Tensor& dy, const Tensor& x,
            const Tensor& w, Tensor* dx, Tensor* dw) {
  const int64_t m = f.w[0], c = f.w[1], h = f.x[2], rows = dy.dim(2);
  std::vector<double> to_x(static_cast<size_t>(x.size())), to_w(static_cast<size_t>(w.size()));
  for (int64_t n = 0; n < f.x[0]; ++n)
    for (int64_t o = 0; o < m; ++o)
      for (int64_t i = 0; i < c; ++i)
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t q = 0; q < rows; ++q) {
            const int64_t channel = o / (m / groups) * c + i;
            const int64_t at = ((n * f.x[1] + channel) * h + r * stride) * h + q * stride;
            const double d = dy.data<float>()[((n * m + o) * rows + r) * rows + q];
            to_x[at] += d * w.data<float>()[o * c + i];
            to_w[o * c + i] += d * x.data<float>()[at];
          }
  *dx = Tensor::Empty(DType::kFloat, x.shape());
  *dw = Tensor::Empty(DType::kFloat, w.shape());
  std::copy(to_x.begin(), to_x.end(), dx->mutable_data<float>());
  std::copy(to_w.begin(), to_w.end(), dw->mutable_data<float>());
}

// oneDNN's gradient of such weights from channels-last values with fewer than 16 input channels (8
// without AVX-512) is wrong or corrupts memory.
TEST_CASE("gradients of a Conv of one tap with strides, few channels") {
  for (const int64_t groups : {1, 2, 3})
    for (int64_t c = 1; c <= 17; ++c)
      for (const int64_t m : {1, 16, 64}) {
        const Form f{
            {2, c * groups, 9, 9}, {m * groups, c, 1, 1}, StrCat("strides=[2,2], group=", groups)};
        INFO(f.attributes << " channels " << c << " to " << m);
        const Tensor x = RandomTensor(f.x, 1), w = RandomTensor(f.w, 2);
        const Tensor dy = RandomTensor({2, m * groups, 5, 5}, 3);
        Tensor dx, dw;
        OneTap(f, groups, 2, dy, x, w, &dx, &dw);
        const auto executor =
            MustCreate(ParseModel(StrCat("opset 14, roundel 1\ngraph g (float32 dy, float32 x, "
                                         "float32 w) => (float32 dx, float32 dw) {\n"
                                         "  dx = roundel.ConvGradInput<",
                                         f.attributes,
                                         ">(dy, w, x)\n"
                                         "  dw = roundel.ConvGradWeight<",
                                         f.attributes, ">(dy, x, w)\n}")));
        const std::vector<Tensor> made = MustRun(*executor, {dy, x, w});
        REQUIRE(RelativeError(made[0], dx) < 2e-6);
        REQUIRE(RelativeError(made[1], dw) < 2e-6);
      }
}

TEST_CASE("gradients of shapes that do not fit are errors of the plain kernel") {
  const graph::Model model = ParseModel(R"(opset 14, roundel 1
graph g (float32 dy, float32 x, float32 w) => (float32 dw) {
  [weights] dw = roundel.ConvGradWeight<pads=[1,1,1,1]>(dy, x, w)
})");
  const auto result =
      MustCreate(model)->Run({RandomTensor({1, 4, 5, 5}, 1), RandomTensor({1, 3, 6, 6}, 2),
                              RandomTensor({4, 3, 3, 3}, 3)});
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().kind() == ErrorKind::kModel);
  CHECK_THAT(result.status().message(), Catch::Contains("weights"));
}

TEST_CASE("layers with weights that are inputs run fast and right") {
  const std::string body[] = {
      "y = Conv<pads=[1,1,1,1]>(x, w, b)",
      "t = Conv<pads=[1,1,1,1]>(x, w)\n  y = Relu(t)",
      "t = Conv<pads=[1,1,1,1]>(x, w, b)\n  u = Add(t, r)\n  y = Relu(u)",
      "y = ConvTranspose<pads=[1,1,1,1]>(x, w, b)",
      "t = ConvTranspose<pads=[1,1,1,1]>(x, w)\n  y = Relu(t)",
  };
  for (const std::string& nodes : body)
    CheckOneFastStep(
        StrCat("opset 14\ngraph g (float32[2,8,6,5] x, float32[8,8,3,3] w, float32[8] b, "
               "float32[2,8,6,5] r) => (float32 y) {\n  ",
               nodes, "\n}"),
        {RandomTensor({2, 8, 6, 5}, 1), RandomTensor({8, 8, 3, 3}, 2), RandomTensor({8}, 3),
         RandomTensor({2, 8, 6, 5}, 4)});
  for (const Form& form :
       {Form{{2, 12, 6, 6}, {12, 1, 3, 3}, "group=12"},
        Form{{2, 12, 7, 6}, {18, 4, 3, 3}, "group=3, strides=[2,2]"},
        Form{{2, 3, 6, 6}, {5, 3, 1, 1}, ""}, Form{{2, 3, 16}, {5, 3, 4}, "strides=[2]"}})
    CheckOneFastStep(Forward("Conv", form), {RandomTensor(form.x, 1), RandomTensor(form.w, 2)});
}

TEST_CASE("weights that change from run to run are read anew") {
  const auto executor =
      MustCreate(ParseModel(Forward("Conv", {{1, 16, 6, 6}, {16, 16, 3, 3}, ""})));
  const Tensor x = RandomTensor({1, 16, 6, 6}, 1);
  const Tensor w = RandomTensor({16, 16, 3, 3}, 2), other = RandomTensor({16, 16, 3, 3}, 3);
  const Tensor first = MustRun(*executor, {x, w})[0], second = MustRun(*executor, {x, other})[0];
  CHECK(RelativeError(first, second) > 0.1);
  CHECK(MustRun(*executor, {x, w})[0] == first);
}

TEST_CASE("a constant layer with a bias that is an input runs fast and right") {
  CheckOneFastStep(R"(opset 14
graph g (float32[2,8,6,5] x, float32[4] b) => (float32 y) {
  float32[4,8,3,3] w = random(3)
  t = Conv(x, w, b)
  y = Relu(t)
})",
                   {RandomTensor({2, 8, 6, 5}, 1), RandomTensor({4}, 2)});
}

}  // namespace
}  // namespace roundel::engine
