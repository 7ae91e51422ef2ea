// Integer simulation against ONNX Runtime's integer kernels: the same bits, wherever both have
// exact dot products.

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/fast/integer/linear.h"
#include "lib/graph/text.h"
#include "lib/io/onnx.h"
#include "lib/targets/qdq.h"
#include "tests/e2e/calibrated.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"

namespace roundel {
namespace {

bool CanCompare() {
  return !e2e::SkippedWithoutOrt() &&
         !support::SkippedWithoutByteDots(engine::HasExactDotProduct());
}

int64_t Differences(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  int64_t count = 0;
  for (int64_t i = 0; i < a.size(); ++i) count += a.data<float>()[i] != b.data<float>()[i];
  return count;
}

void CheckOurs(const graph::Model& model, const std::vector<Tensor>& inputs,
               const std::vector<Tensor>& expected) {
  auto executor = engine::Executor::Create(model, {});
  INFO((executor.ok() ? "" : executor.status().message()));
  REQUIRE(executor.ok());
  auto ours = (*executor)->Run(inputs);
  REQUIRE(ours.ok());
  for (size_t i = 0; i < ours->size(); ++i) {
    INFO("output " << i);
    CHECK(Differences((*ours)[i], expected[i]) == 0);
  }
}

// Our engine and ONNX Runtime on the same file and inputs; then our engine on what the runtime's
// optimizations make of the file: QLinearConv and its like.
void CheckSameBits(const graph::Model& model, const std::vector<Tensor>& inputs,
                   const e2e::ScratchFolder& scratch) {
  const std::string file = scratch.File("model.onnx");
  REQUIRE(io::WriteOnnx(model, file).ok());
  e2e::OrtJob job{file, true, {}, scratch.File("optimized.onnx")};
  for (size_t i = 0; i < inputs.size(); ++i)
    job.inputs.emplace_back(model.graph->inputs[i].name, inputs[i]);
  auto ort = e2e::RunOrt({job}, scratch.path());
  INFO((ort.ok() ? "" : ort.status().message()));
  REQUIRE(ort.ok());
  CheckOurs(model, inputs, (*ort)[0]);
  auto optimized = io::ReadOnnx(job.optimized);
  REQUIRE(optimized.ok());
  CheckOurs(*optimized, inputs, (*ort)[0]);
}

// QDQ models written line by line: values between quantizers on random grids.
class QdqText {
 public:
  explicit QdqText(uint64_t seed) : random_(seed) {}

  // A graph input of that shape behind a pair; its name.
  std::string Input(const Shape& shape, const std::string& type) {
    const std::string x = StrCat("x", inputs_.size());
    head_.push_back(StrCat("float32", ShapeString(shape), " ", x));
    inputs_.push_back(support::RandomTensor(shape, random_));
    for (int64_t i = 0; i < inputs_.back().size(); ++i)
      inputs_.back().mutable_data<float>()[i] *= 4;
    return Pair(x, type, 0.02 + 0.02 * random_.Uniform());
  }
  // All codes of a grid along `axis` of [256, 256].
  std::string AllCodes(int axis, const std::string& type) {
    const std::string x = Input({256, 256}, type);
    float* to = inputs_.back().mutable_data<float>();
    for (int k = 0; k < 256 * 256; ++k)
      to[k] = static_cast<float>((axis == 0 ? k / 256 : k % 256) - shift_) * scale_;
    return x;
  }
  std::string Constant(const Shape& shape, const std::string& type) {
    const std::string name = Fresh("w");
    std::vector<std::string> codes;
    for (int64_t i = 0; i < NumElements(shape); ++i)
      codes.push_back(StrCat(static_cast<int>(random_.Below(256)) - (type == "int8" ? 128 : 0)));
    body_ += StrCat(type, ShapeString(shape), " ", name, " = {", Join(codes), "}\n");
    return Dequantized(name, type, 0.01 + 0.02 * random_.Uniform());
  }
  // y = line, between quantizers; an output of the graph.
  void Result(const std::string& line, const std::string& type, double scale) {
    const std::string y = Fresh("y");
    body_ += StrCat(y, " = ", line, "\n");
    lines_.push_back(StrCat("output ", lines_.size(), ": ", line, " ", type, " ", scale));
    results_.push_back("float32 " + Pair(y, type, scale));
  }
  void CheckBits(const char* name) const {
    const std::string text =
        StrCat("opset 13\n graph g (", Join(head_), ") => (", Join(results_), ") {\n", body_, "}");
    const auto model = graph::Parse(text);
    INFO((model.ok() ? "" : text + model.status().message()));
    REQUIRE(model.ok());
    INFO(Join(lines_, "\n"));
    CheckSameBits(*model, inputs_, e2e::ScratchFolder(StrCat("integer-", name)));
  }

