// Every model that `quantize` writes is accepted by its target. Small random networks, all targets,
// recipes of all kinds. Oracles: `lint` of the written file, and published rules of the runtimes,
// which this test checks in the file: TensorRT's explicit quantization is symmetric and uses standard
// Q/DQ operators; XNNPACK's convolutions require equal signedness; QNN has no layers that mix floats
// and codes; ONNX has 4 and 16 bits from opset 21 on.

#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/targets/profile.h"
#include "tests/cmd/cli.h"

namespace roundel::cmd {
namespace {

using graph::Node;
using support::Cli;
using support::CliResult;
using support::Contents;
using support::TempFolder;
using support::WriteArray;
using support::WriteModel;

// Builds a network of four channels. Every block reads the value `last` and replaces it.
class Net {
 public:
  explicit Net(uint64_t seed) : random_(seed) {}

  std::string Text() {
    Layer(true);
    for (int i = 0; i < 5; ++i) Block(Pick(11));
    Head(Pick(4));
    return "opset 13\ngraph g (float32[N,4,4,4] x) => (float32[N,?] y) {\n" + constants_ + nodes_ +
           "}\n";
  }

 private:
  int Pick(int count) { return static_cast<int>(random_.Below(count)); }
  std::string New() { return "v" + std::to_string(++count_); }
  std::string Constant(const std::string& type, const std::string& value) {
    const std::string name = "k" + std::to_string(++count_);
    constants_ += "  float32" + type + " " + name + " = " + value + "\n";
    return name;
  }
  std::string Random(const std::string& type) {
    return Constant(type, "random(" + std::to_string(++count_) + ")");
  }
  std::string Op(const std::string& call) {
    const std::string name = New();
    nodes_ += "  " + name + " = " + call + "\n";
    return name;
  }

  // A convolution, alone, with a bias, or followed by batch normalization.
  void Layer(bool normalized) {
    const bool bias = !normalized && Pick(2) == 0;
    std::string call = "Conv(" + last_ + ", " + Random("[4,4,1,1]");
    if (bias) call += ", " + Random("[4]");
    last_ = Op(call + ")");
    if (normalized)
      last_ =
          Op("BatchNormalization(" + last_ + ", " + Constant("[4]", "{1, 2, 0.5, 1}") + ", " +
             Random("[4]") + ", " + Random("[4]") + ", " + Constant("[4]", "{1, 2, 1, 3}") + ")");
  }

  void Block(int kind) {
    const std::string before = last_;
    switch (kind) {
      case 0: return Layer(false);
      case 1: last_ = Op("Relu(" + last_ + ")"); return Layer(true);
      case 2:  // a bound per channel, as equalization leaves it
        last_ = Op("Min(" + Op("Relu(" + last_ + ")") + ", " +
                   Constant("[1,4,1,1]", "{1, 2, 3, 4}") + ")");
        return Layer(Pick(2) == 0);
      case 3:
        last_ =
            Op("Clip(" + last_ + ", " + Constant("[]", "{0}") + ", " + Constant("[]", "{6}") + ")");
        return Layer(true);
      case 4:
        Layer(Pick(2) == 0);
        last_ = Op("Add(" + last_ + ", " + before + ")");
        return;
      case 5: {  // a gate of two layers
        Layer(true);
        const std::string one = last_;
        last_ = before;
        Layer(true);
        last_ = Op("Mul(" + one + ", " + Op("Sigmoid(" + last_ + ")") + ")");
        return Pick(2) == 0 ? Layer(false) : void();
      }
      case 6: {  // densely connected
        Layer(false);
        last_ = Op("Concat<axis=1>(" + before + ", " + last_ + ")");
        last_ = Op("Conv(" + last_ + ", " + Random("[4,8,1,1]") + ")");
        return;
      }
      case 7: last_ = Op("Mul(" + last_ + ", " + Op("Sigmoid(" + last_ + ")") + ")"); return;
      case 8:
        last_ = Op("LayerNormalization<axis=-1>(" + last_ + ", " + Random("[4]") + ")");
        return;
      case 9: last_ = Op("MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(" + last_ + ")"); return;
      default: {  // attention over places
        const std::string weights =
            Op("Softmax<axis=-1>(" + Op("MatMul(" + last_ + ", " + last_ + ")") + ")");
        last_ = Op("MatMul(" + weights + ", " + last_ + ")");
      }
    }
  }

  void Head(int kind) {
    if (kind == 3) return void(nodes_ += "  y = Identity(" + last_ + ")\n");
    const std::string flat = Op("Flatten(" + Op("GlobalAveragePool(" + last_ + ")") + ")");
    if (kind == 0)
      nodes_ += "  y = Gemm(" + flat + ", " + Random("[4,3]") + ", " + Random("[3]") + ")\n";
    if (kind == 1) nodes_ += "  y = MatMul(" + flat + ", " + Random("[4,3]") + ")\n";
    if (kind == 2)
      nodes_ += "  y = Add(" + Op("MatMul(" + flat + ", " + Random("[4,3]") + ")") + ", " +
                Random("[3]") + ")\n";
  }

