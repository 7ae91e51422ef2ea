#include "lib/quant/calibration_statistics.h"

#include <algorithm>

#include "lib/base/hash.h"
#include "lib/base/text.h"

namespace roundel::quant {
namespace {

// The same for any order of the two.
std::string CombinedHash(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return "";
  Hasher hasher;
  hasher.Add(std::min(a, b));
  hasher.Add(std::max(a, b));
  return hasher.Hex();
}

Status MergeMean(const std::string& value, const InputMean& from, InputMean* to) {
  if (from.mean.size() != to->mean.size())
    return DataError(StrCat("'", value, "' has ", to->mean.size(), " channels in one and ",
                            from.mean.size(), " in the other"));
  const auto a = static_cast<double>(to->count), b = static_cast<double>(from.count);
  if (a + b == 0) return OkStatus();
  for (size_t c = 0; c < to->mean.size(); ++c)
    to->mean[c] = (to->mean[c] * a + from.mean[c] * b) / (a + b);
  to->count += from.count;
  return OkStatus();
}

}  // namespace

Status CalibrationStatistics::Merge(const CalibrationStatistics& other) {
  for (const auto& [value, statistics] : other.values)
    if (!values.contains(value))
      return DataError(StrCat("only one of them has the value '", value, "'"));
  for (auto& [value, statistics] : values) {
    const auto theirs = other.values.find(value);
    if (theirs == other.values.end())
      return DataError(StrCat("only one of them has the value '", value, "'"));
    if (!(theirs->second.needs() == statistics.needs()))
      return DataError(StrCat("they do not hold the same of '", value, "'"));
    statistics.Append(theirs->second);
  }
  for (const auto& [value, mean] : other.input_means) {
    const auto [mine, is_new] = input_means.emplace(value, mean);
    if (!is_new) RETURN_IF_ERROR(MergeMean(value, mean, &mine->second));
  }
  samples += other.samples;
  data_hash = CombinedHash(data_hash, other.data_hash);
  return OkStatus();
}

}  // namespace roundel::quant
