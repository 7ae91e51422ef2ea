#pragma once
// Weights outside the model file: other files in the model's folder, resolved by safe rules and
// each mapped once.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/file.h"
#include "lib/base/status.h"

namespace roundel::io {

class ExternalFiles {
 public:
  // `folder` is that of the model; "": none, every look-up fails.
  explicit ExternalFiles(std::string folder) : folder_(std::move(folder)) {}

  // The file that `location` names. Errors: kModel unless it is an existing regular file that lies,
  // with links resolved, in the model's folder.
  Result<std::shared_ptr<const MappedFile>> Open(const std::string& location);

 private:
  Status Locate(const std::string& location, std::string* path);

  std::string folder_, real_folder_;
  std::map<std::string, std::shared_ptr<const MappedFile>> open_;
};

// A decimal `offset` or `length` of an external_data entry; false unless it is a plain number that
// fits.
bool ParseSize(std::string_view text, int64_t* value);

}  // namespace roundel::io
