// Random graphs of convolutions and the nodes around them: fusion, layouts, memory reuse, taps and
// simulation together must not change what is computed.

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

constexpr int64_t kHeight = 6, kWidth = 5;

// Writes a graph of `size` nodes over values [N, C, 6, 5].
class GraphWriter {
 public:
  explicit GraphWriter(uint64_t seed) : random_(seed) {}

  graph::Model Write(int size) {
    channels_ = {{"x", 3}};
    order_ = {"x"};
    for (int i = 0; i < size; ++i) AddNode(StrCat("v", i));
    for (int i = 0; i < 3; ++i) outputs_.push_back(order_[order_.size() - 1 - random_.Below(4)]);
    std::sort(outputs_.begin(), outputs_.end());
    outputs_.erase(std::unique(outputs_.begin(), outputs_.end()), outputs_.end());
    std::vector<std::string> declared;
    for (const std::string& output : outputs_) declared.push_back("float32 " + output);
    return ParseModel(StrCat("opset 14\ngraph g (float32[N,3,6,5] x) => (", Join(declared),
                             ") {\n  float32[] lo = {-0.5}\n  float32[] hi = {1}\n", initializers_,
                             nodes_, "}"));
  }
  const std::vector<std::string>& values() const { return order_; }

 private:
  // Prefers recent values, so that nodes form chains.
  const std::string& Pick() {
    const uint64_t back = random_.Uniform() < 0.7 ? 1 : 1 + random_.Below(order_.size());
    return order_[order_.size() - back];
  }

  std::string Constant(const std::string& name, const Shape& shape, double low, double high) {
    initializers_ += StrCat("  float32[", Join(shape), "] ", name, " = random(", ++constants_, ", ",
                            low, ", ", high, ")\n");
    return name;
  }

  void Emit(const std::string& name, const std::string& call, int64_t channels) {
    nodes_ += StrCat("  ", name, " = ", call, "\n");
    channels_[name] = channels;
    order_.push_back(name);
  }

  void AddConv(const std::string& name, const std::string& x, int64_t c) {
    const bool depthwise = random_.Uniform() < 0.3, wide = random_.Uniform() < 0.6;
    const int64_t out = depthwise || random_.Uniform() < 0.4 ? c : 1 + random_.Below(20);
    const int64_t k = wide ? 3 : 1;
    const double bound = 1.5 / std::sqrt(static_cast<double>(k * k * (depthwise ? 1 : c)));
    const std::string w = Constant(name + "_w", {out, depthwise ? 1 : c, k, k}, -bound, bound);
    Emit(name,
         StrCat("Conv<pads=", wide ? "[1,1,1,1]" : "[0,0,0,0]", ", group=", depthwise ? c : 1, ">(",
                x, ", ", w, ")"),
         out);
  }

  void AddNode(const std::string& name) {
    const std::string x = Pick();
    const int64_t c = channels_[x];
    switch (random_.Below(14)) {
      case 0:
      case 1:
      case 2: return AddConv(name, x, c);
      case 3: return Emit(name, StrCat("Relu(", x, ")"), c);
      case 4: return Emit(name, StrCat("Clip(", x, ", lo, hi)"), c);
      case 5: return Emit(name, StrCat("Sigmoid(", x, ")"), c);
      case 6: return AddBinary(name, x, c);
      case 7: {
        const std::string k = Constant(name + "_k", {c, 1, 1}, 0.5, 1.5);
        return Emit(name, StrCat(random_.Below(2) ? "Mul(" : "Add(", x, ", ", k, ")"), c);
      }
      case 8: {
        const std::string y = Pick();
        if (c + channels_[y] > 64) return Emit(name, StrCat("Identity(", x, ")"), c);
        return Emit(name, StrCat("Concat<axis=1>(", x, ", ", y, ")"), c + channels_[y]);
      }
      case 9:
        return Emit(name,
                    StrCat(random_.Below(2) ? "MaxPool" : "AveragePool",
                           "<kernel_shape=[3,3], pads=[1,1,1,1]>(", x, ")"),
                    c);
      case 10: {
        std::string parameters;
        for (const char* p : {"_g", "_b", "_m", "_v"})
          parameters += ", " + Constant(name + p, {c}, 0.5, 1.5);
        return Emit(name, StrCat("BatchNormalization(", x, parameters, ")"), c);
      }
      case 11: return Emit(name, StrCat("Tanh(", x, ")"), c);
      case 12: {
        Emit(name + "_t", StrCat("Transpose<perm=[0,2,3,1]>(", x, ")"), c);
        order_.pop_back();
        return Emit(name, StrCat("Transpose<perm=[0,3,1,2]>(", name, "_t)"), c);
      }
      default: {
        Emit(name + "_m", StrCat("GlobalAveragePool(", x, ")"), c);
        order_.pop_back();
        return Emit(name, StrCat("Mul(", x, ", ", name, "_m)"), c);
      }
    }
  }

