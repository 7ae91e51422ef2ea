// The table of types (lib/graph/value_types.h) against what operators really make.

#include "lib/graph/value_types.h"

#include <algorithm>
#include <filesystem>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/io/onnx.h"
#include "lib/ops/op.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/op_cases/attention.h"
#include "tests/support/op_cases/contrib_attention.h"
#include "tests/support/op_cases/contrib_float.h"
#include "tests/support/op_cases/contrib_integer.h"
#include "tests/support/op_cases/recent.h"
#include "tests/support/op_cases/small_types.h"

namespace roundel::engine {
namespace {

TEST_CASE("every operator that the engine runs has a rule for its types") {
  for (const OpEntry& op : OpTable()) {
    INFO(op.domain << " " << op.op_type);
    CHECK(graph::HasTypeRule(op.domain, op.op_type));
  }
}

// The types of the outputs as they are inferred without being declared.
std::vector<DType> Inferred(graph::Model model) {
  for (graph::ValueInfo& output : model.graph->outputs) output.dtype = DType::kUndefined;
  model.graph->value_info.clear();
  const auto types = graph::InferValueTypes(model);
  std::vector<DType> inferred;
  for (const graph::ValueInfo& output : model.graph->outputs) {
    const auto it = types.find(output.name);
    inferred.push_back(it == types.end() ? DType::kUndefined : it->second);
  }
  return inferred;
}

TEST_CASE("inferred types are those that the kernels make") {
  using namespace op_cases;
  for (const auto* cases : {&kAttention, &kRecent, &kQuantizers, &kContribAttention, &kGroupQuery,
                            &kContribFused, &kBlockWeights, &kContribInteger, &kContribProducts})
    for (const OpCase& test : *cases) {
      INFO(test.name);
      const auto made = MakeOpGraph(test);
      REQUIRE(made.ok());
      auto executor = Executor::Create(made->model);
      REQUIRE(executor.ok());
      const auto results = (*executor)->Run(made->inputs);
      REQUIRE(results.ok());
      const std::vector<DType> inferred = Inferred(graph::Clone(made->model));
      for (size_t i = 0; i < results->size(); ++i) {
        INFO("output " << i);
        CHECK(inferred[i] == (*results)[i].dtype());
      }
    }
}

TEST_CASE("inferred types are those that the operator suite declares", "[conformance]") {
  const std::filesystem::path suite = "/usr/share/libonnx-testdata/data/node";
  if (support::SkippedWithoutOperatorSuite()) return;
  int compared = 0;
  std::vector<std::string> wrong;
  for (const auto& entry : std::filesystem::directory_iterator(suite)) {
    auto model = io::ReadOnnx((entry.path() / "model.onnx").string());
    if (!model.ok() || !UnsupportedNodes(*model).empty()) continue;
    const auto& inputs = model->graph->inputs;
    const bool tensors = std::all_of(inputs.begin(), inputs.end(),
                                     [](const auto& i) { return i.dtype != DType::kUndefined; });
    if (!tensors) continue;  // nothing tells what a sequence or an optional holds
    const std::vector<DType> inferred = Inferred(graph::Clone(*model));
    for (size_t i = 0; i < inferred.size(); ++i) {
      const DType declared = model->graph->outputs[i].dtype;
      if (declared == DType::kUndefined) continue;
      ++compared;
      if (declared != inferred[i])
        wrong.push_back(StrCat(entry.path().filename().string(), ": ", DTypeName(inferred[i]),
                               " instead of ", DTypeName(declared)));
    }
  }
  INFO(Join(wrong, "\n"));
  CHECK(wrong.empty());
  CHECK(compared > 1000);
}

}  // namespace
}  // namespace roundel::engine
