// Calls that fit, then the same with one thing changed: an input left out or replaced, an attribute
// replaced. Reaches behind the first checks of operators with many inputs. The answer must be a
// result or a kModel error, never a crash; the sanitizer build sees reads out of bounds.

#include <cmath>
#include <map>

#include "lib/base/text.h"
#include "tests/lib/engine/run_op.h"
#include "tests/support/catch.h"
#include "tests/support/op_cases/attention.h"
#include "tests/support/op_cases/contrib_attention.h"
#include "tests/support/op_cases/contrib_float.h"
#include "tests/support/op_cases/contrib_integer.h"
#include "tests/support/op_cases/recent.h"
#include "tests/support/op_cases/small_types.h"

namespace roundel::engine {
namespace {

using graph::Attribute;

int64_t OtherInt(Random& random) {
  static const std::vector<int64_t> kValues = {
      0, 1, 2, 3, 4, 7, 16, -1, -2, 100, int64_t{1} << 31, int64_t{1} << 40, INT64_MAX, INT64_MIN};
  return kValues[random.Below(kValues.size())];
}

float OtherFloat(Random& random) {
  static const std::vector<float> kValues = {0,      1,        -1,        0.5f, 1e30f,
                                             -1e30f, INFINITY, -INFINITY, NAN};
  return kValues[random.Below(kValues.size())];
}

void ChangeAttribute(Attribute::Value& value, Random& random) {
  if (std::holds_alternative<int64_t>(value))
    value = OtherInt(random);
  else if (std::holds_alternative<float>(value))
    value = OtherFloat(random);
  else if (std::holds_alternative<std::string>(value))
    value = std::string("other");
  else if (auto* list = std::get_if<std::vector<int64_t>>(&value); list && !list->empty())
    (*list)[random.Below(list->size())] = OtherInt(random);
  else if (auto* floats = std::get_if<std::vector<float>>(&value); floats && !floats->empty())
    (*floats)[random.Below(floats->size())] = OtherFloat(random);
}

// The same elements where possible, of another shape.
Tensor OtherShape(const Tensor& tensor, Random& random) {
  Shape shape = tensor.shape();
  switch (random.Below(5)) {
    case 0: shape.insert(shape.begin(), 1); break;
    case 1:
      if (!shape.empty()) shape.erase(shape.begin());
      break;
    case 2:
      if (!shape.empty()) shape[random.Below(shape.size())] = 0;
      break;
    case 3:
      if (!shape.empty()) ++shape[random.Below(shape.size())];
      break;
    default:
      if (shape.size() > 1) std::swap(shape[0], shape[shape.size() - 1]);
  }
  if (tensor.dtype() == DType::kString) return tensor;
  return RandomValues(tensor.dtype(), shape, random);
}

// Values that no valid tensor of this role has, in the same shape.
Tensor OtherValues(const Tensor& tensor, Random& random) {
  Tensor changed = tensor;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (tensor.dtype() == DType::kFloat)
      changed.mutable_data<float>()[i] = OtherFloat(random);
    else if (tensor.dtype() == DType::kInt64)
      changed.mutable_data<int64_t>()[i] = OtherInt(random);
    else if (tensor.dtype() == DType::kInt32)
      changed.mutable_data<int32_t>()[i] = static_cast<int32_t>(OtherInt(random));
  }
  return changed;
}

void ChangeInput(Tensor& input, Random& random) {
  static const std::vector<DType> kTypes = {DType::kFloat, DType::kDouble, DType::kFloat16,
                                            DType::kInt64, DType::kInt32,  DType::kUint8,
                                            DType::kInt8,  DType::kBool,   DType::kInt4};
  const uint64_t how = random.Below(8);
  if (how == 0 || !input.defined())
    input = how < 4 ? Tensor() : RandomValues(kTypes[random.Below(kTypes.size())], {2, 3}, random);
  else if (how == 1)
    input = RandomValues(kTypes[random.Below(kTypes.size())], input.shape(), random);
  else if (how < 6)
    input = OtherShape(input, random);
  else
    input = OtherValues(input, random);
}

OpCall CallOf(const graph::Node& node, int64_t opset, const std::map<std::string, Tensor>& values) {
  OpCall call{node.op_type, opset, {}, {}, node.outputs.size(), node.domain};
  for (const std::string& input : node.inputs)
    call.inputs.push_back(input.empty() ? Tensor() : values.at(input));
  for (const Attribute& attribute : node.attributes)
    call.attributes.emplace_back(attribute.name, attribute.value);
  return call;
}

void CheckMutations(const OpCall& call, Random& random) {
  for (int round = 0; round < 80; ++round) {
    OpCall changed = call;
    const uint64_t what = random.Below(3);
    if (what == 0 && !changed.attributes.empty())
      ChangeAttribute(changed.attributes[random.Below(changed.attributes.size())].second, random);
    else if (!changed.inputs.empty())
      ChangeInput(changed.inputs[random.Below(changed.inputs.size())], random);
    const auto result = RunOp(changed);
    if (result.ok() ||
        (result.status().kind() == ErrorKind::kModel && !result.status().message().empty()))
      continue;
    INFO(call.op_type << " round " << round << ": " << result.status().message());
    CHECK(result.status().kind() == ErrorKind::kModel);
    CHECK_FALSE(result.status().message().empty());
  }
}

void CheckCases(const std::vector<OpCase>& cases) {
  for (const OpCase& test : cases) {
    INFO(test.name);
    auto made = MakeOpGraph(test);
    REQUIRE(made.ok());
    const graph::Graph& graph = *made->model.graph;
    REQUIRE(made->model.graph->SortTopologically().ok());
    std::map<std::string, Tensor> values;
    for (const graph::Initializer& initializer : graph.initializers())
      values[initializer.name] = initializer.value;
    for (size_t i = 0; i < made->inputs.size(); ++i) values[graph.inputs[i].name] = made->inputs[i];
    Random random(99);
    for (const graph::NodePtr& node : graph.nodes()) {
      const OpCall call = CallOf(*node, made->model.Opset(node->domain), values);
      const auto results = RunOp(call);
      INFO(node->op_type << (results.ok() ? "" : ": " + results.status().message()));
      REQUIRE(results.ok());
      for (size_t i = 0; i < node->outputs.size(); ++i) values[node->outputs[i]] = (*results)[i];
      CheckMutations(call, random);
    }
  }
}

TEST_CASE("kernels answer calls with one thing wrong with a result or a model error", "[kernels]") {
  CheckCases(op_cases::kAttention);
  CheckCases(op_cases::kRecent);
  CheckCases(op_cases::kQuantizers);
  CheckCases(op_cases::kContribAttention);
  CheckCases(op_cases::kGroupQuery);
  CheckCases(op_cases::kContribFused);
  CheckCases(op_cases::kBlockWeights);
  CheckCases(op_cases::kContribInteger);
  CheckCases(op_cases::kContribProducts);
}

}  // namespace
}  // namespace roundel::engine
