// Gradients of convolutions, pooling and normalization by statistics, over random forms.

#include <string>
#include <vector>

#include "tests/lib/grad/grad_check.h"

namespace roundel::grad {
namespace {

std::string List(const std::vector<int64_t>& values) { return StrCat("[", Join(values, ","), "]"); }

// The attributes of a window of that many axes, and its kernel.
struct WindowText {
  std::string attributes;
  std::vector<int64_t> kernel;
  std::vector<int64_t> least;  // input that one window covers
};
WindowText RandomWindow(Draw& draw, int64_t rank, bool dilated) {
  WindowText window;
  std::vector<int64_t> strides, dilations, begins, ends;
  for (int64_t i = 0; i < rank; ++i) {
    window.kernel.push_back(draw.Int(1, 3));
    strides.push_back(draw.Int(1, 3));
    dilations.push_back(dilated ? draw.Int(1, 2) : 1);
    begins.push_back(draw.Int(0, window.kernel[i] - 1));
    ends.push_back(draw.Int(0, window.kernel[i] - 1));
    window.least.push_back((window.kernel[i] - 1) * dilations[i] + 1);
  }
  begins.insert(begins.end(), ends.begin(), ends.end());
  window.attributes = StrCat("strides=", List(strides), ", ");
  if (dilated) window.attributes += StrCat("dilations=", List(dilations), ", ");
  window.attributes += draw.Chance(0.2) ? "auto_pad=\"SAME_UPPER\"" : "pads=" + List(begins);
  return window;
}

}  // namespace

TEST_CASE("gradients of convolutions of random form") {
  Draw draw(1);
  for (uint64_t n = 0; n < 40; ++n) {
    const int64_t rank = draw.Int(1, 3), groups = draw.Int(1, 2);
    const WindowText window = RandomWindow(draw, rank, true);
    const bool transposed = draw.Chance(0.4);
    Shape x = {draw.Int(1, 2), groups * draw.Int(1, 2)};
    const int64_t outs = draw.Int(1, 3);
    Shape w = transposed ? Shape{x[1], outs} : Shape{groups * outs, x[1] / groups};
    for (int64_t i = 0; i < rank; ++i) {
      x.push_back(window.least[i] + draw.Int(0, 3));
      w.push_back(window.kernel[i]);
    }
    CheckGradients(StrCat("float32", List(x), " x, float32", List(w), " w, float32",
                          List({groups * outs}), " b"),
                   StrCat("y = ", transposed ? "ConvTranspose" : "Conv", "<", window.attributes,
                          ", group=", groups, ">(x, w, b)"),
                   {.seed = n, .elements = 4});
  }
  const std::string inputs = "float32[1,2,3,3] x, float32[2,1,3,3] w";
  for (const char* how :
       {"strides=[2,2], output_padding=[1,1], pads=[1,1,1,1]",
        "strides=[2,2], output_padding=[2,0]", "strides=[2,2], output_shape=[6,7]",
        "auto_pad=\"VALID\"", "auto_pad=\"SAME_LOWER\", strides=[2,1]"})
    CheckGradients(inputs, StrCat("y = ConvTranspose<", how, ">(x, w)"), {.elements = 5});
}

TEST_CASE("gradients of pooling of random form") {
  Draw draw(2);
  for (uint64_t n = 0; n < 60; ++n) {
    const int64_t rank = draw.Int(1, 3);
    const bool largest = draw.Chance(0.5);
    const WindowText window = RandomWindow(draw, rank, draw.Chance(0.3));
    Shape x = {draw.Int(0, 9) == 0 ? 0 : draw.Int(1, 2), draw.Int(1, 2)};
    for (int64_t i = 0; i < rank; ++i) x.push_back(window.least[i] + draw.Int(0, 4));
    std::string more =
        StrCat(", kernel_shape=", List(window.kernel), ", ceil_mode=", draw.Int(0, 1));
    if (!largest) more += StrCat(", count_include_pad=", draw.Int(0, 1));
    CheckGradients(
        StrCat("float32", List(x), " x"),
        StrCat("y = ", largest ? "MaxPool" : "AveragePool", "<", window.attributes, more, ">(x)"),
        {.seed = n, .step = largest ? 2e-4 : 1e-2, .tolerance = 1e-2, .elements = 4}, 19);
  }
  for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"})
    for (const char* shape : {"[2,3,4,5]", "[1,2,7]", "[1,1,1,1]", "[0,2,3,3]"})
      CheckGradients(StrCat("float32", shape, " x"), StrCat("y = ", op, "(x)"),
                     {.step = 1e-3, .tolerance = 1e-2});
}

TEST_CASE("gradients of normalization by statistics") {
  for (const char* shape : {"[2,3,4,5]", "[2,3]", "[1,3,1]", "[0,3,2]"})
    CheckGradients(StrCat("float32", shape, " x, float32[3] g, float32[3] b"),
                   "float32[3] m = {0.5, -1, 2}\n float32[3] v = {0.5, 1, 2}\n"
                   " y = BatchNormalization<epsilon=0.1>(x, g, b, m, v)");
}

}  // namespace roundel::grad
