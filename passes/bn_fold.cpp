#include "passes/pass.h"

namespace roundel::passes {

PassInfo bn_fold_pass() { return {.name = "bn_fold"}; }

}  // namespace roundel::passes
