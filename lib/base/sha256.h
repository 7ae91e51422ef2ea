#pragma once
// SHA-256 (FIPS 180-4), for formats that ask for it, such as a Content-Security-Policy. What only
// identifies things inside of this program uses base/hash.h, which is faster.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace roundel {

std::array<uint8_t, 32> Sha256(std::string_view bytes);
std::string Base64(std::string_view bytes);  // RFC 4648, with padding

}  // namespace roundel
