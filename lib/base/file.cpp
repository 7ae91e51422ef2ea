#include "lib/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include "lib/base/ending.h"
#include "lib/base/input_file.h"
#include "lib/base/text.h"

namespace roundel {
namespace {

// Mapped files, for the signal handler, which may neither lock nor allocate. A slot is valid while
// `begin` is set; files beyond the last slot are not named in errors.
constexpr int kSlots = 1024;
struct Mapping {
  std::atomic<const std::byte*> begin = nullptr;
  std::atomic<const std::byte*> end = nullptr;
  std::atomic<const char*> path = nullptr;
  std::atomic<int> exit_code = 1;
};
Mapping mappings[kSlots];

Mapping* FindMapping(const void* address) {
  const auto* at = static_cast<const std::byte*>(address);
  for (Mapping& mapping : mappings) {
    const std::byte* begin = mapping.begin;
    if (begin != nullptr && at >= begin && at < mapping.end) return &mapping;
  }
  return nullptr;
}

void RegisterMapping(std::span<const std::byte> bytes, const char* path) {
  for (Mapping& mapping : mappings) {
    const char* expected = nullptr;
    if (!mapping.path.compare_exchange_strong(expected, path)) continue;
    mapping.exit_code = ExitCode(ErrorKind::kUsage);
    mapping.end = bytes.data() + bytes.size();
    mapping.begin = bytes.data();
    return;
  }
}

void ForgetMapping(const std::byte* begin) {
  Mapping* mapping = FindMapping(begin);
  if (mapping == nullptr) return;
  mapping->begin = nullptr;
  mapping->path = nullptr;  // last: from here on the slot is free
}

Status SystemError(const char* action, const std::string& path, ErrorKind kind) {
  if (errno == ENOMEM) return InternalError(kOutOfMemory);
  return {kind, StrCat(action, " '", path, "': ", std::strerror(errno))};
}

// Without O_NONBLOCK, opening a pipe without a writer, or a terminal line, would block.
Result<int> OpenRegular(const std::string& path, int64_t* size) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return SystemError("cannot open", path, ErrorKind::kUsage);
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    return UsageError(StrCat("'", path, "' is not a regular file"));
  }
  *size = info.st_size;
  return fd;
}

Status WithKind(Status status, ErrorKind kind) {
  return status.kind() == ErrorKind::kUsage ? Status(kind, status.message()) : std::move(status);
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  int64_t size = 0;
  ASSIGN_OR_RETURN(const int fd, OpenRegular(path, &size));
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->size_ = static_cast<size_t>(size);
  if (file->size_ > 0) {
    void* data = mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
      const Status status = SystemError("cannot map", path, ErrorKind::kInternal);
      close(fd);
      return status;
    }
    file->data_ = static_cast<const std::byte*>(data);
    RegisterMapping(file->bytes(), file->path_.c_str());
  }
  close(fd);
  return std::shared_ptr<const MappedFile>(std::move(file));
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  ForgetMapping(data_);
  munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::ReleasePages(int64_t offset, int64_t size) const {
  if (size <= 0) return;
  static const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t begin = offset / page * page;
  // Only a hint: a failure just leaves memory in use.
  madvise(const_cast<std::byte*>(data_) + begin, static_cast<size_t>(offset + size - begin),
          MADV_DONTNEED);
}

Result<std::shared_ptr<const MappedFile>> OpenInput(const std::string& path, ErrorKind kind) {
  auto file = MappedFile::Open(path);
  if (!file.ok()) return WithKind(std::move(file).status(), kind);
  if (Mapping* mapping = FindMapping((*file)->bytes().data())) mapping->exit_code = ExitCode(kind);
  return file;
}

void EndIfMapped(const void* address) {
  const Mapping* mapping = FindMapping(address);
  if (mapping == nullptr) return;
  EndProcess(mapping->exit_code,
             {"error: '", mapping->path,
              "' can no longer be read: it was truncated while in use, or its disk fails\n"});
}

// Not mapped, so that a file that shrinks meanwhile gives a shorter text.
Result<std::string> ReadTextFile(const std::string& path) {
  int64_t size = 0;
  ASSIGN_OR_RETURN(const int fd, OpenRegular(path, &size));
  std::string text(static_cast<size_t>(size), '\0');
  size_t done = 0;
  std::optional<Status> failed;
  while (!failed && done < text.size()) {
    const ssize_t got = read(fd, text.data() + done, text.size() - done);
    if (got == 0) break;
    if (got > 0)
      done += static_cast<size_t>(got);
    else if (errno != EINTR)
      failed = SystemError("cannot read", path, ErrorKind::kUsage);
  }
  close(fd);
  if (failed) return *failed;
  text.resize(done);
  return text;
}

Result<std::string> ReadInputText(const std::string& path, ErrorKind kind) {
  auto text = ReadTextFile(path);
  if (!text.ok()) return WithKind(std::move(text).status(), kind);
  return text;
}

bool FileExists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace roundel
