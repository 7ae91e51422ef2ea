#include "lib/base/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "lib/base/interrupt.h"
#include "lib/base/text.h"

namespace roundel {
namespace {

Status SystemError(const std::string& action, const std::string& path, ErrorKind kind) {
  return {kind, StrCat(action, " '", path, "': ", std::strerror(errno))};
}

// Temporary files that exist right now, for the signal handler: fixed slots of C strings, because
// only async-signal-safe calls are allowed there.
constexpr int kSlots = 16;
constexpr size_t kMaxPath = 4096;
char temporary_paths[kSlots][kMaxPath];
std::atomic<bool> slot_used[kSlots];
std::atomic<bool> interrupted{false};

int TakeSlot(const std::string& path) {
  if (path.size() >= kMaxPath) return -1;
  for (int i = 0; i < kSlots; ++i) {
    bool expected = false;
    if (temporary_paths[i][0] == '\0' && slot_used[i].compare_exchange_strong(expected, true)) {
      std::memcpy(temporary_paths[i] + 1, path.c_str() + 1, path.size());
      temporary_paths[i][0] = path[0];  // last: the handler looks at the first byte
      return i;
    }
  }
  return -1;
}

void ReleaseSlot(int slot) {
  if (slot < 0) return;
  temporary_paths[slot][0] = '\0';
  slot_used[slot] = false;
}

void OnSignal(int signal_number) {
  if (!interrupted.exchange(true)) return;
  for (auto& path : temporary_paths)
    if (path[0] != '\0') unlink(path);
  _exit(128 + signal_number);
}

}  // namespace

void InstallInterruptHandler() {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}
bool Interrupted() { return interrupted; }
void RequestInterrupt() { interrupted = true; }

Result<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError("cannot open", path, ErrorKind::kUsage);
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    return UsageError(StrCat("'", path, "' is not a regular file"));
  }
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->size_ = static_cast<size_t>(info.st_size);
  if (file->size_ > 0) {
    void* data = mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
      close(fd);
      return SystemError("cannot map", path, ErrorKind::kInternal);
    }
    file->data_ = static_cast<const std::byte*>(data);
  }
  close(fd);
  return std::shared_ptr<const MappedFile>(std::move(file));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::ReleasePages(int64_t offset, int64_t size) const {
  if (size <= 0) return;
  static const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t begin = offset / page * page;
  // A hint: what is not given back costs memory, no more.
  madvise(const_cast<std::byte*>(data_) + begin, static_cast<size_t>(offset + size - begin),
          MADV_DONTNEED);
}

Result<std::string> ReadTextFile(const std::string& path) {
  ASSIGN_OR_RETURN(auto file, MappedFile::Open(path));
  return std::string(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
}

bool FileExists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

Result<std::unique_ptr<AtomicFile>> AtomicFile::Create(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    return UsageError(StrCat("cannot write '", path, "': it is a folder"));
  std::unique_ptr<AtomicFile> file(new AtomicFile);
  file->path_ = path;
  file->temporary_ = StrCat(path, ".tmp-", getpid());
  file->slot_ = TakeSlot(file->temporary_);
  file->fd_ = open(file->temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file->fd_ < 0) return SystemError("cannot write", path, ErrorKind::kUsage);
  return file;
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    close(fd_);
    unlink(temporary_.c_str());
  }
  ReleaseSlot(slot_);
}

Status AtomicFile::Write(const void* data, size_t bytes) {
  const auto* p = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = write(fd_, p, std::min(bytes, size_t{1} << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError("cannot write", path_, ErrorKind::kInternal);
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
    return SystemError("cannot write", path_, ErrorKind::kInternal);
  const int fd = fd_;
  fd_ = -1;
  if (close(fd) != 0 || rename(temporary_.c_str(), path_.c_str()) != 0) {
    const Status status = SystemError("cannot write", path_, ErrorKind::kInternal);
    unlink(temporary_.c_str());
    return status;
  }
  return OkStatus();
}

Status WriteFileAtomically(const std::string& path, std::string_view contents) {
  ASSIGN_OR_RETURN(auto file, AtomicFile::Create(path));
  RETURN_IF_ERROR(file->Write(contents));
  return file->Commit();
}

}  // namespace roundel
