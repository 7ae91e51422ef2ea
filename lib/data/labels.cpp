#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "lib/base/input_file.h"
#include "lib/base/text.h"
#include "lib/data/sampling.h"
#include "lib/io/npy.h"

namespace roundel::data {
namespace {

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The upper bound of labels is checked against the model's output elsewhere.
Result<int64_t> Shifted(int64_t label, const Settings& settings, const std::string& where) {
  int64_t shifted = 0;
  if (__builtin_add_overflow(label, settings.labels_offset, &shifted) || shifted < 0)
    return DataError(StrCat(where, ": label ", label,
                            settings.labels_offset == 0
                                ? std::string()
                                : StrCat(" with labels_offset ", settings.labels_offset),
                            " is negative"));
  return shifted;
}

struct LabelLine {
  std::string name, where;
  int64_t label;
};

// 'name label' lines; the label follows the last space, tab, comma or semicolon.
Result<std::vector<LabelLine>> ReadLabelFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadInputText(path, ErrorKind::kData));
  std::vector<LabelLine> lines;
  int line_number = 0;
  for (const std::string& line : Split(text, '\n')) {
    ++line_number;
    const std::string_view whole = Trim(line);
    if (whole.empty()) continue;
    const size_t split = whole.find_last_of(" \t,;");
    const std::string_view last = split == std::string_view::npos ? whole : whole.substr(split + 1);
    const auto label = ParseInteger(last);
    const std::string where = StrCat(path, ":", line_number);
    if (!label) return DataError(StrCat(where, ": expected 'name label' with a whole number"));
    std::string_view name = split == std::string_view::npos ? "" : whole.substr(0, split);
    name = Trim(name);
    while (!name.empty() && (name.back() == ',' || name.back() == ';')) name.remove_suffix(1);
    lines.push_back({std::string(Trim(name)), where, *label});
  }
  if (lines.empty()) return DataError(StrCat(path, ": it has no labels"));
  return lines;
}

std::string BaseName(const std::string& name) {
  return std::filesystem::path(name).filename().string();
}

Result<std::vector<int64_t>> LabelsFromFile(const Settings& settings,
                                            const std::vector<std::string>& names) {
  ASSIGN_OR_RETURN(const auto lines, ReadLabelFile(settings.labels));
  std::map<std::string, const LabelLine*> by_name;
  for (const LabelLine& line : lines) {
    if (line.name.empty())
      return DataError(StrCat(line.where, ": expected 'name label', found only a label"));
    const auto [other, added] = by_name.emplace(line.name, &line);
    if (!added && other->second->label != line.label)
      return DataError(StrCat(line.where, ": '", line.name, "' has two labels"));
  }
  std::vector<int64_t> labels;
  for (const std::string& name : names) {
    auto found = by_name.find(name);
    if (found == by_name.end()) found = by_name.find(BaseName(name));
    if (found == by_name.end())
      return DataError(StrCat(settings.labels, ": no label for '", name, "'"));
    ASSIGN_OR_RETURN(const int64_t label,
                     Shifted(found->second->label, settings, found->second->where));
    labels.push_back(label);
  }
  return labels;
}

// The class in a name: the base name up to the first '_', or the first folder.
Result<std::string> ClassOf(const std::string& name, bool by_folder) {
  const std::string text = by_folder ? name : BaseName(name);
  const size_t end = text.find(by_folder ? '/' : '_');
  if (end == std::string::npos || end == 0)
    return DataError(StrCat("no label in the name '", name, "': labels: ",
                            by_folder ? "folder needs one sub-folder for each class"
                                      : "prefix needs names such as 007_x.jpg"));
  return text.substr(0, end);
}

Result<std::vector<int64_t>> LabelsFromNames(const Settings& settings,
                                             const std::vector<std::string>& names,
                                             const std::vector<std::string>& all_names) {
  const bool by_folder = settings.labels == "folder";
  std::set<std::string> classes;
  bool numeric =
      !by_folder;  // sub-folders are numbered in order, as torchvision's ImageFolder does
  for (const std::string& name : all_names) {
    const Result<std::string> text = ClassOf(name, by_folder);
    if (!text.ok()) continue;  // matters only if it is chosen
    numeric = numeric && ParseInteger(*text).has_value();
    classes.insert(*text);
  }
  std::vector<int64_t> labels;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const std::string text, ClassOf(name, by_folder));
    const int64_t label = numeric ? ParseInteger(text).value_or(-1)
                                  : std::distance(classes.begin(), classes.find(text));
    ASSIGN_OR_RETURN(labels.emplace_back(), Shifted(label, settings, name));
  }
  return labels;
}

Status CheckCount(const Settings& settings, size_t labels, int64_t count) {
  if (labels == static_cast<size_t>(count)) return OkStatus();
  return DataError(StrCat(settings.labels, ": ", labels, " labels for ", count, " samples"));
}

}  // namespace

Result<std::vector<int64_t>> FileLabels(const Settings& settings,
                                        const std::vector<std::string>& names,
                                        const std::vector<std::string>& all_names) {
  if (settings.labels == "prefix" || settings.labels == "folder")
    return LabelsFromNames(settings, names, all_names);
  return LabelsFromFile(settings, names);
}

Result<std::vector<int64_t>> LabelsFromTensor(const Settings& settings, const Tensor& tensor,
                                              int64_t count) {
  if (!IsInteger(tensor.dtype()))
    return DataError(
        StrCat(settings.labels, ": labels must be integers, not ", DTypeName(tensor.dtype())));
  RETURN_IF_ERROR(CheckCount(settings, static_cast<size_t>(tensor.size()), count));
  std::vector<int64_t> labels = tensor.ToInt64s();
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::string where = StrCat(settings.labels, "[", i, "]");
    ASSIGN_OR_RETURN(labels[i], Shifted(labels[i], settings, where));
  }
  return labels;
}

Result<std::vector<int64_t>> ArrayLabels(const Settings& settings, int64_t count) {
  if (HasExtension(settings.labels, {".npy"})) {
    ASSIGN_OR_RETURN(const Tensor tensor, io::ReadNpy(settings.labels));
    return LabelsFromTensor(settings, tensor, count);
  }
  ASSIGN_OR_RETURN(const auto lines, ReadLabelFile(settings.labels));
  RETURN_IF_ERROR(CheckCount(settings, lines.size(), count));
  std::vector<int64_t> labels;
  for (const LabelLine& line : lines) {
    ASSIGN_OR_RETURN(labels.emplace_back(), Shifted(line.label, settings, line.where));
  }
  return labels;
}

}  // namespace roundel::data
