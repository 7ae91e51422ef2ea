#include "lib/base/hash.h"

#include <cstring>

#include "lib/base/text.h"

namespace roundel {
namespace {
// FNV-1a over 8-byte words with a murmur-style final mix: fast enough for whole weight files.
constexpr uint64_t kPrime = 0x100000001b3ULL;
}  // namespace

void Hasher::Add(const void* data, size_t bytes) {
  const auto* p = static_cast<const unsigned char*>(data);
  for (; bytes >= 8; p += 8, bytes -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    state_ = (state_ ^ word) * kPrime;
    state_ ^= state_ >> 29;
  }
  for (; bytes > 0; ++p, --bytes) state_ = (state_ ^ *p) * kPrime;
}

uint64_t Hasher::Digest() const {
  uint64_t z = state_;
  z = (z ^ (z >> 33)) * 0xff51afd7ed558ccdULL;
  z = (z ^ (z >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return z ^ (z >> 33);
}

std::string Hasher::Hex() const {
  return StrFormat("%016llx", static_cast<unsigned long long>(Digest()));
}

}  // namespace roundel
