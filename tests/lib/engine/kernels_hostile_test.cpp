// Every kernel over inputs and attributes that fit nothing: it must answer with a result or a
// kModel error, never crash, read out of bounds (the sanitizer build sees that) or allocate
// absurdly.
#include <algorithm>
#include <set>

#include "lib/base/text.h"
#include "tests/lib/engine/hostile.h"
#include "tests/lib/engine/run_op.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

TEST_CASE("kernels answer hostile calls with a result or a model error", "[kernels]") {
  std::set<std::string> succeeded;
  for (const OpEntry& entry : OpTable()) {
    Random random(2024);
    for (int round = 0; round < 400; ++round) {
      OpCall call{entry.op_type,       0,           {}, HostileAttributes(random),
                  1 + random.Below(3), entry.domain};
      call.opset =
          std::min<int64_t>(entry.until, entry.since + static_cast<int64_t>(random.Below(20)));
      const size_t inputs = random.Below(6);
      const Tensor shared = HostileTensor(random);  // equal operands fit more often
      for (size_t i = 0; i < inputs; ++i)
        call.inputs.push_back(random.Below(8) == 0   ? Tensor()
                              : random.Below(2) == 0 ? shared
                                                     : HostileTensor(random));
      INFO(entry.op_type << " round " << round);
      const auto result = RunOp(call);
      if (result.ok()) {
        succeeded.insert(entry.op_type);
        continue;
      }
      const bool expected_kind = result.status().kind() == ErrorKind::kModel;
      if (!expected_kind || result.status().message().empty()) {
        INFO(result.status().message());
        CHECK(expected_kind);
        CHECK_FALSE(result.status().message().empty());
      }
    }
  }
  // The calls are not hopeless: most operators accept some of them.
  CHECK(succeeded.size() > OpTable().size() / 2);
}

}  // namespace
}  // namespace roundel::engine
