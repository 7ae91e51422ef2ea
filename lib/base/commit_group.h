#pragma once
// Files that get their names together or not at all.

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel {

// While one lives, AtomicFile::Commit() on the same thread syncs the file and leaves the last step
// to the group.
class CommitGroup {
 public:
  CommitGroup();
  ~CommitGroup();  // removes what has got no name
  CommitGroup(const CommitGroup&) = delete;
  CommitGroup& operator=(const CommitGroup&) = delete;

  // Gives all files their names, unless the run has been interrupted before; a signal that comes
  // meanwhile waits. Inside of another group that one does so.
  Status Finish();

 private:
  friend class AtomicFile;
  struct Entry {
    std::string path, temporary;
    int fd, slot;  // open, and thereby locked, until the file has its name
  };
  static thread_local CommitGroup* current;
  static Status Rename(Entry* entry);
  std::vector<Entry> entries_;
  CommitGroup* const outer_;
};

// Removes what runs that were killed have left in `folder` of files called `name` ("": of all
// files), but nothing that a running process still writes.
void RemoveLeftovers(const std::string& folder, const std::string& name = "");

}  // namespace roundel
