#include "lib/base/hash.h"

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace roundel {
namespace {

std::string Digest(const std::string& bytes) {
  Hasher hasher;
  hasher.Add(bytes.data(), bytes.size());
  return hasher.Hex();
}

// Bytes without a pattern: a linear congruential generator (Knuth).
std::string Noise(size_t size) {
  std::string bytes(size, '\0');
  uint64_t state = 1;
  for (char& byte : bytes) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

// One word after the other, the lane found from the word's number.
uint64_t Reference(const std::string& bytes) {
  const auto mix = [](uint64_t state, uint64_t word) {
    const uint64_t product = (state ^ word) * 1099511628211ULL;  // FNV's 64-bit prime
    return product ^ (product >> 29);
  };
  const auto word_at = [&](size_t at) {
    uint64_t word = 0;
    for (size_t i = 0; i < 8; ++i)
      word |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
    return word;
  };
  uint64_t state = 14695981039346656037ULL;  // FNV's 64-bit offset basis
  const size_t striped = bytes.size() / 64 * 64;
  if (striped > 0) {
    std::vector<uint64_t> lanes;
    for (uint64_t i = 0; i < 8; ++i) lanes.push_back(state ^ (i * 0x9e3779b97f4a7c15ULL));
    for (size_t at = 0; at < striped; at += 8)
      lanes[at / 8 % 8] = mix(lanes[at / 8 % 8], word_at(at));
    for (const uint64_t lane : lanes) state = mix(state, lane);
  }
  size_t at = striped;
  for (; at + 8 <= bytes.size(); at += 8) state = mix(state, word_at(at));
  for (; at < bytes.size(); ++at)
    state = (state ^ static_cast<unsigned char>(bytes[at])) * 1099511628211ULL;
  // The final mix of MurmurHash3.
  state = (state ^ (state >> 33)) * 0xff51afd7ed558ccdULL;
  state = (state ^ (state >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return state ^ (state >> 33);
}

}  // namespace

TEST_CASE("the hash of any length is that of a loop over words") {
  for (const size_t size : {0, 1, 7, 8, 9, 63, 64, 65, 72, 127, 128, 129, 1000, 100003}) {
    INFO(size);
    const std::string bytes = Noise(size);
    Hasher hasher;
    hasher.Add(bytes.data(), bytes.size());
    CHECK(hasher.Digest() == Reference(bytes));
  }
}

TEST_CASE("the hash does not depend on where data lies") {
  const std::string bytes = Noise(1000);
  for (size_t shift = 0; shift < 8; ++shift) {
    const std::string moved = std::string(shift, 'x') + bytes;
    Hasher hasher;
    hasher.Add(moved.data() + shift, bytes.size());
    CHECK(hasher.Hex() == Digest(bytes));
  }
}

TEST_CASE("every changed bit and every moved word gives another hash") {
  const std::string bytes = Noise(200);
  std::set<std::string> seen = {Digest(bytes)};
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    seen.insert(Digest(changed));
  }
  size_t expected = 1 + 8 * bytes.size();
  for (size_t a = 0; a + 8 <= bytes.size(); a += 8)
    for (size_t b = a + 8; b + 8 <= bytes.size(); b += 8, ++expected) {
      std::string swapped = bytes;
      std::memcpy(swapped.data() + a, bytes.data() + b, 8);
      std::memcpy(swapped.data() + b, bytes.data() + a, 8);
      seen.insert(Digest(swapped));
    }
  for (size_t size = 0; size < 200; ++size, ++expected) seen.insert(Digest(bytes.substr(0, size)));
  CHECK(seen.size() == expected);
}

TEST_CASE("zeros of different lengths have different hashes") {
  std::set<std::string> seen;
  for (size_t size = 0; size < 300; ++size) seen.insert(Digest(std::string(size, '\0')));
  CHECK(seen.size() == 300);
}

}  // namespace roundel
