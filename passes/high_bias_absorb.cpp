#include "passes/pass.h"

namespace roundel::passes {

PassInfo high_bias_absorb_pass() { return {.name = "high_bias_absorb"}; }

}  // namespace roundel::passes
