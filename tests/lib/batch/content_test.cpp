#include "lib/batch/content.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "lib/batch/model_weights.h"
#include "tests/support/catch.h"
#include "tests/support/process.h"

using namespace roundel;
using namespace roundel::batch;
using support::FileText;
using support::TempFolder;
namespace fs = std::filesystem;

namespace {

// Protobuf's wire format of an entry of external_data.
std::string Entry(const std::string& key, const std::string& value) {
  std::string length;
  for (size_t n = value.size();; n >>= 7) {
    length += static_cast<char>((n & 0x7f) | (n >= 0x80 ? 0x80 : 0));
    if (n < 0x80) break;
  }
  return std::string("\x0a") + static_cast<char>(key.size()) + key + "\x12" + length + value;
}

std::vector<std::string> Scan(const std::string& text, size_t piece) {
  WeightScan scan;
  for (size_t at = 0; at < text.size(); at += piece) scan.Add(text.substr(at, piece));
  return scan.locations();
}

std::string Of(const TempFolder& folder, const std::string& name) {
  return ContentHashes("", "").Of(folder / name);
}

}  // namespace

TEST_CASE("names of weight files are found wherever pieces of the file end") {
  const std::string text = "abc" + Entry("location", "w.bin") + Entry("offset", "0") + "\x0a\x08x" +
                           Entry("location", std::string(300, 'n')) +
                           Entry("location", "sub/dir.data");
  const std::vector<std::string> names = {std::string(300, 'n'), "sub/dir.data", "w.bin"};
  for (const size_t piece : {1, 2, 7, 20, 1000}) CHECK(Scan(text, piece) == names);
  CHECK(Scan(text.substr(0, 12), 1000).empty());
  WeightScan other;
  other.Add("\x0a\x08location\x1a");
  CHECK(other.unclear());
}

TEST_CASE("the hash of a file or folder follows names and contents") {
  const TempFolder folder;
  folder.Write("a", "one");
  folder.Write("b", "two");
  CHECK(Of(folder, "a") == Of(folder, "a"));
  CHECK(Of(folder, "a") != Of(folder, "b"));
  CHECK(Of(folder, "gone") != Of(folder, "a"));
  folder.Write("c", "one");
  CHECK(Of(folder, "c") == Of(folder, "a"));
  for (const char* other : {"d1", "d2"}) {
    folder.Write(std::string(other) + "/x/1", "one");
    folder.Write(std::string(other) + "/2", "two");
  }
  CHECK(Of(folder, "d1") == Of(folder, "d2"));
  folder.Write("d2/x/1", "One");
  CHECK(Of(folder, "d1") != Of(folder, "d2"));
  folder.Write("d2/x/1", "one");
  fs::rename(folder / "d2/x/1", folder / "d2/x/3");
  CHECK(Of(folder, "d1") != Of(folder, "d2"));
  // A link to the parent folder does not cause an endless loop.
  fs::create_directory_symlink(folder / "d1", folder / "d1/x/loop");
  CHECK(Of(folder, "d1").size() == 16);
}

TEST_CASE("a folder's hash leaves out the results within it") {
  const TempFolder folder;
  folder.Write("data/1", "one");
  fs::create_directory(folder / "data/out");
  ContentHashes before("", folder / "data/out");
  const std::string hash = before.Of(folder / "data");
  folder.Write("data/out/status.jsonl", "new");
  CHECK(ContentHashes("", folder / "data/out").Of(folder / "data") == hash);
}

TEST_CASE("the hash of a model covers its weight files") {
  const TempFolder folder;
  folder.Write("m.onnx", "model" + Entry("location", "w.bin"));
  folder.Write("w.bin", "weights");
  const auto hash = [&] {
    ContentHashes hashes("", "");
    return hashes.OfModel(folder / "m.onnx");
  };
  const std::string first = hash();
  CHECK(hash() == first);
  folder.Write("w.bin", "WEIGHTS");
  CHECK(hash() != first);
  fs::remove(folder / "w.bin");
  CHECK(hash() != first);
}

TEST_CASE("a cached hash is used only while the file system reports no change at all") {
  const TempFolder folder;
  const std::string cache = folder / "cache";
  const std::string path = folder.Write("m", "first contents");
  const auto hash = [&] {
    ContentHashes hashes(cache, "");
    const std::string text = hashes.OfModel(path);
    REQUIRE(hashes.Save().ok());
    return text;
  };
  const std::string first = hash();
  CHECK(FileText(cache).empty());  // too new: another change might show the same times
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  CHECK(hash() == first);
  const std::string line = FileText(cache);
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  CHECK(hash() == first);
  CHECK(FileText(cache) == line);  // nothing was read again

  // The cache is used: a line with another hash is returned.
  std::string forged = line;
  forged.replace(forged.find("\",\"") + 3, 16, "ffffffffffffffff");
  folder.Write("cache", forged);
  CHECK(hash() != first);
  folder.Write("cache", line);

  // Same size, and the time of the last change set back: still seen.
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  folder.Write("m", "other contents");
  const timespec times[2] = {info.st_atim, info.st_mtim};
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  CHECK(hash() != first);
}

TEST_CASE("damaged lines of the cache are passed over") {
  const TempFolder folder;
  const std::string path = folder.Write("m", "contents");
  const std::string expected = ContentHashes("", "").Of(path);
  for (const char* text : {"", "\n", "[]", "[1,2,3,4]", "[\"a\",\"b\",true,[3]]",
                           "{\"a\":", "[\"a\",\"b\",true,\"c\"]\n\xff\xfe"}) {
    folder.Write("cache", text);
    CHECK(ContentHashes(folder / "cache", "").Of(path) == expected);
  }
}
