// Operators as ONNX Runtime's CPU kernels compute them: floats within rounding, codes exactly. What
// that runtime does not run is tested in tests/lib/engine/kernels_contrib_test.cpp.

#include "lib/fast/integer/linear.h"
#include "tests/e2e/op_cases.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/op_cases/attention.h"
#include "tests/support/op_cases/contrib_attention.h"
#include "tests/support/op_cases/contrib_float.h"
#include "tests/support/op_cases/contrib_integer.h"
#include "tests/support/op_cases/recent.h"
#include "tests/support/op_cases/small_types.h"

namespace roundel {
namespace {

using e2e::CheckOps;

TEST_CASE("Attention is ONNX Runtime's") { CheckOps("attention", op_cases::kAttention); }

TEST_CASE("operators of opsets 18 to 24 are ONNX Runtime's") {
  CheckOps("recent", op_cases::kRecent);
}

TEST_CASE("quantizers of small types are ONNX Runtime's") {
  CheckOps("quantizers", op_cases::kQuantizers);
}

TEST_CASE("attention operators of com.microsoft are ONNX Runtime's") {
  CheckOps("contrib-attention", op_cases::kContribAttention);
  CheckOps("group-query-attention", op_cases::kGroupQuery);
}

TEST_CASE("fused float operators of com.microsoft are ONNX Runtime's") {
  CheckOps("contrib-float", op_cases::kContribFused);
}

TEST_CASE("weights of few bits are used as in ONNX Runtime") {
  CheckOps("contrib-blocks", op_cases::kBlockWeights);
}

TEST_CASE("integer operators of com.microsoft give ONNX Runtime's codes") {
  if (support::SkippedWithoutByteDots(engine::HasExactDotProduct())) return;
  CheckOps("contrib-integer", op_cases::kContribInteger);
  CheckOps("contrib-products", op_cases::kContribProducts);
}

}  // namespace
}  // namespace roundel
