#pragma once
// Groups of values that share a range.

#include <string>
#include <unordered_map>
#include <utility>

namespace roundel::target {

class RangeGroups {
 public:
  // The value that represents the group of `value`.
  std::string Find(const std::string& value) {
    std::string root = value;
    while (parent_.try_emplace(root, root).first->second != root) root = parent_[root];
    for (std::string step = value; step != root;) step = std::exchange(parent_[step], root);
    return root;
  }
  void Union(const std::string& a, const std::string& b) {
    const std::string root = Find(a);
    parent_[Find(b)] = root;
  }
  // Numbers the groups in the order of first use.
  int Number(const std::string& value) {
    return numbers_.try_emplace(Find(value), static_cast<int>(numbers_.size())).first->second;
  }

 private:
  std::unordered_map<std::string, std::string> parent_;
  std::unordered_map<std::string, int> numbers_;
};

}  // namespace roundel::target
