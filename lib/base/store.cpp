#include "lib/base/store.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "lib/base/commit_group.h"
#include "lib/base/file.h"
#include "lib/base/hash.h"
#include "lib/base/text.h"

namespace roundel {
namespace {

constexpr size_t kHashDigits = 16;  // of the contents, after the magic

std::string HashOf(std::string_view contents) {
  Hasher hasher;
  hasher.Add(contents);
  return hasher.Hex();
}

}  // namespace

Result<Store> Store::Open(const std::string& folder, const std::string& version) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || !std::filesystem::is_directory(folder))
    return InternalError(StrCat("store '", folder, "': cannot be made: ",
                                error ? error.message() : "there is a file of that name"));
  RemoveLeftovers(folder);
  return Store(folder, StrCat("roundel ", version, " store\n"));
}

std::string Store::PathOf(const std::string& key) const {
  return (std::filesystem::path(folder_) / key).string();
}

bool Store::Has(const std::string& key) const {
  const auto file = MappedFile::Open(PathOf(key));
  return file.ok() && (*file)->bytes().size() >= magic_.size() &&
         std::memcmp((*file)->bytes().data(), magic_.data(), magic_.size()) == 0;
}

Result<std::optional<std::string>> Store::Get(const std::string& key) const {
  if (!Has(key)) return std::optional<std::string>();
  ASSIGN_OR_RETURN(std::string text, ReadTextFile(PathOf(key)));
  const size_t header = magic_.size() + kHashDigits;
  if (text.size() < header ||
      text.compare(magic_.size(), kHashDigits, HashOf(std::string_view(text).substr(header))) != 0)
    return InternalError(StrCat("'", PathOf(key), "' is damaged: delete it"));
  text.erase(0, header);
  return std::optional<std::string>(std::move(text));
}

Result<std::vector<std::string>> Store::Keys() const {
  std::vector<std::string> keys;
  std::error_code error;
  auto entry = std::filesystem::directory_iterator(folder_, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (entry->is_regular_file(error) && Has(name)) keys.push_back(name);
  }
  if (error)
    return InternalError(StrCat("store '", folder_, "': cannot be listed: ", error.message()));
  std::sort(keys.begin(), keys.end());
  return keys;
}

Status Store::Put(const std::string& key, const std::string& contents) const {
  ASSIGN_OR_RETURN(const auto file, AtomicFile::Create(PathOf(key)));
  RETURN_IF_ERROR(file->Write(magic_));
  RETURN_IF_ERROR(file->Write(HashOf(contents)));
  RETURN_IF_ERROR(file->Write(contents));
  return file->Commit();
}

}  // namespace roundel
