#include "tests/support/needs.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <vector>

#include "tests/support/catch.h"

namespace roundel::support {
namespace {

const std::vector<std::string> kNeeds = {"e2e",    "conformance", "vnni",
                                         "shells", "scheduler",   "browser"};

std::vector<std::string> Words(const std::string& list) {
  std::vector<std::string> words;
  std::istringstream stream(list);
  for (std::string word; std::getline(stream, word, ',');) words.push_back(word);
  return words;
}

}  // namespace

bool IsRequired(const std::string& list, const std::string& need) {
  const std::vector<std::string> words = Words(list);
  return std::find(words.begin(), words.end(), need) != words.end();
}

std::string UnknownNeed(const std::string& list) {
  for (const std::string& word : Words(list))
    if (std::find(kNeeds.begin(), kNeeds.end(), word) == kNeeds.end()) return word;
  return "";
}

bool SkippedWithout(const std::string& need, bool present, const std::string& missing) {
  const char* value = std::getenv("ROUNDEL_REQUIRE");
  const std::string list = value == nullptr ? "" : value;
  const std::string unknown = UnknownNeed(list);
  if (!unknown.empty())
    FAIL("ROUNDEL_REQUIRE holds '" << unknown << "', which is no need of any test");
  if (present) return false;
  if (IsRequired(list, need)) FAIL("ROUNDEL_REQUIRE names " << need << ", but " << missing);
  WARN("skipped: " << missing);
  return true;
}

bool SkippedWithoutOperatorSuite() {
  return SkippedWithout("conformance",
                        std::filesystem::is_directory("/usr/share/libonnx-testdata/data/node"),
                        "libonnx-testdata is not installed");
}

bool SkippedWithoutByteDots(bool has_byte_dots) {
  return SkippedWithout("vnni", has_byte_dots,
                        "this machine has no exact dot product of bytes (AVX-512 VNNI)");
}

}  // namespace roundel::support
