// Patterns of model paths become jobs with ids.

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "lib/base/text.h"
#include "lib/batch/manifest.h"
#include "lib/recipe/yaml_params.h"

namespace roundel::batch {
namespace {

namespace fs = std::filesystem;
constexpr size_t kLongestId = 100;

bool IsPattern(const std::string& path) { return path.find_first_of("*?[") != std::string::npos; }

// Existing files in the order of their bytes, whatever the locale.
std::vector<std::string> Match(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0)
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      std::error_code error;
      if (!fs::is_directory(found.gl_pathv[i], error)) paths.emplace_back(found.gl_pathv[i]);
    }
  globfree(&found);
  std::sort(paths.begin(), paths.end());
  return paths;
}

bool IsSafe(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

// What glob() takes as it is.
std::string Escaped(const std::string& path) {
  std::string escaped;
  for (char c : path) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string FolderName(const std::string& path) {
  std::error_code error;
  return fs::weakly_canonical(fs::path(path).parent_path(), error).filename().string();
}

// A part of a path as part of an id.
std::string SafeWord(std::string word) {
  std::replace_if(
      word.begin(), word.end(), [](char c) { return !IsSafe(c); }, '_');
  if (!word.empty() && (word[0] == '.' || word[0] == '-')) word[0] = '_';
  return word;
}

void Replace(const std::string& what, const std::string& with, std::string* text) {
  for (size_t at = 0; (at = text->find(what, at)) != std::string::npos; at += with.size())
    text->replace(at, what.size(), with);
}

Status CheckId(const std::string& id) {
  if (!id.empty() && id.size() <= kLongestId && id[0] != '.' && id[0] != '-' &&
      id != "status.jsonl" && std::all_of(id.begin(), id.end(), IsSafe))
    return OkStatus();
  return UsageError(StrCat("the id ", recipe::Quoted(id), " must be a file name of at most ",
                           kLongestId,
                           " letters, digits, '_', '-' and '.', that begins with a letter, a "
                           "digit or '_'"));
}

}  // namespace

Result<std::vector<Item>> ExpandEntries(const std::vector<Entry>& entries,
                                        const std::string& source, const std::string& folder) {
  std::vector<Item> items;
  std::map<std::string, int> lines;  // by id
  for (const Entry& entry : entries) {
    const std::string path = (fs::path(folder) / entry.model).lexically_normal().string();
    std::vector<std::string> models = {path};
    std::error_code error;
    if (IsPattern(entry.model) && !fs::exists(path, error)) {
      const bool absolute = fs::path(entry.model).is_absolute() || folder.empty();
      models = Match(absolute ? entry.model : Escaped(folder) + "/" + entry.model);
      if (models.empty())
        return recipe::YamlError(source, entry.line,
                                 StrCat("no file matches ", recipe::Quoted(entry.model)));
    }
    for (const std::string& model : models) {
      Item item{entry};
      item.entry.model = model;
      std::string& id = item.entry.id;
      if (id.empty()) id = "{stem}";
      Replace("{stem}", SafeWord(fs::path(model).stem().string()), &id);
      Replace("{folder}", SafeWord(FolderName(model)), &id);
      if (Status status = CheckId(id); !status.ok())
        return recipe::YamlError(source, entry.line, status.message());
      const auto [known, is_new] = lines.emplace(id, entry.line);
      if (!is_new)
        return recipe::YamlError(
            source, entry.line,
            StrCat("the id '", id, "' is taken by line ", known->second,
                   "; give another id, which may hold {stem} and {folder}, the parts of the "
                   "model's path"));
      items.push_back(std::move(item));
    }
  }
  return items;
}

}  // namespace roundel::batch
