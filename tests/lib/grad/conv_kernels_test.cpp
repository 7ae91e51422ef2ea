// Convolutions are linear in the input and in the weights, so that the adjoint identity
// <dY, Conv(u, w)> = <ConvGradInput(dY, w, x), u> holds for any u up to rounding: the forward kernel
// is the reference of the gradients.

#include <string>
#include <utility>
#include <vector>

#include "lib/base/text.h"
#include "tests/lib/engine/run_op.h"
#include "tests/lib/grad/grad_test_support.h"

namespace roundel::engine {
namespace {

using Attributes = std::vector<std::pair<std::string, graph::Attribute::Value>>;

struct ConvCase {
  std::string op;  // Conv, ConvTranspose
  Shape x, w;
  Attributes attributes;
};

std::string Text(const ConvCase& c) {
  std::string text = StrCat(c.op, " x ", ShapeString(c.x), " w ", ShapeString(c.w));
  for (const auto& [name, value] : c.attributes) {
    graph::Node node;
    node.SetAttribute(name, value);
    text += StrCat(" ", name, " ", Join(node.Ints(name)), node.Int(name, 0), node.String(name, ""));
  }
  return text;
}

// A convolution of random form: 1 to 3 axes, groups, dilations, asymmetric pads, automatic padding.
ConvCase RandomCase(grad::Draw& draw) {
  ConvCase c;
  const bool transposed = draw.Chance(0.4);
  c.op = transposed ? "ConvTranspose" : "Conv";
  const int64_t rank = draw.Int(1, 3), groups = draw.Int(1, 3);
  const int64_t ins = draw.Int(1, 3), outs = draw.Int(1, 4);
  c.x = {draw.Int(0, 5) == 0 ? 0 : draw.Int(1, 3), ins * groups};
  c.w = transposed ? Shape{ins * groups, outs} : Shape{outs * groups, ins};
  std::vector<int64_t> strides, dilations, begins, ends, extra;
  for (int64_t i = 0; i < rank; ++i) {
    const int64_t kernel = draw.Int(1, 3), dilation = draw.Int(1, 2), stride = draw.Int(1, 3);
    strides.push_back(stride);
    dilations.push_back(dilation);
    begins.push_back(draw.Int(0, kernel - 1));
    ends.push_back(draw.Int(0, kernel - 1));
    extra.push_back(draw.Int(0, stride));  // one more than what a convolution undoes
    c.w.push_back(kernel);
    c.x.push_back(transposed ? draw.Int(3, 5) : (kernel - 1) * dilation + draw.Int(1, 5));
  }
  c.attributes = {{"strides", strides}, {"dilations", dilations}, {"group", groups}};
  const std::string same = draw.Chance(0.5) ? "SAME_UPPER" : "SAME_LOWER";
  if (draw.Chance(0.2)) {
    c.attributes.emplace_back("auto_pad", same);
    return c;
  }
  begins.insert(begins.end(), ends.begin(), ends.end());
  c.attributes.emplace_back("pads", begins);
  if (transposed) c.attributes.emplace_back("output_padding", extra);
  return c;
}

Tensor Run(const std::string& op, const ConvCase& c, std::vector<Tensor> inputs) {
  const std::string domain = op == c.op ? "" : "roundel";
  auto results = RunOp({.op_type = op,
                        .opset = domain.empty() ? 13 : 1,
                        .inputs = std::move(inputs),
                        .attributes = c.attributes,
                        .domain = domain});
  INFO((results.ok() ? "" : results.status().message()));
  REQUIRE(results.ok());
  return (*results)[0];
}

}  // namespace

TEST_CASE("gradients of convolutions are the adjoints of the forward kernel") {
  grad::Draw draw(7);
  int transposed = 0;
  for (int i = 0; i < 300; ++i) {
    const ConvCase c = RandomCase(draw);
    INFO(Text(c));
    transposed += c.op == "ConvTranspose";
    const Tensor x = draw.Values(c.x), w = draw.Values(c.w);
    const Tensor u = draw.Values(c.x), v = draw.Values(c.w);
    const Tensor dy = draw.Values(Run(c.op, c, {x, w}).shape());
    const Tensor dx = Run(c.op + "GradInput", c, {dy, w, x});
    CHECK(dx.shape() == c.x);
    CHECK(grad::Dot(dx, u) == Approx(grad::Dot(dy, Run(c.op, c, {u, w}))).margin(1e-4));
    const Tensor dw = Run(c.op + "GradWeight", c, {dy, x, w});
    CHECK(dw.shape() == c.w);
    CHECK(grad::Dot(dw, v) == Approx(grad::Dot(dy, Run(c.op, c, {x, v}))).margin(1e-4));
  }
  CHECK(transposed > 80);
}

TEST_CASE("the gradient of a convolution must have its result's shape") {
  const Tensor x = Tensor::Zeros(DType::kFloat, {1, 1, 4}),
               w = Tensor::Zeros(DType::kFloat, {1, 1, 2});
  const Tensor wrong = Tensor::Zeros(DType::kFloat, {1, 1, 4});
  for (const char* op : {"ConvGradInput", "ConvGradWeight"}) {
    const auto result = RunOp({.op_type = op,
                               .opset = 1,
                               .inputs = {wrong, op[8] == 'I' ? w : x, op[8] == 'I' ? x : w},
                               .domain = "roundel"});
    REQUIRE_FALSE(result.ok());
    CHECK_THAT(result.status().message(), Catch::Contains("the forward result has [1, 1, 3]"));
  }
}

TEST_CASE("SumTo is the adjoint of Expand") {
  grad::Draw draw(11);
  for (int i = 0; i < 200; ++i) {
    Shape from, to;
    const int64_t rank = draw.Int(0, 4);
    for (int64_t k = 0; k < rank; ++k) {
      const int64_t dim = draw.Int(0, 8) == 0 ? 0 : draw.Int(1, 5);
      to.push_back(dim);
      if (k == 0 && draw.Chance(0.3)) continue;  // the shorter shape lacks leading axes
      if (from.empty() && k > 0 && draw.Chance(0.3)) continue;
      from.push_back(draw.Chance(0.5) ? 1 : dim);
    }
    INFO(ShapeString(from) << " -> " << ShapeString(to));
    const Tensor x = draw.Values(from), dy = draw.Values(to);
    const Tensor target = Tensor::FromVector<int64_t>({static_cast<int64_t>(to.size())}, to);
    const Tensor y = RunOp({.op_type = "Expand", .opset = 13, .inputs = {x, target}}).value()[0];
    const Tensor dx =
        RunOp({.op_type = "SumTo", .opset = 1, .inputs = {dy, x}, .domain = "roundel"}).value()[0];
    CHECK(dx.shape() == from);
    CHECK(grad::Dot(dx, x) == Approx(grad::Dot(dy, y)).margin(1e-4));
  }
  const Tensor x = Tensor::Zeros(DType::kFloat, {3}), dy = Tensor::Zeros(DType::kFloat, {1});
  const auto result =
      RunOp({.op_type = "SumTo", .opset = 1, .inputs = {dy, x}, .domain = "roundel"});
  REQUIRE_FALSE(result.ok());
  CHECK_THAT(result.status().message(), Catch::Contains("[3] is never broadcast to [1]"));
}

}  // namespace roundel::engine
