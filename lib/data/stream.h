#pragma once
// A sweep over samples that other threads load in advance, so that decoding overlaps execution.

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/status.h"
#include "lib/tensor/data_source.h"

namespace roundel::data {

// Samples that are loaded together, without unreadable ones.
struct Chunk {
  Batch batch;
  std::vector<std::string> skipped;  // reasons, one line per sample
};

// Loads a chunk of a sweep. Thread-safe.
class Loader {
 public:
  virtual ~Loader() = default;
  virtual int64_t samples() const = 0;
  virtual int64_t chunks() const = 0;
  virtual Result<Chunk> Load(int64_t chunk) = 0;
};

struct StreamOptions {
  int threads = 1;          // 0: loads in Next()
  int ahead = 3;            // maximum number of chunks in loading or not yet delivered
  int64_t fixed_batch = 0;  // > 0: every batch has exactly this size; the rest is dropped
};
// One loading thread for four computing ones: decoding is several times faster than inference.
StreamOptions DefaultStreamOptions(int64_t fixed_batch);

// Delivers chunks and errors in order, independent of the threads. An error ends the sweep.
class Stream final : public DataSource {
 public:
  Stream(std::unique_ptr<Loader> loader, StreamOptions options);
  ~Stream() override { Stop(); }

  int64_t size() const override { return loader_->samples(); }
  Status Rewind() override;
  Result<std::optional<Batch>> Next() override;
  int64_t skipped() const override { return skipped_; }

 private:
  void Start();
  void Stop();
  void Work();
  Result<Chunk> TakeChunk();
  Result<std::optional<Batch>> NextOfAnySize();
  Result<std::optional<Batch>> NextOfFixedSize();
  void ReportSkipped(const std::vector<std::string>& reasons);

  const std::unique_ptr<Loader> loader_;
  const StreamOptions options_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::thread> workers_;
  std::map<int64_t, Result<Chunk>> ready_;  // guarded, like the next three
  int64_t claimed_ = 0;                     // chunks that a worker has begun
  int64_t delivered_ = 0;
  bool stop_ = false;

  bool started_ = false;
  bool any_delivered_ = false;
  Status failed_;
  int64_t skipped_ = 0;
  bool report_skipped_ = true;  // in the first sweep only
  int64_t reported_ = 0;
  Batch rest_;  // of fixed batches: samples that wait for more
};

}  // namespace roundel::data
