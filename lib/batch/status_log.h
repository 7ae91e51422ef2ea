#pragma once
// Files of lines that several processes append to and read: status.jsonl and the cache of hashes.

#include <cstdint>
#include <map>
#include <string>

#include "lib/base/status.h"
#include "lib/batch/result.h"

namespace roundel::batch {

// Appends a whole line, under a lock where the file system has locks. A line that a killed process
// left unfinished is ended first. `sync`: it is on the disk when this returns.
Status AppendLine(const std::string& path, const std::string& line, bool sync);

// The newest result of every job.
class StatusLog {
 public:
  explicit StatusLog(std::string path) : path_(std::move(path)) {}

  // Reads what has been appended since the last call. No file is an empty one.
  Status Refresh();
  Status Append(const JobResult& result);
  const JobResult* Find(const std::string& id) const;
  // The lines read so far about a job count no longer.
  void Forget(const std::string& id) { newest_.erase(id); }
  int64_t damaged_lines() const { return damaged_; }

 private:
  std::string path_;
  int64_t read_ = 0;  // bytes
  int64_t damaged_ = 0;
  std::map<std::string, JobResult> newest_;  // by id
};

}  // namespace roundel::batch
