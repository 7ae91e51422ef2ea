#pragma once
// Files: mapped reading, and writing that leaves either the old file or the whole new one.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel {

// A read-only mapping of a whole file; pages are loaded as they are touched.
class MappedFile {
 public:
  static Result<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  // Gives the memory of a range back, rounded to pages; bytes that are read again come back from the
  // file, so that nobody else needs to know.
  void ReleasePages(int64_t offset, int64_t size) const;

 private:
  MappedFile() = default;
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

Result<std::string> ReadTextFile(const std::string& path);
bool FileExists(const std::string& path);
// The folder that a file lies in; "." if its path names none.
std::string FolderOf(const std::string& path);

// Writes to a temporary name beside `path`; Commit() syncs and renames. Without Commit (error,
// interruption) the destructor or the signal handler removes the temporary file.
class AtomicFile {
 public:
  static Result<std::unique_ptr<AtomicFile>> Create(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  Status Write(const void* data, size_t bytes);
  Status Write(std::string_view text) { return Write(text.data(), text.size()); }
  Status PadTo(int64_t alignment);  // zeros up to the next multiple of `alignment`
  int64_t position() const { return position_; }
  Status Commit();

 private:
  AtomicFile() = default;
  std::string path_, temporary_;
  int fd_ = -1;
  int64_t position_ = 0;
  int slot_ = -1;  // of the list that the signal handler cleans up
};

Status WriteFileAtomically(const std::string& path, std::string_view contents);

}  // namespace roundel
