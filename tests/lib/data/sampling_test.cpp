// Which samples are taken, and their labels.

#include "lib/data/sampling.h"

#include <algorithm>
#include <set>

#include "lib/base/text.h"
#include "lib/io/npy.h"
#include "tests/lib/data/data_test_support.h"
#include "tests/support/catch.h"
#include "tests/support/image_files.h"
#include "tests/support/temp_folder.h"

namespace roundel::data {
namespace {

using support::TempFolder;
using Strings = std::vector<std::string>;
using Labels = std::vector<int64_t>;

const std::vector<InputInfo> kInput = {{"x", DType::kFloat, {-1, 3, 1, 1}}};

void WriteImages(const TempFolder& folder, const Strings& names) {
  for (size_t i = 0; i < names.size(); ++i)
    folder.Write(names[i], support::EncodePng(1, 1, {static_cast<uint8_t>(i), 0, 0}));
}

Result<Labels> ImageLabels(const std::vector<Setting>& settings) {
  ASSIGN_OR_RETURN(const auto batches, Load(settings, kInput));
  return LabelsOf(batches);
}

}  // namespace

TEST_CASE("subset: seeded, ascending, without repetition, spread over all") {
  const Labels all = ChooseSubset(10, 0, 1);
  CHECK(all == Labels{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(ChooseSubset(10, 10, 5) == all);
  CHECK(ChooseSubset(10, 12, 5) == all);  // with a warning
  CHECK(ChooseSubset(0, 5, 1).empty());
  std::vector<int> hits(100);
  std::set<Labels> different;
  for (int64_t seed = 0; seed < 200; ++seed) {
    const Labels chosen = ChooseSubset(100, 30, seed);
    CHECK(chosen == ChooseSubset(100, 30, seed));
    REQUIRE(chosen.size() == 30);
    CHECK(std::is_sorted(chosen.begin(), chosen.end()));
    CHECK(std::adjacent_find(chosen.begin(), chosen.end()) == chosen.end());
    for (int64_t i : chosen) ++hits[i];
    different.insert(chosen);
  }
  CHECK(different.size() == 200);
  // Binomial(200, 0.3): mean 60, deviation 6.5.
  CHECK(*std::min_element(hits.begin(), hits.end()) > 60 - 5 * 6.5);
  CHECK(*std::max_element(hits.begin(), hits.end()) < 60 + 5 * 6.5);
}

TEST_CASE("subset: the choice is reported, and hashed with the preprocessing") {
  const TempFolder folder;
  Strings names;
  for (int i = 0; i < 20; ++i) names.push_back(StrFormat("%02d.png", i));
  WriteImages(folder, names);
  const auto facts_of = [&](std::vector<Setting> settings) {
    settings.emplace_back("path", folder.path());
    DatasetFacts facts;
    REQUIRE(Open(settings, kInput, &facts).ok());
    return facts;
  };
  const DatasetFacts facts = facts_of({{"count", "5"}, {"seed", "7"}});
  CHECK(facts.samples.size() == 5);
  CHECK(facts.description == StrCat("images of '", folder.path(), "', 5 of 20, seed 7"));
  CHECK(facts.hash.size() == 16);
  CHECK_FALSE(facts.has_labels);
  CHECK(facts_of({{"count", "5"}, {"seed", "7"}}).hash == facts.hash);
  CHECK(facts_of({{"count", "5"}, {"seed", "7"}, {"batch", "2"}}).hash == facts.hash);
  CHECK(facts_of({{"count", "5"}, {"seed", "8"}}).hash != facts.hash);
  CHECK(facts_of({{"count", "5"}, {"seed", "7"}, {"preset", "tf"}}).hash != facts.hash);
}

TEST_CASE("files: sub-folders, byte order, hidden and linked folders left out") {
  const TempFolder folder;
  WriteImages(folder, {"b.png", "a/z.png", "B.jpeg", "a/.hidden/x.png", ".git/y.png", "a/k.txt"});
  std::filesystem::create_directory_symlink(folder.path(), folder / "loop");
  const auto names = ListFiles(folder.path(), {".png", ".jpeg"});
  REQUIRE(names.ok());
  CHECK(*names == Strings{"B.jpeg", "a/z.png", "b.png"});
  CHECK(ListFiles(folder / "missing", {".png"}).status().kind() == ErrorKind::kData);
}

TEST_CASE("names: order of the list, columns, spaces, errors with their line") {
  const TempFolder folder;
  WriteImages(folder, {"a.png", "b b.png", "c.png"});
  const auto read = [&](const std::string& text) {
    return ReadNames(folder.Write("list.txt", text), folder.path());
  };
  CHECK(*read("c.png\r\n\n  a.png 17 more\nb b.png\n") == Strings{"c.png", "a.png", "b b.png"});
  CHECK(*read("a.png,3\nc.png\t4") == Strings{"a.png", "c.png"});
  const auto check = [&](const std::string& text, const std::string& part) {
    const Status status = read(text).status();
    INFO(status.message());
    CHECK(status.kind() == ErrorKind::kData);
    CHECK(status.message().find(part) != std::string::npos);
  };
  check("a.png\nnone.png\n", "list.txt:2: 'none.png' is not a file in");
  check("a.png\nc.png\na.png\n", "list.txt:3: 'a.png' is listed twice");
  check("\n\n", "no names");
  CHECK(ReadNames(folder / "none.txt", folder.path()).status().kind() == ErrorKind::kData);
  const auto batches =
      Load({{"path", folder.path()}, {"names", folder.Write("l", "c.png\na.png")}}, kInput);
  REQUIRE(batches.ok());
  CHECK(Names(*batches) == Strings{"c.png", "a.png"});
}

TEST_CASE("labels: from a file, whatever its order and separators") {
  const TempFolder folder, lists;
  WriteImages(folder, {"a.png", "sub/b b.png", "c.png"});
  const auto labels = [&](const std::string& text, std::vector<Setting> more = {}) {
    more.emplace_back("path", folder.path());
    more.emplace_back("labels", lists.Write("labels.txt", text));
    return ImageLabels(more);
  };
  const std::string good = "c.png 2\nsub/b b.png\t1\r\na.png, 5\n\nother.png 9\n";
  CHECK(*labels(good) == Labels{5, 2, 1});
  CHECK(*labels("c.png 2\nb b.png 1\na.png 5") == Labels{5, 2, 1});  // base names do, too
  CHECK(*labels(good, {{"labels_offset", "-1"}}) == Labels{4, 1, 0});
  const auto check = [&](const std::string& text, const std::string& part,
                         std::vector<Setting> more = {}) {
    const Status status = labels(text, std::move(more)).status();
    INFO(status.message());
    CHECK(status.kind() == ErrorKind::kData);
    CHECK(status.message().find(part) != std::string::npos);
  };
  check("a.png 1\nc.png 2", "no label for 'sub/b b.png'");
  check("a.png one", "labels.txt:1: expected 'name label'");
  check("a.png 1\n7\n", "labels.txt:2: expected 'name label', found only a label");
  check("a.png 1\na.png 2\n", "labels.txt:2: 'a.png' has two labels");
  check("a.png -1\nb b.png 1\nc.png 1", "labels.txt:1: label -1 is negative");
  check(good, "label 1 with labels_offset -2 is negative", {{"labels_offset", "-2"}});
  check("", "it has no labels");
  CheckFails({{"path", folder.path()}, {"labels", lists / "none"}}, kInput, ErrorKind::kData,
             "none");
}

TEST_CASE("labels: number before the first underscore, else index of the sorted prefixes") {
  const TempFolder numbers, words;
  WriteImages(numbers, {"007_a.png", "012_b_c.png", "x/3_q.png"});
  CHECK(*ImageLabels({{"path", numbers.path()}, {"labels", "prefix"}}) == Labels{7, 12, 3});
  CHECK(*ImageLabels({{"path", numbers.path()}, {"labels", "prefix"}, {"labels_offset", "1"}}) ==
        Labels{8, 13, 4});
  WriteImages(words, {"n03_z.png", "n01_a.png", "n03_a.png", "n02_b.png"});
  const std::vector<Setting> settings = {{"path", words.path()}, {"labels", "prefix"}};
  CHECK(*ImageLabels(settings) == Labels{0, 1, 2, 2});
  // The numbering is over the folder, not over the choice.
  auto some = settings;
  some.emplace_back("names", words.Write("list", "n03_a.png\nn02_b.png"));
  CHECK(*ImageLabels(some) == Labels{2, 1});
  words.Write("plain.png", "not chosen");
  CHECK(*ImageLabels(some) == Labels{2, 1});
  CheckFails(settings, kInput, ErrorKind::kData, "no label in the name 'plain.png'");
}

TEST_CASE("labels: index of the sub-folder") {
  const TempFolder folder;
  WriteImages(folder, {"dog/2.png", "cat/1.png", "cat/deep/3.png", "eel/1.png"});
  CHECK(*ImageLabels({{"path", folder.path()}, {"labels", "folder"}}) == Labels{0, 0, 1, 2});
  WriteImages(folder, {"top.png"});
  CheckFails({{"path", folder.path()}, {"labels", "folder"}}, kInput, ErrorKind::kData,
             "one sub-folder for each class");
}

}  // namespace roundel::data
