#include "lib/io/external_data.h"

#include <charconv>
#include <filesystem>
#include <system_error>

#include "lib/base/input_file.h"
#include "lib/base/text.h"

namespace roundel::io {
namespace fs = std::filesystem;

namespace {

bool IsInside(const fs::path& file, const fs::path& folder) {
  auto part = file.begin();
  for (const fs::path& wanted : folder) {
    if (wanted.empty()) continue;  // trailing slash
    if (part == file.end() || *part != wanted) return false;
    ++part;
  }
  return part != file.end();
}

}  // namespace

Status ExternalFiles::Locate(const std::string& location, std::string* path) {
  const std::string shown = StrCat("external data file '", Printable(location), "'");
  if (folder_.empty())
    return ModelError(StrCat(shown, " cannot be opened: the model was not read from a folder"));
  if (location.empty()) return ModelError("external data without a location");
  const fs::path relative(location);
  bool leaves = relative.is_absolute() || location.find('\0') != std::string::npos;
  for (const fs::path& part : relative) leaves |= part == "..";
  const std::string outside =
      StrCat(shown, " is outside the model's folder: only files in it are read");
  if (leaves) return ModelError(outside);
  std::error_code error;
  if (real_folder_.empty()) real_folder_ = fs::canonical(folder_, error).string();
  const fs::path real = error ? fs::path() : fs::canonical(fs::path(folder_) / relative, error);
  if (error) return ModelError(StrCat(shown, " cannot be opened: ", error.message()));
  if (!IsInside(real, real_folder_)) return ModelError(outside);
  if (!fs::is_regular_file(real, error)) return ModelError(StrCat(shown, " is not a regular file"));
  *path = real.string();
  return OkStatus();
}

Result<std::shared_ptr<const MappedFile>> ExternalFiles::Open(const std::string& location) {
  const auto known = open_.find(location);
  if (known != open_.end()) return known->second;
  std::string path;
  RETURN_IF_ERROR(Locate(location, &path));
  auto file = OpenInput(path, ErrorKind::kModel);
  if (!file.ok() && file.status().kind() != ErrorKind::kModel) return file;
  if (!file.ok())
    return ModelError(StrCat("external data file '", Printable(location), "' cannot be read"));
  open_[location] = *file;
  return *file;
}

bool ParseSize(std::string_view text, int64_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && *value >= 0;
}

}  // namespace roundel::io
