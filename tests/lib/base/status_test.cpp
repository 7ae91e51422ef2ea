#include "lib/base/status.h"

#include <memory>

#include "tests/support/catch.h"

namespace roundel {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return UsageError("odd");
  return value / 2;
}

Result<int> Quarter(int value) {
  ASSIGN_OR_RETURN(const int half, Half(value));
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

Status Check(int value) {
  RETURN_IF_ERROR(Quarter(value).status());
  return OkStatus();
}

}  // namespace

TEST_CASE("errors travel through the macros") {
  CHECK(*Quarter(8) == 2);
  CHECK(Quarter(6).status().message() == "odd");
  CHECK(Check(8).ok());
  CHECK(Check(7).kind() == ErrorKind::kUsage);
}

TEST_CASE("callers add the place") {
  CHECK(ModelError("bad").At("node 'a'").At("m.onnx").message() == "m.onnx: node 'a': bad");
  CHECK(ModelError("bad").At("x").kind() == ErrorKind::kModel);
  CHECK(OkStatus().At("x").message().empty());
}

TEST_CASE("results hold values that only move") {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
  const std::unique_ptr<int> taken = std::move(result).value();
  CHECK(*taken == 5);
}

}  // namespace roundel
