#include "lib/base/sha256.h"

#include "lib/base/text.h"
#include "tests/support/catch.h"

using namespace roundel;

namespace {

std::string HexDigest(std::string_view text) {
  std::string hex;
  for (const uint8_t byte : Sha256(text)) hex += StrFormat("%02x", unsigned{byte});
  return hex;
}

}  // namespace

// The examples of FIPS 180-4 and of its test vectors.
TEST_CASE("SHA-256 of the standard's examples") {
  CHECK(HexDigest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(HexDigest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(HexDigest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(HexDigest(std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// Lengths around the ends of blocks, from sha256sum.
TEST_CASE("SHA-256 of messages that end near the end of a block") {
  CHECK(HexDigest(std::string(55, 'x')) ==
        "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072");
  CHECK(HexDigest(std::string(56, 'x')) ==
        "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e");
  CHECK(HexDigest(std::string(63, 'x')) ==
        "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2");
  CHECK(HexDigest(std::string(64, 'x')) ==
        "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c");
}

// The examples of RFC 4648.
TEST_CASE("base 64 with padding") {
  CHECK(Base64("").empty());
  CHECK(Base64("f") == "Zg==");
  CHECK(Base64("fo") == "Zm8=");
  CHECK(Base64("foo") == "Zm9v");
  CHECK(Base64("foob") == "Zm9vYg==");
  CHECK(Base64("foobar") == "Zm9vYmFy");
  CHECK(Base64("\xfb\xff\xbf") == "+/+/");
}
