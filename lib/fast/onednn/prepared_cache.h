#pragma once
// The prepared objects of a kernel for the last few input shapes.

#include <initializer_list>
#include <list>
#include <utility>
#include <vector>

#include "lib/base/parallel.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

template <typename T>
class PreparedCache {
 public:
  using Key = std::vector<int64_t>;
  // The entry for `key`; if it is new, the result of make().
  template <typename Make>
  T& Get(const Key& key, const Make& make) {
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (it->first != key) continue;
      entries_.splice(entries_.begin(), entries_, it);
      return it->second;
    }
    entries_.emplace_front(key, make());
    if (entries_.size() > kMaxEntries) entries_.pop_back();
    return entries_.front().second;
  }

 private:
  static constexpr size_t kMaxEntries = 6;  // full and last batch, at a few resolutions
  std::list<std::pair<Key, T>> entries_;
};

// Cache keys contain everything that a primitive depends on: shapes, and the number of threads, by
// which oneDNN divides its work.
inline std::vector<int64_t> ShapeKey(std::initializer_list<const Shape*> shapes) {
  std::vector<int64_t> key = {Threads()};
  for (const Shape* shape : shapes) {
    key.push_back(static_cast<int64_t>(shape->size()));
    key.insert(key.end(), shape->begin(), shape->end());
  }
  return key;
}

}  // namespace roundel::engine
