#include "passes/pass.h"

namespace roundel::passes {

PassInfo calibrate_pass() { return {.name = "calibrate"}; }

}  // namespace roundel::passes
