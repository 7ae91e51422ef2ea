#pragma once
// Results that are kept between runs: blobs in a folder, each keyed by the hash of everything that
// it depends on. A run that was killed and is started again finds its finished results.

#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel {

class Store {
 public:
  // Creates the folder if it is missing. Errors: kInternal if that fails. Blobs that another
  // `version` of the program wrote are ignored.
  static Result<Store> Open(const std::string& folder, const std::string& version);

  bool Has(const std::string& key) const;
  // nullopt if there is none. Errors: kInternal, naming the file, if it is unreadable or damaged.
  Result<std::optional<std::string>> Get(const std::string& key) const;
  // Atomic, even if the process is killed.
  Status Put(const std::string& key, const std::string& contents) const;
  // The keys of all blobs of this version, sorted. Errors: kInternal if the folder is unreadable.
  Result<std::vector<std::string>> Keys() const;
  const std::string& folder() const { return folder_; }

 private:
  Store(std::string folder, std::string magic)
      : folder_(std::move(folder)), magic_(std::move(magic)) {}
  std::string PathOf(const std::string& key) const;
  std::string folder_, magic_;  // header of every file
};

}  // namespace roundel
