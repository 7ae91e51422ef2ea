#include "lib/base/store.h"

#include <filesystem>

#include "lib/base/bytes.h"
#include "lib/base/file.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace roundel {
namespace {

TEST_CASE("what is put into a store is there for the next process of the same version") {
  const support::TempFolder folder;
  const std::string contents("a\0b\n", 4);
  REQUIRE(Store::Open(folder / "deep/store", "1.0").value().Put("key", contents).ok());
  const Store again = Store::Open(folder / "deep/store", "1.0").value();
  CHECK(again.Has("key"));
  CHECK(*again.Get("key").value() == contents);
  CHECK_FALSE(again.Has("other"));
  CHECK_FALSE(again.Get("other").value());
  const Store newer = Store::Open(folder / "deep/store", "1.1").value();
  CHECK_FALSE(newer.Has("key"));
  CHECK_FALSE(newer.Get("key").value());
  REQUIRE(newer.Put("key", "new").ok());
  CHECK(*newer.Get("key").value() == "new");
}

TEST_CASE("a damaged blob is an error that names the file") {
  const support::TempFolder folder;
  const Store store = Store::Open(folder.path(), "1").value();
  REQUIRE(store.Put("key", "0123456789").ok());
  std::string text = ReadTextFile(folder / "key").value();
  text.back() = 'x';
  folder.Write("key", text);
  CHECK(store.Get("key").status().message() == "'" + folder / "key" + "' is damaged: delete it");
  folder.Write("key", text.substr(0, text.size() - 12));  // within the hash
  CHECK(store.Get("key").status().kind() == ErrorKind::kInternal);
  folder.Write("key", "rou");  // within the magic: somebody else's file
  CHECK_FALSE(store.Get("key").value());
}

TEST_CASE("a store removes what a killed run has left half-written") {
  const support::TempFolder folder;
  const Store store = Store::Open(folder.path(), "1").value();
  REQUIRE(store.Put("key", "whole").ok());
  folder.Write("key.tmp-0123456789abcdef", "half");
  const auto busy = AtomicFile::Create(folder / "other");  // another process that still writes
  REQUIRE(Store::Open(folder.path(), "1").ok());
  CHECK_FALSE(FileExists(folder / "key.tmp-0123456789abcdef"));
  CHECK(*store.Get("key").value() == "whole");
  REQUIRE((*busy)->Commit().ok());
}

TEST_CASE("a store where a file lies is refused") {
  const support::TempFolder folder;
  const std::string file = folder.Write("file", "");
  CHECK(Store::Open(file, "1").status().message().starts_with("store '" + file));
}

TEST_CASE("numbers, texts and arrays come back as they were written") {
  ByteWriter out;
  out.Number<int64_t>(-5);
  out.Number(0.1);
  out.Text("layer");
  out.Array(std::vector<float>{1, 2, 3});
  out.Array(std::vector<double>{});
  ByteReader in(out.bytes());
  CHECK(in.Number<int64_t>() == -5);
  CHECK(in.Number<double>() == 0.1);
  CHECK(in.Text() == "layer");
  CHECK(in.Array<float>() == std::vector<float>{1, 2, 3});
  CHECK_FALSE(in.Complete());
  CHECK(in.Array<double>().empty());
  CHECK(in.Complete());
}

TEST_CASE("bytes cut off anywhere are noticed, and nothing is read behind their end") {
  ByteWriter out;
  out.Array(std::vector<int64_t>{1, 2, 3});
  out.Number<uint32_t>(7);
  for (size_t size = 0; size < out.bytes().size(); ++size) {
    const std::string cut = out.bytes().substr(0, size);
    ByteReader in(cut);
    in.Array<int64_t>();
    in.Number<uint32_t>();
    CHECK_FALSE(in.Complete());
  }
  ByteWriter huge;
  huge.Number(~uint64_t{0});  // as a size
  ByteReader in(huge.bytes());
  CHECK(in.Array<double>().empty());
  CHECK_FALSE(in.Complete());
}

}  // namespace
}  // namespace roundel
