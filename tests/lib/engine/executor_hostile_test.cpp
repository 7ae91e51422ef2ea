// Models of one node that fits nothing, in the executor: fast kernels look at constants, types and
// shapes when the model is compiled, which the kernels' own tests do not reach. As there, the
// answer is a result or a kModel error, and the fast one is that of the plain kernels.

#include <algorithm>
#include <set>

#include "lib/base/limits.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/widen.h"
#include "lib/ops/op.h"
#include "tests/lib/engine/hostile.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

struct Hostile {
  graph::Model model;
  std::vector<Tensor> inputs;
};

// Half of the inputs are constants. A Relu behind the node gives it something to be fused with.
Hostile MakeHostile(const OpEntry& entry, Random& random) {
  Hostile made;
  graph::Graph& graph = *(made.model.graph = std::make_shared<graph::Graph>());
  const std::string domain = entry.domain;
  graph::Node node{.op_type = entry.op_type, .domain = domain};
  const Tensor shared = HostileTensor(random);
  for (uint64_t i = 0, count = random.Below(6); i < count; ++i) {
    const std::string name = StrCat("x", i);
    const uint64_t kind = random.Below(8);
    node.inputs.push_back(kind == 0 ? "" : name);
    if (kind == 0) continue;
    Tensor value = random.Below(2) == 0 ? shared : HostileTensor(random);
    if (kind < 5) {
      graph.SetInitializer(name, std::move(value));
    } else {
      graph.inputs.push_back({.name = name, .dtype = value.dtype()});
      made.inputs.push_back(std::move(value));
    }
  }
  node.outputs = {"y"};
  for (const auto& [name, value] : HostileAttributes(random))
    if (random.Below(2) == 0) node.SetAttribute(name, value);
  graph.AddNode(std::move(node));
  graph.AddNode({.op_type = "Relu", .inputs = {"y"}, .outputs = {"z"}});
  for (const char* name : {"y", "z"})
    if (name[0] == 'y' || random.Below(2) == 0) graph.outputs.push_back({.name = name});
  const int64_t last =
      std::min<int64_t>(entry.until, entry.since + static_cast<int64_t>(random.Below(20)));
  const bool own = domain.empty();
  made.model.opset_imports.emplace_back("", own ? std::max<int64_t>(last, 7) : 17);
  if (!own) made.model.opset_imports.emplace_back(domain, 1);
  return made;
}

Result<std::vector<Tensor>> RunHostile(const Hostile& made, bool fast) {
  ASSIGN_OR_RETURN(const auto executor, Executor::Create(made.model, {.fast_kernels = fast}));
  return executor->Run(made.inputs);
}

}  // namespace

TEST_CASE("the executor answers hostile models with a result or a model error", "[kernels]") {
  std::set<std::string> succeeded;
  SetMemoryLimit(1 << 26);  // generators make what they are told to
  for (const OpEntry& entry : OpTable()) {
    Random random(99);
    for (int round = 0; round < 100; ++round) {
      const Hostile made = MakeHostile(entry, random);
      INFO(entry.domain << "." << entry.op_type << " round " << round);
      const auto plain = RunHostile(made, false), fast = RunHostile(made, true);
      for (const auto* result : {&plain, &fast})
        if (!result->ok() && result->status().kind() != ErrorKind::kModel) {
          INFO(result->status().message());
          CHECK(result->status().kind() == ErrorKind::kModel);
        }
      // In 16-bit floats the fast executor runs another model, which may suit more operators.
      if (plain.ok() != fast.ok() && !graph::WidenedHalves(made.model)) {
        INFO((plain.ok() ? fast : plain).status().message());
        CHECK(plain.ok() == fast.ok());
      }
      if (plain.ok()) succeeded.insert(entry.op_type);
    }
  }
  SetMemoryLimit(0);
  CHECK(succeeded.size() > OpTable().size() / 3);
}

}  // namespace roundel::engine
