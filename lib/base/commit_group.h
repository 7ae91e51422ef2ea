#pragma once
// Groups of files that are renamed to their final names together, or not at all.

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel {

// While a group exists, AtomicFile::Commit() on the same thread syncs the file and leaves the
// rename to the group.
class CommitGroup {
 public:
  CommitGroup();
  ~CommitGroup();  // removes temporary files that were not renamed
  CommitGroup(const CommitGroup&) = delete;
  CommitGroup& operator=(const CommitGroup&) = delete;

  // Renames all files. Errors: kInterrupted if the run was interrupted before; a signal that
  // arrives during the renames is deferred. In a nested group, the outer group renames the files.
  Status Finish();

 private:
  friend class AtomicFile;
  struct Entry {
    std::string path, temporary;
    int fd, slot;  // open, and therefore locked, until the rename
  };
  static thread_local CommitGroup* current;
  static Status Rename(Entry* entry);
  std::vector<Entry> entries_;
  CommitGroup* const outer_;
};

// Removes temporary files of `name` ("": of any file) that killed runs left in `folder`. Files that
// a running process still writes are kept.
void RemoveLeftovers(const std::string& folder, const std::string& name = "");

}  // namespace roundel
