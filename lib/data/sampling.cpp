#include "lib/data/sampling.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <numeric>
#include <set>

#include "lib/base/input_file.h"
#include "lib/base/interrupt.h"
#include "lib/base/log.h"
#include "lib/base/random.h"
#include "lib/base/text.h"

namespace roundel::data {
namespace {

namespace fs = std::filesystem;

bool IsFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

}  // namespace

bool HasExtension(const std::string& name, const std::vector<std::string>& extensions) {
  std::string extension = fs::path(name).extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
}

Result<std::vector<std::string>> ListFiles(const std::string& folder,
                                           const std::vector<std::string>& extensions) {
  std::vector<std::string> names;
  std::error_code error;
  auto entry = fs::recursive_directory_iterator(
      folder, fs::directory_options::skip_permission_denied, error);
  while (!error && entry != fs::recursive_directory_iterator()) {
    if (Interrupted()) return InterruptedError();
    const bool hidden = entry->path().filename().string().starts_with(".");
    std::error_code ignored;
    if (hidden && entry->is_directory(ignored)) entry.disable_recursion_pending();
    if (!hidden && HasExtension(entry->path().string(), extensions) && IsFile(entry->path()))
      names.push_back(entry->path().lexically_relative(folder).generic_string());
    entry.increment(error);
  }
  if (error) return DataError(StrCat("cannot list '", folder, "': ", error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::vector<std::string>> ReadNames(const std::string& path, const std::string& folder) {
  ASSIGN_OR_RETURN(const std::string text, ReadInputText(path, ErrorKind::kData));
  std::vector<std::string> names;
  std::set<std::string> seen;
  int line_number = 0;
  for (const std::string& line : Split(text, '\n')) {
    ++line_number;
    const std::string_view whole = Trim(line);
    if (whole.empty()) continue;
    // A name may hold spaces; only if no such file exists, the line has columns.
    std::string name(whole);
    if (!IsFile(fs::path(folder) / name)) name = name.substr(0, name.find_first_of(" \t,;"));
    const std::string where = StrCat(path, ":", line_number, ": '", name, "'");
    if (name.empty() || !IsFile(fs::path(folder) / name))
      return DataError(StrCat(where, " is not a file in '", folder, "'"));
    if (!seen.insert(name).second) return DataError(StrCat(where, " is listed twice"));
    names.push_back(name);
  }
  if (names.empty()) return DataError(StrCat(path, ": it has no names"));
  return names;
}

std::vector<int64_t> ChooseSubset(int64_t available, int64_t count, int64_t seed) {
  if (count > available)
    LogWarning(
        StrCat("count is ", count, ", but there are only ", available, " samples: all are used"));
  std::vector<int64_t> chosen(static_cast<size_t>(available));
  std::iota(chosen.begin(), chosen.end(), 0);
  if (count == 0 || count >= available) return chosen;
  Random(static_cast<uint64_t>(seed)).Shuffle(chosen);
  chosen.resize(static_cast<size_t>(count));
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace roundel::data