  roundel::Random random_;
  std::string constants_, nodes_, last_ = "x";
  int count_ = 0;
};

const Node* Dequantizer(const graph::Graph& g, const std::string& value) {
  const Node* node = g.Producer(value);
  return node && node->op_type == "DequantizeLinear" ? node : nullptr;
}

// The published rules that the model breaks.
std::vector<std::string> Broken(const graph::Model& model, const std::string& target) {
  std::vector<std::string> broken;
  const graph::Graph& g = *model.graph;
  for (const graph::NodePtr& node : g.nodes()) {
    const bool pair = node->op_type == "QuantizeLinear" || node->op_type == "DequantizeLinear";
    const bool layer =
        node->op_type == "Conv" || node->op_type == "Gemm" || node->op_type == "MatMul";
    const Tensor* zero = pair ? g.Constant(node->input(2)) : nullptr;
    if (zero && node->domain.empty() && model.Opset() < 21 && zero->dtype() != DType::kInt32 &&
        BitWidth(zero->dtype()) != 8)
      broken.push_back("codes of " + DTypeName(zero->dtype()) + " before opset 21");
    if ((target == "tensorrt" || target == "openvino") && !node->domain.empty())
      broken.push_back(node->op_type + " of " + node->domain);
    if (zero && target == "tensorrt") {
      if (zero->dtype() != DType::kInt8 && zero->dtype() != DType::kInt4)
        broken.push_back("codes of " + DTypeName(zero->dtype()));
      for (const int64_t value : zero->ToInt64s())
        if (value != 0) broken.push_back("a zero point of " + std::to_string(value));
    }
    if (!layer || node->inputs.size() < 2) continue;
    const Node *x = Dequantizer(g, node->input(0)), *w = Dequantizer(g, node->input(1));
    const bool weight = w && g.Constant(w->input(0));
    if (target == "qnn-htp" && weight && !x) broken.push_back("codes of a weight beside floats");
    if (target == "ort-mobile-xnnpack" && x && weight && node->op_type == "Conv" &&
        g.Constant(x->input(2))->dtype() != g.Constant(w->input(2))->dtype())
      broken.push_back("a Conv of " + DTypeName(g.Constant(x->input(2))->dtype()) + " and " +
                       DTypeName(g.Constant(w->input(2))->dtype()));
  }
  return broken;
}

// Either an error with a remedy, or a model that the target accepts.
bool CheckLegal(const TempFolder& folder, std::vector<std::string> args,
                const std::string& target) {
  const std::string out = folder / "out.onnx";
  for (const std::string& arg : {std::string("--target"), target, std::string("-o"), out})
    args.push_back(arg);
  const CliResult made = Cli(args);
  INFO(made.err);
  if (made.code != 0) {
    CHECK(made.code == 2);
    CHECK(made.err.find("target '" + target + "'") != std::string::npos);
    return false;
  }
  const CliResult lint = Cli({"lint", out, "--target", target});
  INFO(lint.out);
  CHECK(lint.code == 0);
  const auto written = io::ReadOnnx(out);
  REQUIRE(written.ok());
  CHECK(Join(Broken(*written, target)) == "");
  // `quantize` did not report a violated rule either.
  CHECK(Contents(folder / "out.report.json").find("breaks") == std::string::npos);
  return true;
}

TEST_CASE("what quantize finishes with, its target takes") {
  const std::vector<std::vector<std::string>> recipes = {
      {"--recipe", "data_free_int8"},
      {"--recipe", "data_free_int8", "--set", "calibrate.input_range=-1,1"},
      {},
      {"--recipe", "int8_per_tensor"},
      {"--recipe", "int8_dynamic"},
      {"--recipe", "w4_llm"},
      {"--activations-bits", "16"},
      {"--set", "export.format=qoperator"},
      {"--set", "activations=float", "--bits", "8"},
      {"--set", "activations=float", "--bits", "4"}};
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const std::string text = Net(seed).Text();
    INFO(text);
    const TempFolder folder;
    const std::string model = WriteModel(folder, "model.onnx", text);
    Random random(seed);
    Tensor x = Tensor::Zeros(DType::kFloat, {4, 4, 4, 4});
    for (int64_t i = 0; i < x.size(); ++i)
      x.mutable_data<float>()[i] = static_cast<float>(random.Normal());
    const std::string data = WriteArray(folder, "x.npy", x);
    int finished = 0;
    for (const std::string& target : target::ProfileNames())
      for (size_t i = 0; i < recipes.size(); ++i) {
        // Each network is tested with a third of the recipes.
        if ((seed + i) % 3 != 0) continue;
        INFO(target << ", recipe " << i);
        std::vector<std::string> args = {"quantize", model,   "--calib",
                                         data,       "--set", "check.samples=1"};
        args.insert(args.end(), recipes[i].begin(), recipes[i].end());
        finished += CheckLegal(folder, args, target);
      }
    CHECK(finished > 0);
  }
}

}  // namespace
}  // namespace roundel::cmd
