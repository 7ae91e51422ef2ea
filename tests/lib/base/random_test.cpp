#include "lib/base/random.h"

#include <algorithm>
#include <cmath>

#include "lib/base/hash.h"
#include "tests/support/catch.h"

namespace roundel {

TEST_CASE("the published sequence of splitmix64") {
  Random random(1234567);
  for (const uint64_t expected :
       {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL,
        4593380528125082431ULL, 16408922859458223821ULL})
    CHECK(random.Next() == expected);
}

TEST_CASE("ranges and moments of random numbers") {
  Random random(1);
  double sum = 0, squares = 0;
  std::vector<int> counts(7);
  constexpr int kCount = 70000;
  for (int i = 0; i < kCount; ++i) {
    const double u = random.Uniform();
    REQUIRE((u >= 0 && u < 1));
    ++counts[random.Below(7)];
    const double z = random.Normal();
    REQUIRE(std::isfinite(z));
    sum += z;
    squares += z * z;
  }
  CHECK(std::abs(sum / kCount) < 0.02);  // five standard errors
  CHECK(std::abs(squares / kCount - 1) < 0.03);
  for (const int count : counts) CHECK(std::abs(count - kCount / 7) < 500);
  CHECK(random.Below(1) == 0);
}

TEST_CASE("shuffling keeps the elements") {
  std::vector<int> items(100);
  for (int i = 0; i < 100; ++i) items[static_cast<size_t>(i)] = i;
  std::vector<int> shuffled = items;
  Random(3).Shuffle(shuffled);
  CHECK(shuffled != items);
  std::sort(shuffled.begin(), shuffled.end());
  CHECK(shuffled == items);
  std::vector<int> none;
  Random(3).Shuffle(none);
  CHECK(none.empty());
}

TEST_CASE("hashes tell contents and their borders apart") {
  const auto hash = [](std::initializer_list<std::string> parts) {
    Hasher hasher;
    for (const std::string& part : parts) hasher.Add(std::string_view(part));
    return hasher.Hex();
  };
  CHECK(hash({"abc"}) == hash({"abc"}));
  CHECK(hash({"abc"}).size() == 16);
  CHECK(hash({"abc"}) != hash({"abd"}));
  CHECK(hash({"ab", "c"}) != hash({"a", "bc"}));
  CHECK(hash({"", "a"}) != hash({"a", ""}));
  CHECK(hash({std::string(1000, 'x')}) != hash({std::string(1001, 'x')}));
  CHECK(hash({std::string("\0", 1)}) != hash({std::string("\0\0", 2)}));
}

}  // namespace roundel
