#include "lib/base/sha256.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace roundel {
namespace {

constexpr size_t kBlock = 64, kRounds = 64;
using State = std::array<uint32_t, 8>;

struct Constants {
  std::array<uint32_t, kRounds> round;
  State start;
};

// The first 32 bits of the fractional part of a number below 2^20: exact, because the 64 bits of a
// long double leave at least 44 behind the point.
uint32_t Fraction(long double x) {
  return static_cast<uint32_t>((x - std::floor(x)) * 4294967296.0L);
}

// As the standard defines them: cube roots of the first 64 primes, square roots of the first 8.
Constants MakeConstants() {
  Constants constants{};
  size_t count = 0;
  for (int n = 2; count < kRounds; ++n) {
    bool prime = true;
    for (int d = 2; d * d <= n; ++d) prime = prime && n % d != 0;
    if (!prime) continue;
    if (count < constants.start.size()) constants.start[count] = Fraction(std::sqrt(1.0L * n));
    constants.round[count++] = Fraction(std::cbrt(1.0L * n));
  }
  return constants;
}

void AddBlock(const Constants& constants, const unsigned char* block, State* state) {
  std::array<uint32_t, kRounds> w{};
  for (size_t i = 0; i < 16; ++i)
    w[i] = uint32_t{block[4 * i]} << 24 | uint32_t{block[4 * i + 1]} << 16 |
           uint32_t{block[4 * i + 2]} << 8 | uint32_t{block[4 * i + 3]};
  for (size_t i = 16; i < kRounds; ++i) {
    const uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + w[i - 7] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ (a >> 3)) +
           (std::rotr(b, 17) ^ std::rotr(b, 19) ^ (b >> 10));
  }
  State s = *state;
  for (size_t i = 0; i < kRounds; ++i) {
    const uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
    const uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
    const uint32_t first = s[7] + choice + constants.round[i] + w[i] +
                           (std::rotr(s[4], 6) ^ std::rotr(s[4], 11) ^ std::rotr(s[4], 25));
    const uint32_t second =
        majority + (std::rotr(s[0], 2) ^ std::rotr(s[0], 13) ^ std::rotr(s[0], 22));
    s = {first + second, s[0], s[1], s[2], s[3] + first, s[4], s[5], s[6]};
  }
  for (size_t i = 0; i < s.size(); ++i) (*state)[i] += s[i];
}

}  // namespace

std::array<uint8_t, 32> Sha256(std::string_view bytes) {
  static const Constants constants = MakeConstants();
  State state = constants.start;
  // The end of the message: a bit, zeros, and the length in bits.
  std::string tail(bytes.substr(bytes.size() / kBlock * kBlock));
  tail += '\x80';
  tail.append((2 * kBlock - 8 - tail.size()) % kBlock, '\0');
  const uint64_t bits = uint64_t{bytes.size()} * 8;
  for (int shift = 56; shift >= 0; shift -= 8) tail += static_cast<char>(bits >> shift & 0xff);
  const auto add = [&](std::string_view blocks) {
    for (size_t at = 0; at + kBlock <= blocks.size(); at += kBlock)
      AddBlock(constants, reinterpret_cast<const unsigned char*>(blocks.data()) + at, &state);
  };
  add(bytes.substr(0, bytes.size() / kBlock * kBlock));
  add(tail);
  std::array<uint8_t, 32> digest{};
  for (size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
  return digest;
}

std::string Base64(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

}  // namespace roundel
