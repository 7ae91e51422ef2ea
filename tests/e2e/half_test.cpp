// Models in float16, bfloat16 and float64 against ONNX Runtime: on the same float16 file, and for
// the others, which its CPU kernels do not run, on the float32 model of the same weights.

#include <cmath>

#include "lib/engine/executor.h"
#include "lib/graph/text.h"
#include "lib/io/onnx.h"
#include "tests/e2e/compare.h"
#include "tests/e2e/half_nets.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"
#include "tests/support/parse_model.h"
#include "tests/support/retype.h"
#include "tests/support/vector_source.h"

namespace roundel {
namespace {

using e2e::Distance;
using e2e::kConvNet;
using e2e::kTransformer;
using e2e::Net;
using e2e::Run;
using e2e::RunInOrt;
using support::Retyped;

graph::Model Parse(const Net& net) { return support::ParseModel(net.text); }

TEST_CASE("float16 models give ONNX Runtime's results within the type's precision") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Net& net : {kConvNet, kTransformer}) {
    INFO(net.name);
    const e2e::ScratchFolder scratch(std::string("half-") + net.name);
    Random random(3);
    const graph::Model model = Retyped(Parse(net), DType::kFloat16);
    const Tensor x = support::RandomTensor(net.input, random).FromFloatTo(DType::kFloat16);
    const Tensor theirs = RunInOrt(model, x, scratch);
    REQUIRE(theirs.dtype() == DType::kFloat16);
    for (const bool fast : {true, false}) {
      const Tensor ours = Run(model, x, fast);
      CHECK(ours.dtype() == DType::kFloat16);
      // 11 bits; the runtimes round at different places on the way.
      CHECK(Distance(ours, theirs) < 4 * 0x1p-11);
    }
  }
}

TEST_CASE(
    "bfloat16 models give the results of their weights in float32, within the type's precision") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Net& net : {kConvNet, kTransformer}) {
    INFO(net.name);
    const e2e::ScratchFolder scratch(std::string("bfloat-") + net.name);
    Random random(3);
    const graph::Model wide = Parse(net), model = Retyped(wide, DType::kBfloat16);
    const Tensor x = support::RandomTensor(net.input, random).FromFloatTo(DType::kBfloat16);
    const Tensor theirs =
        RunInOrt(support::RoundedWeights(wide, DType::kBfloat16), x.ToFloat(), scratch);
    const Tensor fast = Run(model, x, true), plain = Run(model, x, false);
    CHECK(fast.dtype() == DType::kBfloat16);
    CHECK(plain.dtype() == DType::kBfloat16);
    CHECK(Distance(fast, theirs) < 0x1p-8);       // rounded once, at the end
    CHECK(Distance(plain, theirs) < 6 * 0x1p-8);  // rounded after every node
  }
}

// ONNX Runtime has neither Conv nor Erf in double: its float32 results are the reference.
TEST_CASE("float64 models give ONNX Runtime's float32 results, in double") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Net& net : {kConvNet, kTransformer}) {
    INFO(net.name);
    const e2e::ScratchFolder scratch(std::string("double-") + net.name);
    Random random(3);
    const graph::Model single = Parse(net), model = Retyped(single, DType::kDouble);
    const Tensor x = support::RandomTensor(net.input, random), wide = x.FromFloatTo(DType::kDouble);
    const Tensor theirs = RunInOrt(single, x, scratch);
    for (const bool fast : {true, false}) {
      const Tensor ours = Run(model, wide, fast);
      CHECK(ours.dtype() == DType::kDouble);
      CHECK(Distance(ours, theirs) < 1e-5);
    }
  }
}

TEST_CASE("a float16 model still takes and gives float16 only") {
  const graph::Model model = Retyped(Parse(kTransformer), DType::kFloat16);
  for (const bool fast : {true, false}) {
    auto executor = engine::Executor::Create(model, {.fast_kernels = fast});
    REQUIRE(executor.ok());
    const auto result = (*executor)->Run({Tensor::Zeros(DType::kFloat, {1, 7, 32})});
    REQUIRE_FALSE(result.ok());
    CHECK_THAT(result.status().message(),
               Catch::Contains("'x'") && Catch::Contains("float16") && Catch::Contains("float32"));
  }
}

}  // namespace
}  // namespace roundel
