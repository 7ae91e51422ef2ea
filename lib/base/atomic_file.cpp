#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "lib/base/commit_group.h"
#include "lib/base/ending.h"
#include "lib/base/file.h"
#include "lib/base/interrupt.h"
#include "lib/base/text.h"

namespace roundel {
namespace {

constexpr char kMark[] = ".tmp-";
constexpr size_t kDigits = 16;
// File systems allow 255 bytes for a name; the mark and the digits must fit after it.
constexpr size_t kLongestStem = 200;

Status WriteError(const std::string& path, ErrorKind kind) {
  return {kind, StrCat("cannot write '", path, "': ", std::strerror(errno))};
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// "model.onnx.tmp-", which precedes the digits.
std::string TemporaryStem(const std::string& name) { return name.substr(0, kLongestStem) + kMark; }

uint64_t RandomNumber() {
  uint64_t number = 0;
  // Without it a name could repeat that of another process: O_EXCL then tries the next.
  if (getrandom(&number, sizeof number, 0) != sizeof number)
    number = static_cast<uint64_t>(getpid()) * 0x9e3779b97f4a7c15u;
  return number;
}

// True if no process holds the lock of writers. Then takes the lock until `fd` is closed.
bool IsAbandoned(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

// Opens a new file in the folder of `path`, with an unpredictable name.
Result<int> OpenTemporary(const std::string& path, std::string* temporary) {
  constexpr int kTries = 100;
  const std::string stem =
      path.substr(0, path.size() - NameOf(path).size()) + TemporaryStem(NameOf(path));
  for (int i = 0; i < kTries; ++i) {
    *temporary = stem + StrFormat("%016llx", static_cast<unsigned long long>(RandomNumber()));
    const int fd =
        open(temporary->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) return WriteError(path, ErrorKind::kUsage);
    // Tells RemoveLeftovers() of other processes that the file is in use. One of them may have seen
    // it before.
    struct stat info {};
    flock(fd, LOCK_EX);
    if (fstat(fd, &info) != 0 || info.st_nlink != 0) return fd;
    close(fd);
  }
  return WriteError(path, ErrorKind::kInternal);
}

}  // namespace

Result<std::unique_ptr<AtomicFile>> AtomicFile::Create(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    return UsageError(StrCat("cannot write '", path, "': it is a folder"));
  std::unique_ptr<AtomicFile> file(new AtomicFile);
  file->path_ = path;
  ASSIGN_OR_RETURN(file->fd_, OpenTemporary(path, &file->temporary_));
  file->slot_ = RegisterTemporary(file->temporary_);
  return file;
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    unlink(temporary_.c_str());
    close(fd_);
  }
  ForgetTemporary(slot_);
}

Status AtomicFile::Write(const void* data, size_t bytes) {
  const auto* p = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = write(fd_, p, std::min(bytes, size_t{1} << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return WriteError(path_, ErrorKind::kInternal);
    p += written;
    bytes -= static_cast<size_t>(written);
    position_ += written;
  }
  return OkStatus();
}

Status AtomicFile::PadTo(int64_t alignment) {
  static const char kZeros[4096] = {};
  int64_t missing = (alignment - position_ % alignment) % alignment;
  while (missing > 0) {
    const int64_t step = std::min<int64_t>(missing, sizeof kZeros);
    RETURN_IF_ERROR(Write(kZeros, static_cast<size_t>(step)));
    missing -= step;
  }
  return OkStatus();
}

Status AtomicFile::Commit() {
  if (Interrupted()) return InterruptedError();
  if (fsync(fd_) != 0 && errno != EINVAL && errno != ENOTSUP)
    return WriteError(path_, ErrorKind::kInternal);
  CommitGroup group;
  group.entries_.push_back({path_, temporary_, fd_, slot_});
  fd_ = slot_ = -1;
  return group.Finish();
}

// ---- several files

thread_local CommitGroup* CommitGroup::current = nullptr;

CommitGroup::CommitGroup() : outer_(current) { current = this; }

CommitGroup::~CommitGroup() {
  for (const Entry& entry : entries_) {
    if (entry.fd < 0) continue;
    unlink(entry.temporary.c_str());
    close(entry.fd);
    ForgetTemporary(entry.slot);
  }
  current = outer_;
}

Status CommitGroup::Rename(Entry* entry) {
  if (rename(entry->temporary.c_str(), entry->path.c_str()) != 0)
    return WriteError(entry->path, ErrorKind::kInternal);
  ForgetTemporary(entry->slot);
  const int fd = entry->fd;
  entry->fd = -1;
  if (close(fd) != 0 && errno != EINTR) return WriteError(entry->path, ErrorKind::kInternal);
  return OkStatus();
}

Status CommitGroup::Finish() {
  if (outer_ != nullptr) {
    outer_->entries_.insert(outer_->entries_.end(), entries_.begin(), entries_.end());
    entries_.clear();
    return OkStatus();
  }
  const UninterruptedScope scope;
  if (Interrupted()) return InterruptedError();
  std::set<std::string> folders;
  for (Entry& entry : entries_) {
    RETURN_IF_ERROR(Rename(&entry));
    folders.insert(FolderOf(entry.path));
  }
  entries_.clear();
  // The names themselves are in the folders. Some file systems cannot sync those: no error then.
  for (const std::string& folder : folders) {
    const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) continue;
    fsync(fd);
    close(fd);
  }
  return OkStatus();
}

Status WriteFileAtomically(const std::string& path, std::string_view contents) {
  ASSIGN_OR_RETURN(auto file, AtomicFile::Create(path));
  RETURN_IF_ERROR(file->Write(contents));
  return file->Commit();
}

void RemoveLeftovers(const std::string& folder, const std::string& name) {
  DIR* entries = opendir(folder.c_str());
  if (entries == nullptr) return;
  while (const dirent* entry = readdir(entries)) {
    const std::string_view found = entry->d_name;
    const size_t at = found.rfind(kMark);
    if (at == std::string_view::npos || found.size() - at != sizeof kMark - 1 + kDigits) continue;
    const std::string_view digits = found.substr(found.size() - kDigits);
    if (digits.find_first_not_of("0123456789abcdef") != std::string_view::npos) continue;
    if (!name.empty() && found.substr(0, found.size() - kDigits) != TemporaryStem(name)) continue;
    const int fd = openat(dirfd(entries), entry->d_name,
                          O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) continue;
    if (IsAbandoned(fd)) unlinkat(dirfd(entries), entry->d_name, 0);
    close(fd);
  }
  closedir(entries);
}

}  // namespace roundel
