#pragma once
// Hashes of files and folders. Reading all models of a zoo takes minutes: the hashes are kept in a
// file, under what the file system says of the content.

#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel::batch {

// A known hash is used again only if device, inode, size, and the times of the last change of
// content and of inode agree to the nanosecond, of every file; the latter cannot be set by
// programs. A file that changed within two seconds before it was read is not kept, since another
// change might leave no trace in a coarse clock.
class ContentHashes {
 public:
  // Errors in `cache` cost time only: lines that cannot be read are ignored. The folder `own`, in
  // which results appear, is no part of a folder that holds it.
  ContentHashes(std::string cache, std::string own);

  // 16 digits; another value if there is nothing at `path`. Of a folder: of the names and contents
  // of its files, or, above 1 GB, of their names, sizes and times.
  std::string Of(const std::string& path);
  // The file, and the files beside it that it names as holding its weights.
  std::string OfModel(const std::string& path);
  // Bytes of both after OfModel(path).
  int64_t ModelBytes(const std::string& path) const;
  // Appends what is new to the cache.
  Status Save();

 private:
  struct Known {
    std::string content;
    std::vector<std::string> weights;  // locations in a model file
    bool folder_unclear = false;
  };
  struct Listing;
  Known Read(const Listing& listing, bool is_model);
  Known Get(const std::string& path, bool is_model, int64_t* bytes);

  std::string cache_, own_;
  std::map<std::string, Known> by_signature_;
  std::map<std::string, std::string> done_;  // by path, in this run
  std::map<std::string, int64_t> model_bytes_;
  std::vector<std::string> new_lines_;
};

}  // namespace roundel::batch