  void AddBinary(const std::string& name, const std::string& x, int64_t c) {
    for (int attempt = 0; attempt < 10; ++attempt) {
      const std::string& y = order_[random_.Below(order_.size())];
      if (channels_[y] != c) continue;
      return Emit(name, StrCat(random_.Below(3) ? "Add(" : "Mul(", x, ", ", y, ")"), c);
    }
    Emit(name, StrCat("Elu(", x, ")"), c);
  }

  Random random_;
  std::map<std::string, int64_t> channels_;
  std::vector<std::string> order_, outputs_;
  std::string initializers_, nodes_;
  int constants_ = 0;
};

TEST_CASE("random graphs compute what the plain kernels compute") {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    GraphWriter writer(seed);
    const graph::Model model = writer.Write(4 + static_cast<int>(seed % 25));
    INFO(graph::Print(model, 0));
    const auto fast = MustCreate(model);
    const auto plain = MustCreate(model, {.fast_kernels = false});
    for (const int64_t batch : {2, 2, 1, 2}) {
      const std::vector<Tensor> x = {RandomTensor({batch, 3, kHeight, kWidth}, seed)};
      const auto actual = MustRun(*fast, x), expected = MustRun(*plain, x);
      for (size_t i = 0; i < actual.size(); ++i)
        REQUIRE(RelativeError(actual[i], expected[i]) < 1e-4);
    }
  }
}

TEST_CASE("taps on any values of random graphs change nothing and see what is computed") {
  for (uint64_t seed = 100; seed < 130; ++seed) {
    GraphWriter writer(seed);
    const graph::Model model = writer.Write(20);
    INFO(graph::Print(model, 0));
    std::vector<std::string> tapped;
    for (size_t i = seed % 3; i < writer.values().size(); i += 3)
      tapped.push_back(writer.values()[i]);
    const auto fast = MustCreate(model, {.tapped_values = tapped});
    const auto plain = MustCreate(model, {.tapped_values = tapped, .fast_kernels = false});
    const std::vector<Tensor> x = {RandomTensor({2, 3, kHeight, kWidth}, seed)};
    std::map<std::string, double> sums[2];
    std::vector<Tensor> outputs[2];
    for (const int side : {0, 1}) {
      std::vector<Tap> taps;
      for (const std::string& value : tapped)
        taps.push_back({value, true, [&sums, side](const TapView& view) {
                          for (float v : view.data) sums[side][view.name] += std::fabs(v);
                          return OkStatus();
                        }});
      Executor& executor = side == 0 ? *fast : *plain;
      MustRun(executor, x, taps);
      sums[side].clear();
      outputs[side] = MustRun(executor, x, taps);
    }
    REQUIRE(sums[0].size() == sums[1].size());
    for (const auto& [value, sum] : sums[1]) {
      INFO(value);
      REQUIRE(std::fabs(sums[0][value] - sum) <= 1e-4 * sum + 1e-6);
    }
    for (size_t i = 0; i < outputs[0].size(); ++i)
      REQUIRE(RelativeError(outputs[0][i], outputs[1][i]) < 1e-4);
  }
}

}  // namespace
}  // namespace roundel::engine
