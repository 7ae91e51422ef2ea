#pragma once
// A 64-bit content hash (not cryptographic): identifies models, data and recipes in reports.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace roundel {

class Hasher {
 public:
  void Add(const void* data, size_t bytes);
  void Add(std::string_view text) {
    Add(text.data(), text.size());
    AddNumber(text.size());
  }
  void AddNumber(uint64_t value) { Add(&value, sizeof value); }
  uint64_t Digest() const;
  std::string Hex() const;  // 16 lower-case digits

 private:
  uint64_t state_ = 0xcbf29ce484222325ULL;
};

}  // namespace roundel
