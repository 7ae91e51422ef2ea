#pragma once
// Finds, in the bytes of an ONNX file, the files that hold its weights, without parsing it: a
// hostile model must not be able to harm the process that looks after all jobs.

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace roundel::batch {

// Every tensor with external data has entries of key and value, one with the key "location". In
// protobuf's wire format that is the field 1 with these letters, followed by the field 2 with the
// name. Weights may by chance hold such bytes: a name too many does no harm.
class WeightScan {
 public:
  // The next piece of the file.
  void Add(std::string_view piece);
  std::vector<std::string> locations() const { return {found_.begin(), found_.end()}; }
  // An entry is written in another order: its name is not known.
  bool unclear() const { return unclear_; }

 private:
  std::string rest_;  // of the pieces before, where an entry may have begun
  std::set<std::string> found_;
  bool unclear_ = false;
};

}  // namespace roundel::batch
