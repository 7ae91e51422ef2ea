#include <algorithm>
#include <cmath>

#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/graph/layer.h"
#include "lib/graph/text.h"
#include "passes/runner.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"
#include "tests/support/vector_source.h"

namespace roundel::passes {
namespace {

using support::OutputDifference;
using support::PassError;
using support::PassOptions;
using support::PassRun;
using support::RunPass;

std::string Model(const std::string& inputs, const std::string& body, int opset = 13) {
  return StrCat("opset ", opset, "\ngraph g (", inputs, ") => (float32 y) {\n", body, "}\n");
}

// "name = Conv(x, name_w, name_b)" whose output channels differ in range by factors of up to 100.
std::string Conv(const std::string& name, const std::string& shape, const std::string& x,
                 const std::string& attributes = "", const std::string& y = "") {
  const int64_t channels = std::stoll(shape.substr(1));
  Random random(name.size() * 131 + static_cast<unsigned char>(name.back()));
  std::vector<std::string> bias;
  for (int64_t c = 0; c < channels; ++c) bias.push_back(StrFormat("%.4f", random.Normal()));
  return StrCat("float32", shape, " ", name, "_w = random(", random.Below(1000), ")\nfloat32[",
                channels, "] ", name, "_b = {", Join(bias), "}\n[", name, "] ",
                y.empty() ? name : y, " = Conv", attributes, "(", x, ", ", name, "_w, ", name,
                "_b)\n");
}

// Multiplies the output channels of the constant [channels, ...] by 10^-1 .. 10^1.
void Unbalance(graph::Model* model, const std::string& name) {
  Tensor value = *model->graph->FindInitializer(name);
  const int64_t rows = value.dim(0), row = value.size() / rows;
  float* data = value.mutable_data<float>();
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < row; ++i)
      data[r * row + i] *= static_cast<float>(
          std::pow(10, -1 + 2.0 * static_cast<double>(r) / static_cast<double>(rows)));
  model->graph->SetInitializer(name, value);
}

// Largest |w| per output channel (axis 0) or input channel (axis 1) of a constant [out, in, ...].
std::vector<double> Ranges(const Tensor& weight, int axis) {
  const int64_t out = weight.dim(0), in = weight.dim(1), kernel = weight.size() / (out * in);
  std::vector<double> ranges(static_cast<size_t>(axis == 0 ? out : in), 0.0);
  for (int64_t i = 0; i < weight.size(); ++i) {
    double& range = ranges[static_cast<size_t>(axis == 0 ? i / kernel / in : i / kernel % in)];
    range = std::max(range, std::fabs(static_cast<double>(weight.data<float>()[i])));
  }
  return ranges;
}

TEST_CASE("the report holds the channels' ranges before and after, as the weights have them") {
  auto model =
      graph::Parse(Model("float32[N,3,8,8] x", Conv("a", "[5,3,3,3]", "x") + "ra = Relu(a)\n" +
                                                   Conv("b", "[4,5,1,1]", "ra", "", "y")));
  REQUIRE(model.ok());
  Unbalance(&*model, "a_w");
  const PassRun run = RunPass("cle", std::move(*model));
  REQUIRE(run.report.channel_ranges.size() == 2);
  for (size_t i = 0; i < 2; ++i) {
    const report::ChannelRanges& ranges = run.report.channel_ranges[i];
    const std::string weight = i == 0 ? "a_w" : "b_w";
    for (const bool after : {false, true}) {
      std::vector<double> sorted =
          Ranges(*(after ? run.after() : run.before).graph->FindInitializer(weight), 0);
      std::sort(sorted.begin(), sorted.end());
      const std::vector<double>& numbers = after ? ranges.after : ranges.before;
      REQUIRE(numbers.size() == 5);
      CHECK(numbers.front() == Approx(sorted.front()).epsilon(1e-5));
      CHECK(numbers.back() == Approx(sorted.back()).epsilon(1e-5));
      if (i == 0) CHECK(numbers[2] == Approx(sorted[2]).epsilon(1e-5));  // of five: the middle one
    }
  }
}

TEST_CASE("a dry run leaves the same records as a real one") {
  const std::string text =
      Model("float32[N,3,8,8] x", Conv("a", "[4,3,3,3]", "x") + "ra = Relu(a)\n" +
                                      Conv("b", "[5,4,1,1]", "ra") + "rb = Relu(b)\n" +
                                      Conv("c", "[4,5,3,3]", "rb", "", "y"));
  const auto records = [&](bool dry) {
    auto model = graph::Parse(text);
    REQUIRE(model.ok());
    Session session;
    session.model = std::move(*model);
    session.dry = dry;
    Unbalance(&session.model, "a_w");
    std::vector<std::string> lines;
    for (const char* name : {"cle", "high_bias_absorb"}) {
      const PassInfo* pass = FindPass(name);
      report::Report report;
      const recipe::Step step{.pass = name, .params = recipe::Params(pass->params)};
      const Status status = RunSteps({step}, {.verify_samples = 0}, &session, &report);
      if (!status.ok()) lines.push_back(status.message());
      for (const report::Record& r : report.passes.back().records)
        lines.push_back(StrCat(name, " ", r.subject, " ", r.action));
    }
    return lines;
  };
  const auto dry = records(true), real = records(false);
  REQUIRE(dry.size() >= 2);
  CHECK(dry == real);
  CHECK(Join(dry).find("equalized") != std::string::npos);
}

TEST_CASE("two Convs get the scales of the formula") {
  // r1 = (8, 0.5), r2 = (2, 2): s = (2, 0.5), both ranges become (4, 1).
  PassOptions options;
  options.statistics["t"] = {{10, 20}, {1, 2}};
  const PassRun run = RunPass("cle", Model("float32[N,1,2,2] x", R"(
      float32[2,1,1,1] w = {8, 0.5}
      float32[2] b = {1, 1}
      float32[1,2,1,1] v = {-2, 2}
      [one] t = Conv(x, w, b)
      r = Relu(t)
      [two] y = Conv(r, v)
  )"),
                              options);
  CHECK(run.outcome == Outcome::kChanged);
  CHECK(graph::Print(run.after()) == R"(opset 13
graph g (float32[N,1,2,2] x) => (float32 y) {
  float32[2,1,1,1] w = {4, 1}
  float32[2] b = {0.5, 2}
  float32[1,2,1,1] v = {-4, 1}
  [one] t = Conv(x, w, b)
  r = Relu(t)
  [two] y = Conv(r, v)
}
)");
  CHECK(run.Reason("'one'", "equalized") == "with 'two' (Conv), scales 0.5 to 2");
  CHECK(run.session.output_moments.at("t").mean == std::vector<double>{5, 40});
  CHECK(run.session.output_moments.at("t").deviation == std::vector<double>{0.5, 4});
  CHECK(run.Metric("equalized") == "1");
  CHECK(run.outcome != Outcome::kApproximate);
}

TEST_CASE("a depthwise layer between two gets the scales of the formula for triples") {
  // r = (8, 1), (1, 1), (1, 8): c = (r1 r2 r3)^(1/3) = (2, 2) is the range of all three afterwards.
  const PassRun run = RunPass("cle", Model("float32[N,1,2,2] x", R"(
      float32[2,1,1,1] w = {8, 1}
      float32[2,1,1,1] d = {1, -1}
      float32[1,2,1,1] v = {1, 8}
      t = Conv(x, w)
      r = Relu(t)
      u = Conv<group=2>(r, d)
      q = Relu(u)
      y = Conv(q, v)
  )"),
                              {.params = {{"tolerance", "1e-5"}}});
  for (const char* name : {"w", "d", "v"})
    for (const float value : run.Constant(name).span<float>())
      CHECK(std::fabs(value) == Approx(2).epsilon(1e-6));
  CHECK(OutputDifference(run.before, run.after()) < 1e-6);
}

struct Case {
  const char* name;
  std::string inputs, body;
};

TEST_CASE("equalized models compute the same, and ranges of both sides agree") {
  const std::string image = "float32[2,3,6,6] x";
  const std::string first = Conv("a", "[4,3,3,3]", "x", "<pads=[1,1,1,1]>");
  const auto second = [](const std::string& x) { return Conv("b", "[5,4,1,1]", x, "", "y"); };
  const Case cases[] = {
      {"nothing between", image, first + second("a")},
      {"Relu", image, first + "r = Relu(a)\n" + second("r")},
      {"PRelu", image, first + "float32[4,1,1] p = random(9)\nr = PRelu(a, p)\n" + second("r")},
      {"LeakyRelu", image, first + "r = LeakyRelu<alpha=0.1>(a)\n" + second("r")},
      {"Clip(0, inf)", image, first + "float32[] z = {0}\nr = Clip(a, z)\n" + second("r")},
      {"Max(0)", image, first + "float32[] z = {0}\nr = Max(a, z)\n" + second("r")},
      {"padded second", image,
       first + "r = Relu(a)\n" + Conv("b", "[5,4,3,3]", "r", "<pads=[1,1,1,1]>", "y")},
      {"grouped second", image,
       first + "r = Relu(a)\n" + Conv("b", "[6,2,3,3]", "r", "<group=2>", "y")},
      {"pooling", image,
       first +
           "m = MaxPool<kernel_shape=[2,2], pads=[1,1,0,0]>(a)\n"
           "p = AveragePool<kernel_shape=[2,2], pads=[1,1,0,0], count_include_pad=1>(m)\n" +
           second("p")},
      {"padding", image,
       first +
           "int64[8] n = {0,0,1,1,0,0,1,1}\np = Pad(a, n)\n"
           "q = Pad<mode=\"reflect\">(p, n)\n" +
           second("q")},
      {"resize", image,
       first + "float32[4] n = {1,1,2,2}\np = Resize<mode=\"linear\">(a, \"\", n)\n" + second("p")},
      {"constant factors", image,
       first + "float32[4,1,1] n = random(8)\np = Mul(n, a)\nq = Div(p, n)\n" + second("q")},
      {"two consumers", image,
       first + "r = Relu(a)\n" + Conv("b", "[5,4,1,1]", "r") +
           Conv("c", "[5,4,3,3]", "r", "<pads=[1,1,1,1]>") +
           "s = Sigmoid(b)\nt = Tanh(c)\ny = Add(s, t)\n"},
      {"residual sum", image,
       first + "r = Relu(a)\n" + Conv("b", "[4,4,3,3]", "r", "<pads=[1,1,1,1]>") +
           "s = Add(b, r)\nq = Relu(s)\n" + Conv("c", "[3,4,1,1]", "q", "", "y")},
      {"squeeze and excitation", image,
       first + "r = Relu(a)\ng = GlobalAveragePool(r)\n" + Conv("e", "[4,4,1,1]", "g") +
           "s = Sigmoid(e)\nm = Mul(r, s)\n" + second("m")},
      {"ConvTranspose", image,
       "float32[3,2,3,3] w = random(1)\na = ConvTranspose(x, w)\nr = Relu(a)\n"
       "float32[2,5,2,2] v = random(2)\ny = ConvTranspose<strides=[2,2]>(r, v)\n"},
      {"grouped ConvTranspose", image,
       first + "r = Relu(a)\nfloat32[4,3,2,2] v = random(2)\n"
               "y = ConvTranspose<group=2>(r, v)\n"},
      {"Flatten to Gemm", image,
       first + "r = Relu(a)\nf = Flatten(r)\nfloat32[144,5] g = random(3)\n"
               "y = Gemm(f, g)\n"},
      {"pooled, reduced, to MatMul", image,
       first + "r = Relu(a)\nq = ReduceMean<axes=[2,3], keepdims=0>(r)\n"
               "float32[4,5] g = random(3)\ny = MatMul(q, g)\n"},
      {"Gemm, MatMul", "float32[3,6] x",
       "float32[4,6] w = random(1)\nfloat32[4] c = random(2)\n"
       "a = Gemm<transB=1, alpha=0.5, beta=2.0>(x, w, c)\nr = Relu(a)\n"
       "float32[4,5] v = random(3)\nfloat32[5] d = random(4)\nm = MatMul(r, v)\n"
       "s = Add(m, d)\nt = Relu(s)\nfloat32[5,2] u = random(5)\ny = Gemm(t, u)\n"},
      {"MatMul of three axes", "float32[2,3,6] x",
       "float32[6,4] w = random(1)\nfloat32[4] c = random(2)\nm = MatMul(x, w)\na = Add(c, m)\n"
       "r = Relu(a)\nfloat32[4,5] v = random(3)\ny = MatMul(r, v)\n"},
      {"1-D", "float32[2,3,9] x",
       Conv("a", "[4,3,3]", "x") + "r = Relu(a)\n" + Conv("b", "[5,4,2]", "r", "", "y")},
      {"3-D", "float32[1,3,4,4,4] x",
       Conv("a", "[4,3,2,2,2]", "x") + "r = Relu(a)\n" + Conv("b", "[5,4,2,2,2]", "r", "", "y")},
      {"Min with a bound", image,
       first + "r = Relu(a)\nfloat32[] h = {0.4}\nq = Min(r, h)\n" + second("q")},
      {"Min with a bound per channel", image,
       first + "r = Relu(a)\nfloat32[4,1,1] h = {0.4, 0.3, 0.2, 0.1}\nq = Min(h, r)\n" +
           second("q")},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    graph::Model model = support::ParseModel(Model(c.inputs, c.body));
    if (model.graph->FindInitializer("a_w")) Unbalance(&model, "a_w");
    const PassRun run = RunPass("cle", std::move(model));
    CHECK(run.outcome == Outcome::kChanged);
    CHECK(run.Count("equalized") > 0);
    CHECK(OutputDifference(run.before, run.after()) < 2e-6);
  }
}

TEST_CASE("the ranges on both sides are equal afterwards") {
  graph::Model model = support::ParseModel(
      Model("float32[2,3,6,6] x",
            Conv("a", "[8,3,3,3]", "x") + "r = Relu(a)\n" + Conv("b", "[5,8,1,1]", "r", "", "y")));
  Unbalance(&model, "a_w");
  const PassRun run = RunPass("cle", std::move(model));
  const std::vector<double> left = Ranges(run.Constant("a_w"), 0);
  const std::vector<double> right = Ranges(run.Constant("b_w"), 1);
  const std::vector<double> first = Ranges(*run.before.graph->Constant("a_w"), 0);
  const std::vector<double> second = Ranges(*run.before.graph->Constant("b_w"), 1);
  for (size_t c = 0; c < left.size(); ++c) {
    CHECK(left[c] == Approx(right[c]).epsilon(1e-4));
    CHECK(left[c] == Approx(std::sqrt(first[c] * second[c])).epsilon(1e-4));
  }
}

TEST_CASE("a layer from a group to itself does not make the ranges swap for ever") {
  // x -> Conv -> (+ Conv of itself) -> Conv: W = [[0, a], [b, 0]] in the branch.
  const PassRun run = RunPass("cle", Model("float32[1,1,2,2] x", R"(
      float32[2,1,1,1] w = {0.01, 0.01}
      float32[2,2,1,1] v = {0, 8, 0.5, 0}
      float32[1,2,1,1] u = {0.01, 0.01}
      a = Conv(x, w)
      b = Conv(a, v)
      s = Add(a, b)
      y = Conv(s, u)
  )"));
  const auto v = run.Constant("v").span<float>();
  CHECK(v[1] == Approx(2).epsilon(1e-3));
  CHECK(v[2] == Approx(2).epsilon(1e-3));
  CHECK(OutputDifference(run.before, run.after()) < 1e-6);
}

TEST_CASE("random small networks keep their function") {
  Random random(42);
  for (int round = 0; round < 20; ++round) {
    std::string body, value = "x";
    int64_t channels = 3;
    const int layers = 2 + static_cast<int>(random.Below(5));
    for (int i = 0; i < layers; ++i) {
      const bool depthwise = random.Below(3) == 0;
      const int64_t out = depthwise ? channels : 1 + static_cast<int64_t>(random.Below(8));
      const std::string name = StrCat("c", i), last = i + 1 == layers ? "y" : name + "_act";
      body += Conv(name, StrCat("[", out, ",", depthwise ? 1 : channels, ",3,3]"), value,
                   StrCat("<pads=[1,1,1,1], group=", depthwise ? channels : 1, ">"));
      const bool residual = out == channels && i > 0 && random.Below(2) == 0;
      if (residual) body += StrCat(name, "_sum = Add(", name, ", ", value, ")\n");
      const char* activations[] = {"Relu", "LeakyRelu<alpha=0.2>", "Clip<min=0.0, max=1.0>",
                                   "Identity"};
      body += StrCat(last, " = ", activations[random.Below(4)], "(", name, residual ? "_sum" : "",
                     ")\n");
      value = last;
      channels = out;
    }
    INFO(body);
    const PassRun run = RunPass("cle", Model("float32[2,3,5,5] x", body, 10),
                                {.params = {{"max_iterations", "20000"}}});
    CHECK(OutputDifference(run.before, run.after(), static_cast<uint64_t>(round)) < 5e-6);
  }
}

// ---- Clip(0, 6)

const char* const kRelu6 = R"(
    float32[2,1,1,1] w = {8, 0.5}
    float32[1,2,1,1] v = {-2, 2}
    float32[] zero = {0}
    float32[] six = {6}
    [one] t = Conv(x, w)
    [act] r = Clip(t, zero, six)
    [two] y = Conv(r, v)
)";

TEST_CASE("Clip becomes Relu and Min with a bound per channel") {
  const PassRun run = RunPass("cle", Model("float32[N,1,2,2] x", kRelu6));
  CHECK(graph::Print(run.after()) == R"(opset 13
graph g (float32[N,1,2,2] x) => (float32 y) {
  float32[2,1,1,1] w = {4, 1}
  float32[1,2,1,1] v = {-4, 1}
  float32[1,2,1,1] r_bound = {3, 12}
  [one] t = Conv(x, w)
  [act] r_relu = Relu(t)
  [act_min] r = Min(r_relu, r_bound)
  [two] y = Conv(r, v)
}
)");
  CHECK(run.Metric("relu6") == "exact");
  CHECK(run.outcome != Outcome::kApproximate);
  CHECK(OutputDifference(run.before, run.after()) < 1e-6);
}

TEST_CASE("relu drops the bound, skip leaves the group alone") {
  const std::string model = Model("float32[N,1,2,2] x", kRelu6);
  const PassRun relu = RunPass("cle", model, {.params = {{"relu6", "relu"}}});
  CHECK(relu.Ops() == "Conv Relu Conv");
  CHECK(relu.outcome == Outcome::kApproximate);
  CHECK(relu.Metric("relu6") == "relu");
  const PassRun skip = RunPass("cle", model, {.params = {{"relu6", "skip"}}});
  CHECK(skip.outcome == Outcome::kUnchanged);
  CHECK(skip.Reason("'one'") == "'t': 'act' (Clip) reads it");
}

TEST_CASE("auto decides by the error on the data, and reports it") {
  const auto run = [](double deviation) {
    Random random(5);
    Batch batch;
    batch.inputs = {support::RandomTensor({4, 1, 2, 2}, random, deviation)};
    batch.size = 4;
    support::VectorSource source({batch});
    return RunPass("cle", Model("float32[N,1,2,2] x", kRelu6), {.data = &source});
  };
  const PassRun small = run(0.1);  // never reaches the bound
  CHECK(small.Ops() == "Conv Relu Conv");
  CHECK(small.Metric("relu6_sqnr_db") == "200");
  CHECK(small.outcome == Outcome::kApproximate);
  const PassRun large = run(10);
  CHECK(large.Ops() == "Conv Relu Min Conv");
  CHECK(std::stod(large.Metric("relu6_sqnr_db")) < 20);
  CHECK(large.outcome != Outcome::kApproximate);
}

TEST_CASE("the measured ratio is that of the definition") {
  // x = 1, -1, 2, 0: y = 2 clip(x / 2) - 2 clip(8 x) is -11, 0, -10, 0; with Relu -15, 0, -30, 0.
  Batch batch;
  batch.inputs = {Tensor::FromVector<float>({1, 1, 2, 2}, {1, -1, 2, 0})};
  batch.size = 1;
  support::VectorSource source({batch});
  const PassRun run = RunPass("cle", Model("float32[N,1,2,2] x", kRelu6), {.data = &source});
  CHECK(std::stod(run.Metric("relu6_sqnr_db")) ==
        Approx(10 * std::log10((121.0 + 100) / (16 + 400))).epsilon(1e-4));
}

// ---- guards

TEST_CASE("dead channels keep their scale") {
  const PassRun run = RunPass("cle", Model("float32[N,1,2,2] x", R"(
      float32[4,1,1,1] w = {8, 1e-9, 0, 2}
      float32[4] b = {1, 1, 1, 1}
      float32[1,4,1,1] v = {2, 2, 2, 0}
      t = Conv(x, w, b)
      y = Conv(t, v)
  )"));
  const auto w = run.Constant("w").span<float>(), b = run.Constant("b").span<float>();
  CHECK(w[0] == 4.0f);
  CHECK(b[0] == 0.5f);
  for (const size_t dead : {size_t{1}, size_t{2}, size_t{3}}) CHECK(b[dead] == 1.0f);
  CHECK(w[3] == 2.0f);
  CHECK(OutputDifference(run.before, run.after()) < 1e-6);
}

TEST_CASE("channels that Relu keeps at zero are cleared") {
  // Channel 0 is silent: -1 + 1000 * 1e-6 < 0. Channel 1 is not: its bias may be outweighed.
  const PassRun run = RunPass("cle", Model("float32[N,1,3,3] x", R"(
      float32[3,1,1,1] w = {1e-6, 0.5, 2}
      float32[3] b = {-1, -1, 1}
      float32[3,1,3,3] d = random(3)
      float32[3] e = {0.5, 0.5, 0.5}
      float32[1,3,1,1] v = {0.1, 1, 1}
      [one] t = Conv(x, w, b)
      r = Relu(t)
      [two] u = Conv<group=3, pads=[1,1,1,1]>(r, d, e)
      y = Conv(u, v)
  )"));
  CHECK(run.Metric("cleared_channels") == "1");
  CHECK(run.Reason("'one'", "cleared") == "1 channels that the activation keeps at zero");
  CHECK(run.Constant("w").span<float>()[0] == 0.0f);
  CHECK(run.Constant("b").span<float>()[0] == 0.0f);
  for (int i = 0; i < 9; ++i) CHECK(run.Constant("d").span<float>()[i] == 0.0f);
  CHECK(run.Constant("d").span<float>()[9] != 0.0f);
  CHECK(run.Constant("b").span<float>()[1] != 0.0f);
  CHECK(run.Constant("e").span<float>()[0] == 0.5f);  // a constant channel, but not a silent one
  CHECK(OutputDifference(run.before, run.after()) < 1e-6);
}

TEST_CASE("silent channels stay where something else than Relu reads the layer") {
  const auto cleared = [](const std::string& between) {
    return RunPass("cle", Model("float32[N,1,3,3] x",
                                StrCat("float32[2,1,1,1] w = {1e-6, 0.5}\nfloat32[2] b = {-1, -1}\n"
                                       "float32[1,2,1,1] v = {1, 1}\nt = Conv(x, w, b)\n",
                                       between, "y = Conv(r, v)\n")))
        .Metric("cleared_channels");
  };
  CHECK(cleared("r = Relu(t)\n") == "1");
  CHECK(cleared("float32[] z = {0}\nfloat32[] m = {6}\nr = Clip(t, z, m)\n") == "1");
  CHECK(cleared("r = LeakyRelu(t)\n") == "0");
  CHECK(cleared("r = Identity(t)\n") == "0");
  CHECK(cleared("q = Relu(t)\nr = Add(q, t)\n") == "0");
}

TEST_CASE("power_of_two rounds scales") {
  const PassRun run = RunPass("cle", Model("float32[N,1,2,2] x", R"(
      float32[2,1,1,1] w = {9, 0.7}
      float32[1,2,1,1] v = {0.9, 3.3}
      t = Conv(x, w)
      y = Conv(t, v)
  )"),
                              {.params = {{"power_of_two", "true"}}});  // s = 3.16, 0.46
  CHECK(run.Constant("w").span<float>()[0] == 9.0f / 4);
  CHECK(run.Constant("w").span<float>()[1] == 0.7f * 2);
  CHECK(run.Constant("v").span<float>()[0] == 0.9f * 4);
  CHECK(OutputDifference(run.before, run.after()) == 0);
}

TEST_CASE("shared weights are scaled apart") {
  const PassRun run = RunPass("cle", Model("float32[1,2,4,4] x", R"(
      float32[2,2,1,1] w = {8, 4, 0.5, 0.25}
      a = Conv(x, w)
      r = Relu(a)
      b = Conv(r, w)
      q = Relu(b)
      y = Conv(q, w)
  )"));
  CHECK(run.outcome == Outcome::kChanged);
  CHECK(run.after().graph->initializers().size() == 3);
  CHECK(OutputDifference(run.before, run.after()) < 1e-6);
}

TEST_CASE("float16 weights keep their type, and stay if scaling would overflow them") {
  const auto model = [](const char* b) {
    return StrCat(
        "opset 13\ngraph g (float16[1,1,2,2] x) => (float16 y) {\n"
        "float16[2,1,1,1] w = {0.5, 0.5}\nfloat16[2] b = {",
        b, ", 0}\nfloat16[1,2,1,1] v = {8, 0.5}\nt = Conv(x, w, b)\n[two] y = Conv(t, v)\n}");
  };
  const PassRun run = RunPass("cle", model("16"));
  CHECK(run.Constant("w").ToFloat().span<float>()[0] == 2.0f);  // s = 1/4
  CHECK(run.Constant("b").dtype() == DType::kFloat16);
  CHECK(run.Constant("b").ToFloat().span<float>()[0] == 64.0f);
  const PassRun overflow = RunPass("cle", model("32768"));
  CHECK(overflow.outcome == Outcome::kUnchanged);
  CHECK(overflow.Reason("Conv producing 't'") ==
        "the scaled weight of Conv producing 't' exceeds its type");
}

TEST_CASE("what cannot be scaled stays, with the reason") {
  const std::string a = Conv("a", "[4,3,3,3]", "x"),
                    rest = "r = Relu(a)\n" + Conv("b", "[4,4,1,1]", "r", "", "y");
  const std::string from_s = Conv("b", "[4,4,1,1]", "s", "", "y");
  struct Decline {
    std::string body, reason;
    int opset = 13;
    std::map<std::string, std::string> params;
  };
  const Decline cases[] = {
      {a + "s = Sigmoid(a)\n" + from_s + "z = Relu(a)\n" + Conv("c", "[1,4,1,1]", "z"),
       "'a': Sigmoid producing 's' reads it"},
      {a + rest + "z = Softmax(r)\n", "'r': Softmax producing 'z' reads it"},
      {a + "s = Concat<axis=1>(a)\n" + rest, "'a': Concat producing 's' reads it"},
      {a + "float32[4,1,1] c = ones\ns = Add(a, c)\n" + from_s + rest.substr(0, 12) +
           Conv("d", "[4,4,1,1]", "r"),
       "'a': Add producing 's' reads it"},
      {a + "float32[] m = {-1}\nfloat32[] n = {1}\ns = Clip(a, m, n)\n" + from_s +
           rest.substr(0, 12) + Conv("d", "[4,4,1,1]", "r"),
       "'a': Clip producing 's' reads it"},
      {a + "s = Clip<min=0.0, max=6.0>(a)\n" + from_s, "'a': Clip producing 's' reads it", 7},
      {a + "s, i = MaxPool<kernel_shape=[2,2]>(a)\nj = Identity(i)\n" + from_s,
       "'a': MaxPool producing 's' has a second result"},
      {a + "r = Relu(a)\n" + Conv("b", "[4,4,1,1]", "r") + "s = Add(r, b)\n" +
           Conv("d", "[4,4,1,1]", "s", "", "y"),
       "'r': Add producing 's' reads it",
       13,
       {{"branches", "false"}}},
      {a + rest +
           "bool[] c = {1}\nz = If<then_branch=graph t () => (float32 q) {\n"
           "q = Identity(r)\n}, else_branch=graph e () => (float32 w) {\n"
           "w = Identity(y)\n}>(c)\n",
       "'r': a sub-graph of If producing 'z' reads it"},
  };
  for (const Decline& c : cases) {
    INFO(c.body);
    const PassRun run =
        RunPass("cle", Model("float32[1,3,6,6] x", c.body, c.opset), {.params = c.params});
    CHECK(run.Reason("'a'") == c.reason);
  }
  const PassRun even = RunPass("cle", Model("float32[1,1,2,2] x", R"(
      float32[1,1,1,1] w = {2}
      t = Conv(x, w)
      y = Conv(t, w)
  )"));
  CHECK(even.outcome == Outcome::kUnchanged);
  CHECK(even.Reason("Conv producing 't'") == "its channels are already equalized");
}

TEST_CASE("values that are graph outputs stay") {
  const PassRun run = RunPass("cle",
                              "opset 13\ngraph g (float32[1,3,6,6] x) => (float32 y, "
                              "float32 r) {\n" +
                                  Conv("a", "[4,3,3,3]", "x") + "r = Relu(a)\n" +
                                  Conv("b", "[4,4,1,1]", "r", "", "y") + "}");
  CHECK(run.outcome == Outcome::kUnchanged);
  CHECK(run.Reason("'a'") == "'r': it is a graph output");
}

TEST_CASE("NaN weights are model errors that name the tensor") {
  const Status status = PassError("cle", Model("float32[1,1,2,2] x", R"(
      float32[1,1,1,1] w = {nan}
      float32[1,1,1,1] v = {1}
      [one] t = Conv(x, w)
      y = Conv(t, v)
  )"));
  CHECK(status.kind() == ErrorKind::kModel);
  CHECK(status.message() == "node 'one' (Conv): tensor 'w' holds NaN or infinity");
}

}  // namespace
}  // namespace roundel::passes
