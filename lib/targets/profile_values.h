#pragma once
// Values of the settings in a target profile.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/recipe/yaml.h"
#include "lib/targets/profile.h"

namespace roundel::target {

// The setting that is read. All readers return kUsage errors "source:line: ...".
struct ProfileSetting {
  const std::string& source;
  const std::string& key;

  Status Error(const recipe::YamlNode& node, const std::string& message) const;
};

Status ReadText(const ProfileSetting& at, const recipe::YamlNode& node, std::string* out);
Status ReadFlag(const ProfileSetting& at, const recipe::YamlNode& node, bool* out);
// A size, or an opset version if the key says so.
Status ReadNumber(const ProfileSetting& at, const recipe::YamlNode& node, int64_t* out);
Status ReadWidth(const ProfileSetting& at, const recipe::YamlNode& node, double* out);
Status ReadGrid(const ProfileSetting& at, const recipe::YamlNode& node, quant::Grid* out);
Status ReadMode(const ProfileSetting& at, const recipe::YamlNode& node, ActivationMode* out);

Status ReadNames(const ProfileSetting& at, const recipe::YamlNode& node,
                 std::vector<std::string>* out);
// These replace what `out` holds.
Status ReadSet(const ProfileSetting& at, const recipe::YamlNode& node, std::set<std::string>* out);
Status ReadGridTypes(const ProfileSetting& at, const recipe::YamlNode& node,
                     std::set<std::string>* out);
Status ReadFloatTypes(const ProfileSetting& at, const recipe::YamlNode& node, std::set<DType>* out);
Status ReadRanks(const ProfileSetting& at, const recipe::YamlNode& node,
                 std::map<std::string, int64_t>* out);
// These add to it.
Status ReadSizes(const ProfileSetting& at, const recipe::YamlNode& node, std::set<int64_t>* out);
Status ReadOpGrids(const ProfileSetting& at, const recipe::YamlNode& node,
                   std::map<std::string, std::set<std::string>>* out);
Status ReadRanges(const ProfileSetting& at, const recipe::YamlNode& node,
                  std::map<std::string, Profile::FixedRange>* out);

}  // namespace roundel::target
