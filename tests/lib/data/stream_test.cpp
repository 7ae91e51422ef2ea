// The queue between loading and computing threads.

#include "lib/data/stream.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <new>

#include "lib/base/interrupt.h"
#include "lib/base/text.h"
#include "tests/lib/data/data_test_support.h"
#include "tests/support/catch.h"

namespace roundel::data {
namespace {

// Chunk i holds `sizes[i]` samples of value i; some fail.
class FakeLoader : public Loader {
 public:
  explicit FakeLoader(std::vector<int64_t> sizes) : sizes_(std::move(sizes)) {}
  int64_t samples() const override {
    int64_t total = 0;
    for (int64_t size : sizes_) total += size;
    return total;
  }
  int64_t chunks() const override { return static_cast<int64_t>(sizes_.size()); }
  Result<Chunk> Load(int64_t chunk) override {
    const int64_t running = ++running_;
    for (int64_t seen = most_; running > seen && !most_.compare_exchange_weak(seen, running);) {
    }
    highest_ = std::max(highest_.load(), chunk);
    // Later chunks are ready first, as far as the threads allow.
    std::this_thread::sleep_for(std::chrono::milliseconds(chunk % 3 == 0 ? 4 : 0));
    --running_;
    if (chunk == fail_at_) return DataError(StrCat("chunk ", chunk));
    if (chunk == exhaust_at_) throw std::bad_alloc();
    Chunk out;
    out.batch.size = sizes_[chunk];
    out.batch.inputs = {Tensor::FromVector<int64_t>(
        {sizes_[chunk]}, std::vector<int64_t>(static_cast<size_t>(sizes_[chunk]), chunk))};
    for (int64_t i = 0; i < sizes_[chunk]; ++i) {
      out.batch.sample_names.push_back(StrCat(chunk, ".", i));
      out.batch.labels.push_back(10 * chunk + i);
    }
    if (chunk == skip_at_) out.skipped.push_back("unreadable");
    return out;
  }

  int64_t fail_at_ = -1, exhaust_at_ = -1, skip_at_ = -1;
  std::atomic<int64_t> running_{0}, most_{0}, highest_{-1};

 private:
  std::vector<int64_t> sizes_;
};

std::vector<int64_t> Ones(size_t count) { return std::vector<int64_t>(count, 1); }

}  // namespace

TEST_CASE("stream: order holds for any number of threads") {
  for (int threads : {0, 1, 2, 7}) {
    Stream stream(std::make_unique<FakeLoader>(Ones(30)), {threads, 5, 0});
    CHECK(stream.size() == 30);
    for (int sweep = 0; sweep < 3; ++sweep) {
      const auto batches = Drain(&stream);
      REQUIRE(batches.ok());
      REQUIRE(batches->size() == 30);
      for (int64_t i = 0; i < 30; ++i) CHECK((*batches)[i].labels == std::vector<int64_t>{10 * i});
      REQUIRE(stream.Rewind().ok());
    }
  }
}

TEST_CASE("stream: no more than `ahead` chunks are loaded before they are wanted") {
  auto owned = std::make_unique<FakeLoader>(Ones(100));
  FakeLoader* loader = owned.get();
  Stream stream(std::move(owned), {3, 4, 0});
  REQUIRE(stream.Next().ok());
  for (int i = 0; i < 200 && loader->highest_ < 4; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  CHECK(loader->highest_ == 4);  // one delivered, four ahead
  CHECK(loader->most_ <= 3);
}

TEST_CASE("stream: errors come in their place, stay, and end with a rewind") {
  auto owned = std::make_unique<FakeLoader>(Ones(10));
  owned->fail_at_ = 4;
  FakeLoader* loader = owned.get();
  Stream stream(std::move(owned), {3, 5, 0});
  for (int i = 0; i < 4; ++i) CHECK(stream.Next().ok());
  for (int i = 0; i < 3; ++i) {
    const auto failed = stream.Next();
    REQUIRE_FALSE(failed.ok());
    CHECK(failed.status().message() == "chunk 4");
  }
  loader->fail_at_ = -1;
  REQUIRE(stream.Rewind().ok());
  CHECK(Drain(&stream)->size() == 10);
}

TEST_CASE("stream: lack of memory in a thread is an error like others") {
  auto owned = std::make_unique<FakeLoader>(Ones(3));
  owned->exhaust_at_ = 1;
  Stream stream(std::move(owned), {1, 3, 0});
  CHECK(stream.Next().ok());
  const auto failed = stream.Next();
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.status().kind() == ErrorKind::kInternal);
  CHECK(failed.status().message().find("out of memory") != std::string::npos);
}

TEST_CASE("stream: destruction in the middle of a sweep") {
  for (int taken : {0, 1, 5}) {
    auto stream =
        std::make_unique<Stream>(std::make_unique<FakeLoader>(Ones(50)), StreamOptions{4, 6, 0});
    for (int i = 0; i < taken; ++i) REQUIRE(stream->Next().ok());
    stream.reset();
    CHECK(stream == nullptr);
  }
}

TEST_CASE("stream: samples are regrouped for a fixed batch size") {
  auto owned = std::make_unique<FakeLoader>(std::vector<int64_t>{3, 0, 2, 3, 1, 7});
  owned->skip_at_ = 1;
  Stream stream(std::move(owned), {2, 3, 3});
  for (int sweep = 0; sweep < 2; ++sweep) {
    const auto batches = Drain(&stream);
    REQUIRE(batches.ok());
    REQUIRE(batches->size() == 5);  // 16 samples: one is left over
    const std::vector<int64_t> labels = {0, 1, 2, 20, 21, 30, 31, 32, 40, 50, 51, 52, 53, 54, 55};
    CHECK(LabelsOf(*batches) == labels);
    for (size_t i = 0; i < 5; ++i) {
      const Batch& batch = (*batches)[i];
      CHECK(batch.size == 3);
      REQUIRE(batch.inputs[0].shape() == Shape{3});
      for (int k = 0; k < 3; ++k)
        CHECK(batch.inputs[0].data<int64_t>()[k] == labels[3 * i + k] / 10);
    }
    CHECK(Names(*batches).back() == "5.5");
    CHECK(stream.skipped() == 1);
    REQUIRE(stream.Rewind().ok());
  }
}

TEST_CASE("stream: a sweep without any sample is an error") {
  Stream empty(std::make_unique<FakeLoader>(std::vector<int64_t>{0, 0}), {1, 3, 0});
  CHECK(empty.Next().status().message() == "none of the samples could be read");
  Stream few(std::make_unique<FakeLoader>(std::vector<int64_t>{2}), {1, 3, 4});
  CHECK(few.Next().status().kind() == ErrorKind::kData);
}

TEST_CASE("stream: an interruption ends the sweep") {
  // In a process of its own: the flag cannot be taken back.
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int result = 1;
    {
      Stream stream(std::make_unique<FakeLoader>(Ones(1000)), {2, 4, 0});
      const bool before = stream.Next().ok();
      RequestInterrupt();
      const auto after = stream.Next();
      if (before && !after.ok() && after.status().kind() == ErrorKind::kInterrupted) result = 0;
    }
    _exit(result);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace roundel::data
