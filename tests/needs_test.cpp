// The switch that turns skipped tests into failures (tests/support/needs.h).

#include "tests/support/needs.h"

#include <cstdlib>

#include "tests/support/catch.h"

namespace roundel::support {
namespace {

// ROUNDEL_REQUIRE with another value, for the time of a test.
class Requiring {
 public:
  explicit Requiring(const char* list) {
    if (const char* value = std::getenv(kName)) before_ = value;
    setenv(kName, list, 1);
  }
  ~Requiring() { setenv(kName, before_.c_str(), 1); }

 private:
  static constexpr const char* kName = "ROUNDEL_REQUIRE";
  std::string before_;
};

}  // namespace

TEST_CASE("ROUNDEL_REQUIRE is a list of whole words") {
  CHECK(IsRequired("e2e,conformance", "e2e"));
  CHECK(IsRequired("e2e,conformance", "conformance"));
  CHECK(IsRequired("vnni", "vnni"));
  CHECK_FALSE(IsRequired("e2e,conformance", "vnni"));
  CHECK_FALSE(IsRequired("e2e,conformance", "2e"));
  CHECK_FALSE(IsRequired("", "e2e"));
  CHECK(UnknownNeed("e2e,conformance,vnni").empty());
  CHECK(UnknownNeed("").empty());
  CHECK(UnknownNeed("e2e,conformity") == "conformity");
  CHECK(UnknownNeed("E2E") == "E2E");
}

TEST_CASE("what is present is never skipped") {
  for (const char* list : {"", "e2e", "conformance,vnni"}) {
    const Requiring requiring(list);
    CHECK_FALSE(SkippedWithout("e2e", true, "nothing is missing"));
  }
}

TEST_CASE("what is missing is skipped unless it is required") {
  for (const char* list : {"", "conformance", "vnni,conformance"}) {
    const Requiring requiring(list);
    CHECK(SkippedWithout("e2e", false, "this is the test of skipping"));
  }
}

// These two are expected to fail.
TEST_CASE("what is missing and required fails the test", "[!shouldfail]") {
  const Requiring requiring("conformance,e2e");
  SkippedWithout("e2e", false, "this is the test of failing");
}

TEST_CASE("a word that nothing knows fails the test, whatever is present", "[!shouldfail]") {
  const Requiring requiring("e2e,conformity");
  SkippedWithout("e2e", true, "nothing is missing");
}

}  // namespace roundel::support
