#include <algorithm>

#include "passes/pass.h"

namespace roundel::passes {

#define ROUNDEL_PASS(name) PassInfo name##_pass();
#include "passes/passes.def"
#undef ROUNDEL_PASS

const std::vector<PassInfo>& AllPasses() {
  static const std::vector<PassInfo> passes = {
#define ROUNDEL_PASS(name) name##_pass(),
#include "passes/passes.def"
#undef ROUNDEL_PASS
  };
  return passes;
}

const PassInfo* FindPass(const std::string& name) {
  const auto& passes = AllPasses();
  const auto it = std::find_if(passes.begin(), passes.end(),
                               [&](const PassInfo& info) { return info.name == name; });
  return it == passes.end() ? nullptr : &*it;
}

}  // namespace roundel::passes
