#pragma once
// Memory-mapped reading, and atomic writing: a path holds the old file or the complete new one.

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
  // Releases the memory of a range, rounded to pages. Later reads load the bytes from the file
  // again, so that other users of the mapping are not affected.
  void ReleasePages(int64_t offset, int64_t size) const;

 private:
  MappedFile() = default;
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

Result<std::string> ReadTextFile(const std::string& path);
bool FileExists(const std::string& path);
// The folder part of a path; "." if it has none.
std::string FolderOf(const std::string& path);

// Writes to a temporary file in the folder of `path`; Commit() syncs and renames it. Without Commit
// (error, interruption) the destructor or the signal handler removes the temporary file.
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
  int slot_ = -1;  // in the list of files that the signal handler removes
};

Status WriteFileAtomically(const std::string& path, std::string_view contents);

}  // namespace roundel
