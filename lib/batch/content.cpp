#include "lib/batch/content.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "lib/base/hash.h"
#include "lib/batch/model_weights.h"
#include "lib/batch/status_log.h"

namespace roundel::batch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
constexpr int64_t kMostBytes = 1'000'000'000;  // of a folder whose contents are read
constexpr int64_t kRecent = 2'000'000'000;     // ns
constexpr size_t kPiece = 1 << 22;
constexpr char kMissing[] = "missing";

int64_t Nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

int64_t Now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return Nanoseconds(now);
}

// Reads a file piece by piece; false if that fails. `scan` also looks for names of weight files.
bool HashFile(const std::string& path, Hasher* hasher, WeightScan* scan) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::string piece(kPiece, '\0');
  size_t filled = 0;
  bool good = true;
  while (true) {
    const ssize_t got = read(fd, piece.data() + filled, kPiece - filled);
    if (got < 0 && errno == EINTR) continue;
    good = got >= 0;
    if (got > 0) filled += static_cast<size_t>(got);
    if (got > 0 && filled < kPiece) continue;
    hasher->Add(piece.data(), filled);
    if (scan != nullptr) scan->Add(std::string_view(piece).substr(0, filled));
    if (got <= 0) break;
    filled = 0;
  }
  close(fd);
  return good;
}

}  // namespace

// The files of a path with what the file system says of them, in a fixed order.
struct ContentHashes::Listing {
  struct File {
    std::string name, path;  // name: from the folder; "" for a single file
    struct stat info {};
  };
  std::vector<File> files;
  int64_t bytes = 0, newest = 0;

  Listing(const std::string& path, const std::string& without) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
      std::set<std::pair<dev_t, ino_t>> visited;
      struct stat info {};
      if (stat(without.c_str(), &info) == 0) visited.emplace(info.st_dev, info.st_ino);
      AddFolder(path, "", &visited);
    } else {
      AddFile(path, "");
    }
    std::sort(files.begin(), files.end(),
              [](const File& a, const File& b) { return a.name < b.name; });
  }

  // Links to folders are followed; a folder within itself is not.
  void AddFolder(const std::string& path, const std::string& name,
                 std::set<std::pair<dev_t, ino_t>>* visited) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0 || !visited->emplace(info.st_dev, info.st_ino).second)
      return;
    std::error_code error;
    for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
      const std::string child = it->path().filename().string();
      std::error_code ignored;
      if (it->is_directory(ignored))
        AddFolder(it->path().string(), name + child + "/", visited);
      else
        AddFile(it->path().string(), name + child);
    }
  }

  void AddFile(const std::string& path, const std::string& name) {
    File file{name, path};
    if (stat(path.c_str(), &file.info) != 0 || !S_ISREG(file.info.st_mode)) return;
    bytes += file.info.st_size;
    newest = std::max({newest, Nanoseconds(file.info.st_mtim), Nanoseconds(file.info.st_ctim)});
    files.push_back(std::move(file));
  }

  std::string Signature(bool is_model) const {
    Hasher hasher;
    hasher.AddNumber(is_model);
    for (const File& file : files) {
      hasher.Add(file.name);
      for (const int64_t number :
           {static_cast<int64_t>(file.info.st_dev), static_cast<int64_t>(file.info.st_ino),
            static_cast<int64_t>(file.info.st_size), Nanoseconds(file.info.st_mtim),
            Nanoseconds(file.info.st_ctim)})
        hasher.AddNumber(static_cast<uint64_t>(number));
    }
    return hasher.Hex();
  }
};

ContentHashes::ContentHashes(std::string cache, std::string own)
    : cache_(std::move(cache)), own_(std::move(own)) {
  std::ifstream file(cache_, std::ios::binary);
  for (std::string line; std::getline(file, line);) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_array() || json.size() != 4 || !json[0].is_string() || !json[1].is_string() ||
        !json[2].is_boolean() || !json[3].is_array())
      continue;
    Known known{json[1].get<std::string>(), {}, json[2].get<bool>()};
    bool good = true;
    for (const Json& name : json[3]) {
      good &= name.is_string();
      if (name.is_string()) known.weights.push_back(name.get<std::string>());
    }
    if (good) by_signature_[json[0].get<std::string>()] = std::move(known);
  }
}

ContentHashes::Known ContentHashes::Read(const Listing& listing, bool is_model) {
  Hasher hasher;
  WeightScan scan;
  const bool contents = listing.files.size() == 1 || listing.bytes <= kMostBytes;
  for (const Listing::File& file : listing.files) {
    hasher.Add(file.name);
    hasher.AddNumber(static_cast<uint64_t>(file.info.st_size));
    if (!contents)
      hasher.AddNumber(static_cast<uint64_t>(Nanoseconds(file.info.st_mtim)));
    else if (!HashFile(file.path, &hasher, is_model ? &scan : nullptr))
      hasher.Add("unreadable");
  }
  return {hasher.Hex(), scan.locations(), scan.unclear()};
}

ContentHashes::Known ContentHashes::Get(const std::string& path, bool is_model, int64_t* bytes) {
  const Listing listing(path, own_);
  *bytes = listing.bytes;
  if (listing.files.empty()) return {kMissing, {}, false};
  const std::string signature = listing.Signature(is_model);
  if (const auto known = by_signature_.find(signature); known != by_signature_.end())
    return known->second;
  const int64_t before = Now();
  Known known = Read(listing, is_model);
  const bool settled = listing.newest < before - kRecent;
  if (settled && Listing(path, own_).Signature(is_model) == signature) {
    by_signature_[signature] = known;
    const Json line = {signature, known.content, known.folder_unclear, known.weights};
    new_lines_.push_back(line.dump(-1, ' ', true, Json::error_handler_t::replace));
  }
  return known;
}

std::string ContentHashes::Of(const std::string& path) {
  const auto done = done_.find(path);
  if (done != done_.end()) return done->second;
  int64_t bytes = 0;
  return done_[path] = Get(path, false, &bytes).content;
}

std::string ContentHashes::OfModel(const std::string& path) {
  int64_t bytes = 0;
  const Known model = Get(path, true, &bytes);
  Hasher hasher;
  hasher.Add(model.content);
  const fs::path folder = fs::path(path).parent_path();
  for (const std::string& weights : model.weights) {
    const std::string file = (folder / weights).string();
    int64_t more = 0;
    hasher.Add(Get(file, false, &more).content);
    bytes += more;
  }
  if (model.folder_unclear) hasher.Add(Of(folder.empty() ? "." : folder.string()));
  model_bytes_[path] = bytes;
  return hasher.Hex();
}

int64_t ContentHashes::ModelBytes(const std::string& path) const {
  const auto found = model_bytes_.find(path);
  return found == model_bytes_.end() ? 0 : found->second;
}

Status ContentHashes::Save() {
  for (const std::string& line : new_lines_) RETURN_IF_ERROR(AppendLine(cache_, line, false));
  new_lines_.clear();
  return OkStatus();
}

}  // namespace roundel::batch
