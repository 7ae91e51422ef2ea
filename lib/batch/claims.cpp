#include "lib/batch/claims.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/text.h"

namespace roundel::batch {
namespace {

namespace fs = std::filesystem;

double Seconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// When the process was started, in ticks since the machine was; "" if it does not exist.
std::string StartOf(const std::string& pid) {
  const std::string line = FirstLine("/proc/" + pid + "/stat");
  const size_t name_end = line.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return "";
  constexpr size_t kStart = 20;  // words behind the name
  const std::vector<std::string> words = Split(line.substr(name_end + 1), ' ');
  if (words.size() <= kStart || words[1] == "Z") return "";
  return words[kStart];
}

// Tells apart machines, their restarts, and containers on them, whose processes have numbers of
// their own.
std::string ThisMachine() {
  std::error_code error;
  const std::string space = fs::read_symlink("/proc/self/ns/pid", error).string();
  return FirstLine("/proc/sys/kernel/random/boot_id") + " " + (error ? "-" : space);
}

Status FileError(const std::string& path) {
  return InternalError(StrCat("cannot write '", path, "': ", std::strerror(errno)));
}

}  // namespace

// What a claim or the file of a process says, and which file it is.
struct Claims::Holder {
  std::string text;
  struct stat info {};

  // Opened for the sake of network file systems, which then ask the server.
  static std::optional<Holder> Read(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return std::nullopt;
    Holder holder;
    char buffer[512];
    const ssize_t size = read(fd, buffer, sizeof buffer);
    const bool good = size >= 0 && fstat(fd, &holder.info) == 0;
    close(fd);
    if (!good) return std::nullopt;
    holder.text.assign(buffer, static_cast<size_t>(size));
    return holder;
  }
  bool Same(const Holder& other) const {
    return text == other.text && info.st_ino == other.info.st_ino &&
           Seconds(info.st_mtim) == Seconds(other.info.st_mtim);
  }
};

Result<Claims> Claims::Open(const std::string& folder, double expiry) {
  Claims claims;
  claims.folder_ = folder;
  claims.expiry_ = expiry;
  RETURN_IF_ERROR(claims.MakeProcessFile());
  claims.RemoveVoid();
  return claims;
}

Claims::Claims(Claims&& other) noexcept
    : folder_(std::move(other.folder_)),
      process_(std::move(other.process_)),
      text_(std::move(other.text_)),
      expiry_(other.expiry_),
      renewed_(other.renewed_),
      mine_(std::move(other.mine_)) {
  other.process_.clear();
  other.mine_.clear();
}

Claims::~Claims() {
  const std::set<std::string> mine = mine_;
  for (const std::string& job : mine) GiveUp(job);
  if (!process_.empty()) unlink(PathOf(process_).c_str());
}

// "@host-123-89abcdef": no job is called so.
Status Claims::MakeProcessFile() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  uint32_t number = 0;
  if (getrandom(&number, sizeof number, 0) != sizeof number)
    number = static_cast<uint32_t>(SteadySeconds() * 1e6);
  std::string name = StrFormat("@%.100s-%d-%08x", host, static_cast<int>(getpid()), number);
  std::replace(name.begin(), name.end(), '/', '_');
  const std::string pid = StrCat(static_cast<int64_t>(getpid()));
  text_ = StrCat(ThisMachine(), " ", pid, " ", StartOf(pid), "\n");
  ASSIGN_OR_RETURN(const bool made, Create(PathOf(name)));
  if (!made) return InternalError(StrCat("'", PathOf(name), "' exists already"));
  process_ = std::move(name);
  renewed_ = SteadySeconds();
  return OkStatus();
}

// Makes a file of its own; false if there is one.
Result<bool> Claims::Create(const std::string& path) const {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0 && errno == EEXIST) return false;
  if (fd < 0) return FileError(path);
  const bool good = write(fd, text_.data(), text_.size()) == std::ssize(text_);
  const Status status = good ? OkStatus() : FileError(path);
  close(fd);
  if (!good) return status;
  return true;
}

bool Claims::IsVoid(const Holder& holder) const {
  const std::vector<std::string> words = Split(Trim(holder.text), ' ');
  constexpr size_t kWords = 4;
  if (words.size() == kWords && words[0] + " " + words[1] == ThisMachine())
    return StartOf(words[2]) != words[3];
  // The time of the file system: that of a file of this process, when it is renewed.
  const std::string own = PathOf(process_);
  utimensat(AT_FDCWD, own.c_str(), nullptr, 0);
  const auto now = Holder::Read(own);
  return now && Seconds(now->info.st_mtim) - Seconds(holder.info.st_mtim) > expiry_;
}

// Two processes may find the same claim void, and one of them may have replaced it already: only a
// name of its own tells what has been removed.
void Claims::Remove(const std::string& path, const Holder& holder) const {
  const std::string aside = PathOf(process_ + ".void");
  if (rename(path.c_str(), aside.c_str()) != 0) return;
  const auto removed = Holder::Read(aside);
  if (removed && !removed->Same(holder)) {
    // The claim of a living process: it gets it back.
    if (link(aside.c_str(), path.c_str()) != 0) rename(aside.c_str(), path.c_str());
  }
  unlink(aside.c_str());
}

void Claims::RemoveVoid() const {
  std::error_code error;
  std::vector<std::string> paths;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error))
    paths.push_back(it->path().string());
  for (const std::string& path : paths)
    if (const auto holder = Holder::Read(path); holder && IsVoid(*holder)) Remove(path, *holder);
}

Result<bool> Claims::Take(const std::string& job) {
  const std::string path = PathOf(job);
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    bool taken = link(PathOf(process_).c_str(), path.c_str()) == 0;
    if (!taken && errno != EEXIST) {  // a file system without second names
      ASSIGN_OR_RETURN(taken, Create(path));
    }
    if (taken) {
      mine_.insert(job);
      return true;
    }
    const auto holder = Holder::Read(path);
    if (!holder) continue;  // it has just been given up
    if (!IsVoid(*holder)) return false;
    Remove(path, *holder);
  }
  return false;
}

void Claims::GiveUp(const std::string& job) {
  if (mine_.erase(job) == 0) return;
  // Not if it has expired and another process has it now.
  const auto holder = Holder::Read(PathOf(job));
  if (holder && holder->text == text_) unlink(PathOf(job).c_str());
}

Status Claims::Renew() {
  constexpr double kRenewals = 6;  // in the time of expiry
  if (SteadySeconds() - renewed_ < expiry_ / kRenewals) return OkStatus();
  renewed_ = SteadySeconds();
  if (utimensat(AT_FDCWD, PathOf(process_).c_str(), nullptr, 0) != 0)
    return FileError(PathOf(process_));
  for (const std::string& job : mine_) utimensat(AT_FDCWD, PathOf(job).c_str(), nullptr, 0);
  return OkStatus();
}

}  // namespace roundel::batch