 private:
  std::string Fresh(const char* stem) { return StrCat(stem, names_++, "_"); }
  std::string Grid(const std::string& name, const std::string& type, double scale) {
    scale_ = static_cast<float>(scale);
    const int low = type == "int8" ? -128 : 0;
    shift_ = static_cast<int>(random_.Below(256));
    const int zero_point = low + shift_;
    body_ += StrCat("float32[] s", name, " = {", scale_, "}\n", type, "[] z", name, " = {",
                    zero_point, "}\n");
    return StrCat(", s", name, ", z", name, ")");
  }
  std::string Pair(const std::string& x, const std::string& type, double scale) {
    const std::string grid = Grid(x, type, scale);
    body_ += StrCat("q", x, " = QuantizeLinear(", x, grid, "\nd", x, " = DequantizeLinear(q", x,
                    grid, "\n");
    return "d" + x;
  }
  std::string Dequantized(const std::string& x, const std::string& type, double scale) {
    const std::string grid = Grid(x, type, scale);
    body_ += StrCat("d", x, " = DequantizeLinear(", x, grid, "\n");
    return "d" + x;
  }

  Random random_;
  std::vector<std::string> head_, results_, lines_;
  std::string body_;
  std::vector<Tensor> inputs_;
  int names_ = 0, shift_ = 0;  // shift: of the last zero point above the lowest code
  float scale_ = 0;
};

TEST_CASE("all sums and products of two 8-bit codes are ONNX Runtime's") {
  if (!CanCompare()) return;
  for (const char* type : {"uint8", "int8"})
    for (const char* op : {"Add", "Mul"}) {
      QdqText text(11);
      for (int i = 0; i < 8; ++i) {
        const std::string a = text.AllCodes(0, type), b = text.AllCodes(1, type);
        text.Result(StrCat(op, "(", a, ", ", b, ")"), type, 0.03 + 0.02 * i);
      }
      INFO(type << " " << op);
      text.CheckBits("pairs");
    }
}

TEST_CASE("sums and products that broadcast are computed on codes") {
  if (!CanCompare()) return;
  const std::vector<std::pair<Shape, Shape>> shapes = {{{4, 96, 7, 5}, {96, 1, 1}},
                                                       {{1, 96, 1, 1}, {4, 96, 7, 5}},
                                                       {{40, 1, 90}, {40, 30, 1}},
                                                       {{1}, {400, 30}},
                                                       {{300, 50}, {50}},
                                                       {{300, 50}, {}},
                                                       {{2, 1, 3, 1, 60}, {40, 1, 7, 1}},
                                                       {{1, 1}, {1, 1}}};
  for (const char* type : {"uint8", "int8"})
    for (const char* op : {"Add", "Mul"}) {
      QdqText text(12);
      for (const auto& [a, b] : shapes) {
        const std::string x = text.Input(a, type), y = text.Input(b, type);
        text.Result(StrCat(op, "(", x, ", ", y, ")"), type, 0.05);
        const std::string constant = text.Constant(b, type);
        text.Result(StrCat(op, "(", x, ", ", constant, ")"), type, 0.05);
        text.Result(StrCat(op, "(", constant, ", ", x, ")"), type, 0.05);
      }
      // Of two types, the runtime adds floats.
      const std::string x = text.Input({300, 40}, "uint8"), y = text.Input({300, 40}, "int8");
      text.Result(StrCat(op, "(", x, ", ", y, ")"), type, 0.05);
      INFO(type << " " << op);
      text.CheckBits("broadcast");
    }
}

TEST_CASE("operators of one value on 8-bit grids give ONNX Runtime's bits") {
  if (!CanCompare()) return;
  for (const char* type : {"uint8", "int8"}) {
    QdqText text(13);
    for (double scale : {0.02, 0.004, 1.0 / 256})
      for (const char* line : {"Sigmoid(", "LeakyRelu<alpha=0.1>(", "HardSigmoid(", "Tanh(",
                               "Relu(", "Softmax<axis=-1>(", "Softmax<axis=0>("})
        text.Result(StrCat(line, text.AllCodes(0, type), ")"), type, scale);
    for (const Shape& shape : {Shape{2, 40, 9, 8}, Shape{3, 17, 30}}) {
      const bool image = shape.size() == 4;
      const std::string x = text.Input(shape, type);
      for (const char* attributes :
           {image ? "kernel_shape=[2,2], strides=[2,2]" : "kernel_shape=[4]",
            image ? "kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,1]"
                  : "kernel_shape=[3], pads=[1,1]",
            image ? "kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1"
                  : "kernel_shape=[3], pads=[1,1], count_include_pad=1"})
        text.Result(StrCat("AveragePool<", attributes, ">(", x, ")"), type, 0.03);
      text.Result(StrCat("GlobalAveragePool(", x, ")"), type, 0.01);
      // In int8 the runtime's Softmax wraps around beyond 127.
      if (*type == 'u') text.Result(StrCat("Softmax<axis=1>(", x, ")"), type, 0.003);
      text.Result(StrCat("Concat<axis=1>(", x, ", ", text.Input(shape, type), ")"), type, 0.03);
    }
    INFO(type);
    text.CheckBits("unary");
  }
}

struct Case {
  const char* name;
  const char* text;
  Shape input;
};

const Case kCases[] = {
    {"convolutions",
     R"(opset 13
        graph g (float32[N,3,17,19] x) => (float32[N,24,3,4] y) {
          float32[16,3,3,3] w1 = random(1)
          float32[16] b1 = random(2)
          float32[16,1,5,3] w2 = random(3)
          float32[16] b2 = random(4)
          float32[8,16,1,1] w3 = random(5)
          float32[8] b3 = random(6)
          float32[12,4,3,3] w4 = random(7)
          float32[12] b4 = random(8)
          float32[24,12,3,3] w5 = random(9)
          float32[24] b5 = random(10)
          c1 = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w1, b1)
          r1 = Relu(c1)
          c2 = Conv<kernel_shape=[5,3], pads=[2,1,2,1], group=16>(r1, w2, b2)
          c3 = Conv<kernel_shape=[1,1]>(c2, w3, b3)
          c4 = Conv<kernel_shape=[3,3], pads=[0,0,1,1], strides=[2,2], group=2>(c3, w4, b4)
          y = Conv<kernel_shape=[3,3], dilations=[2,2], pads=[1,1,1,1], strides=[3,3]>(c4, w5, b5)
        })",
     {3, 3, 17, 19}},
    {"network_in_codes",
     R"(opset 13
        graph g (float32[N,4,14,14] x) => (float32[N,10] y) {
          float32[32,4,3,3] w1 = random(1)
          float32[32] b1 = random(2)
          float32[32,32,1,1] w2 = random(3)
          float32[32] b2 = random(4)
          float32[16,32,1,1] w3 = random(5)
          float32[16] b3 = random(6)
          float32[10,48] w4 = random(7)
          float32[10] b4 = random(8)
          float32[32,1,1] caps = random(9)
          c1 = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w1, b1)
          t1 = Relu(c1)
          r1 = Min(t1, caps)
          p1 = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(r1)
          c2 = Conv<kernel_shape=[1,1]>(p1, w2, b2)
          s = Add(c2, p1)
          c3 = Conv<kernel_shape=[1,1]>(s, w3, b3)
          r3 = Relu(c3)
          gate = GlobalAveragePool(r3)
          open = Sigmoid(gate)
          gated = Mul(r3, open)
          a3 = AveragePool<kernel_shape=[2,2], pads=[0,0,1,1]>(gated)
          j = Concat<axis=1>(s, a3)
          g = GlobalAveragePool(j)
          f = Flatten(g)
          y = Gemm<transB=1>(f, w4, b4)
        })",
     {5, 4, 14, 14}},
};

TEST_CASE("layers on 8-bit grids give ONNX Runtime's bits") {
  if (!CanCompare()) return;
  for (const Case& test : kCases) {
    DYNAMIC_SECTION(test.name) {
      const auto session = e2e::Calibrated(test.text, test.input);
      auto exported = target::ExportQdq(session->model, session->encodings, {});
      REQUIRE(exported.ok());
      Random random(99);
      const Tensor input = support::RandomTensor(test.input, random);
      CheckSameBits(*exported, {input}, e2e::ScratchFolder(std::string("integer-") + test.name));

      // The simulation of the float model is that of the exported one.
      engine::ExecutorOptions options;
      options.simulate = &session->encodings;
      auto simulated = engine::Executor::Create(session->model, options);
      auto quantized = engine::Executor::Create(*exported, {});
      REQUIRE(simulated.ok());
      REQUIRE(quantized.ok());
      CHECK(Differences((*simulated)->Run({input}).value()[0],
                        (*quantized)->Run({input}).value()[0]) == 0);
    }
  }
}

}  // namespace
}  // namespace roundel
