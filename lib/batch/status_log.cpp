#include "lib/batch/status_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "lib/base/text.h"

namespace roundel::batch {
namespace {

Status FileError(const char* what, const std::string& path) {
  return InternalError(StrCat("cannot ", what, " '", path, "': ", std::strerror(errno)));
}

// Locks of the whole file hold between machines, too, and end with their process. Where there are
// none, appending is atomic on a local disk.
void Lock(int fd) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  while (fcntl(fd, F_SETLKW, &lock) != 0 && errno == EINTR) {
  }
}

bool EndsWithinLine(int fd) {
  struct stat info {};
  char last = '\n';
  return fstat(fd, &info) == 0 && info.st_size > 0 && pread(fd, &last, 1, info.st_size - 1) == 1 &&
         last != '\n';
}

Status WriteAll(int fd, const std::string& text, const std::string& path) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t written = write(fd, text.data() + at, text.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError("write", path);
    at += static_cast<size_t>(written);
  }
  return OkStatus();
}

}  // namespace

Status AppendLine(const std::string& path, const std::string& line, bool sync) {
  const int fd = open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) return FileError("write", path);
  Lock(fd);
  Status status = WriteAll(fd, (EndsWithinLine(fd) ? "\n" : "") + line + "\n", path);
  if (status.ok() && sync && fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP)
    status = FileError("write", path);
  close(fd);
  return status;
}

Status StatusLog::Refresh() {
  std::ifstream file(path_, std::ios::binary);
  if (!file) return errno == ENOENT ? OkStatus() : FileError("read", path_);
  file.seekg(read_);
  for (std::string line; std::getline(file, line);) {
    if (file.eof()) break;  // it may still be written
    read_ += static_cast<int64_t>(line.size()) + 1;
    if (line.empty()) continue;
    if (auto result = ParseStatusLine(line))
      newest_[result->id] = std::move(*result);
    else
      ++damaged_;
  }
  return OkStatus();
}

Status StatusLog::Append(const JobResult& result) {
  return AppendLine(path_, StatusLine(result), true);
}

const JobResult* StatusLog::Find(const std::string& id) const {
  const auto found = newest_.find(id);
  return found == newest_.end() ? nullptr : &found->second;
}

}  // namespace roundel::batch
