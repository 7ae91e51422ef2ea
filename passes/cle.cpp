#include "passes/pass.h"

namespace roundel::passes {

PassInfo cle_pass() { return {.name = "cle"}; }

}  // namespace roundel::passes
