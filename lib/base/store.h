#pragma once
// Results kept between runs: blobs in a folder, each under the hash of everything that it depends on.
// A run that is killed and started again finds what it had finished.

#include <optional>
#include <string>

#include "lib/base/status.h"

namespace roundel {

class Store {
 public:
  // Makes the folder if it is not there. kInternal if that is not possible. Blobs that another
  // `version` of the program wrote are as good as absent.
  static Result<Store> Open(const std::string& folder, const std::string& version);

  bool Has(const std::string& key) const;
  // nullopt if there is none; kInternal, naming the file, if it cannot be read or is damaged.
  Result<std::optional<std::string>> Get(const std::string& key) const;
  // All or nothing, also when the process is killed meanwhile.
  Status Put(const std::string& key, const std::string& contents) const;
  const std::string& folder() const { return folder_; }

 private:
  Store(std::string folder, std::string magic)
      : folder_(std::move(folder)), magic_(std::move(magic)) {}
  std::string PathOf(const std::string& key) const;
  std::string folder_, magic_;  // what every file begins with
};

}  // namespace roundel
