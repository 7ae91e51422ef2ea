#include "lib/quant/calibration_statistics.h"

#include <algorithm>
#include <set>

#include "lib/base/hash.h"
#include "lib/base/text.h"

namespace roundel::quant {
namespace {

using Parts = std::vector<CalibrationStatistics>;

// Independent of the order; "" if one is unknown.
std::string CombinedHash(const Parts& parts) {
  std::vector<std::string> hashes;
  for (const CalibrationStatistics& part : parts) hashes.push_back(part.data_hash);
  std::sort(hashes.begin(), hashes.end());
  if (hashes[0].empty()) return "";
  Hasher hasher;
  for (const std::string& hash : hashes) hasher.Add(hash);
  return hasher.Hex();
}

Status CheckAlike(const CalibrationStatistics& part, const CalibrationStatistics& first) {
  for (const auto& [value, statistics] : part.values) {
    const auto other = first.values.find(value);
    if (other == first.values.end())
      return DataError(StrCat("has a value '", value, "' that the first does not have"));
    if (!(statistics.needs() == other->second.needs()))
      return DataError(StrCat("has other statistics of '", value, "' than the first"));
  }
  for (const auto& [value, statistics] : first.values)
    if (!part.values.contains(value))
      return DataError(StrCat("lacks the value '", value, "' of the first"));
  for (const auto& [value, mean] : part.input_means)
    if (const auto other = first.input_means.find(value);
        other != first.input_means.end() && other->second.mean.size() != mean.mean.size())
      return DataError(StrCat("has another number of channels in '", value, "' than the first"));
  return OkStatus();
}

// The mean of `value` over the parts.
InputMean MergedMean(const Parts& parts, const std::string& value) {
  InputMean merged;
  std::vector<ExactSum> sums;
  for (const CalibrationStatistics& part : parts) {
    const auto found = part.input_means.find(value);
    if (found == part.input_means.end()) continue;
    const InputMean& mean = found->second;
    if (sums.empty() || mean.shape < merged.shape) merged.shape = mean.shape;
    sums.resize(mean.mean.size());
    for (size_t c = 0; c < sums.size(); ++c)
      sums[c].Add(mean.mean[c] * static_cast<double>(mean.count));
    merged.count += mean.count;
  }
  for (const ExactSum& sum : sums)
    merged.mean.push_back(sum.Value() / static_cast<double>(std::max<int64_t>(1, merged.count)));
  return merged;
}

}  // namespace

Result<CalibrationStatistics> CalibrationStatistics::Merge(Parts parts) {
  INVARIANT(!parts.empty(), "nothing to merge");
  if (parts.size() == 1) return std::move(parts[0]);
  for (size_t i = 1; i < parts.size(); ++i)
    RETURN_IF_ERROR(CheckAlike(parts[i], parts[0]).At(StrCat("part ", i + 1)));
  std::set<std::string> names;
  for (const CalibrationStatistics& part : parts)
    for (const auto& [value, mean] : part.input_means) names.insert(value);
  std::map<std::string, InputMean> means;
  for (const std::string& value : names) means[value] = MergedMean(parts, value);
  CalibrationStatistics merged;
  merged.data_hash = CombinedHash(parts);
  merged.model_hash = parts[0].model_hash;
  merged.preprocessing_hash = parts[0].preprocessing_hash;
  merged.values = std::move(parts[0].values);
  merged.input_means = std::move(means);
  for (size_t i = 0; i < parts.size(); ++i) {
    merged.samples += parts[i].samples;
    for (auto& [value, statistics] : merged.values)
      if (i > 0) statistics.Append(parts[i].values.at(value));
  }
  return merged;
}

}  // namespace roundel::quant
