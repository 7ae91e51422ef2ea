#include "lib/base/hash.h"

#include <cstring>

#include "lib/base/text.h"

namespace roundel {
namespace {
// FNV-1a over 8-byte words with a murmur-style final mix. The multiplications of a chain depend on
// each other, so that long data uses several chains in parallel, at memory speed.
constexpr uint64_t kPrime = 0x100000001b3ULL;
constexpr uint64_t kGolden = 0x9e3779b97f4a7c15ULL;  // distinguishes the starts of the vector lanes
constexpr size_t kVectorLanes = 8, kStripe = 8 * kVectorLanes;

uint64_t LoadWord(const unsigned char* p) {
  uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

uint64_t Mix(uint64_t state, uint64_t word) {
  state = (state ^ word) * kPrime;
  return state ^ (state >> 29);
}
}  // namespace

void Hasher::Add(const void* data, size_t bytes) {
  const auto* p = static_cast<const unsigned char*>(data);
  if (bytes >= kStripe) {
    uint64_t lanes[kVectorLanes];
    for (size_t i = 0; i < kVectorLanes; ++i) lanes[i] = state_ ^ (i * kGolden);
    for (; bytes >= kStripe; p += kStripe, bytes -= kStripe)
      for (size_t i = 0; i < kVectorLanes; ++i) lanes[i] = Mix(lanes[i], LoadWord(p + 8 * i));
    for (const uint64_t lane : lanes) state_ = Mix(state_, lane);
  }
  for (; bytes >= 8; p += 8, bytes -= 8) state_ = Mix(state_, LoadWord(p));
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
