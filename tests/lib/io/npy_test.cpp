#include "lib/io/npy.h"

#include <cstring>
#include <fstream>
#include <iterator>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"
#include "tests/support/zip.h"

namespace roundel::io {
namespace {

using support::Le;
using support::TempFolder;
using support::Zip;

// A .npy file around a header dictionary, as NEP 1 describes it.
std::string Npy(const std::string& dictionary, const std::string& payload, int version = 1) {
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  const size_t prefix = version == 1 ? 10 : 12;
  std::string header = dictionary;
  while ((prefix + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  for (size_t i = 0; i < prefix - 8; ++i) out += static_cast<char>(header.size() >> (8 * i));
  return out + header + payload;
}

std::string Dict(const std::string& type, const std::string& shape, bool fortran = false) {
  return StrCat("{'descr': '", type, "', 'fortran_order': ", fortran ? "True" : "False",
                ", 'shape': ", shape, ", }");
}

template <typename T>
std::string Raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

Result<Tensor> Parse(const std::string& file) { return ParseNpy(file.data(), file.size()); }

Status Error(const std::string& file) { return Parse(file).status(); }

std::string FromHex(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

template <typename T>
void CheckType(const std::string& type, const std::vector<T>& values) {
  const auto shape = StrCat("(", values.size(), ",)");
  const auto tensor = Parse(Npy(Dict(type, shape), Raw(values)));
  REQUIRE(tensor.ok());
  CHECK(*tensor == Tensor::FromVector<T>({static_cast<int64_t>(values.size())}, values));
}

}  // namespace

TEST_CASE("npy: every element type") {
  CheckType<float>("<f4", {1.5f, -2.25f});
  CheckType<double>("<f8", {1e300, -0.5});
  CheckType<int8_t>("|i1", {-128, 127});
  CheckType<int16_t>("<i2", {-32768, 5});
  CheckType<int32_t>("=i4", {-7, 1 << 30});
  CheckType<int64_t>("<i8", {-7, int64_t{1} << 60});
  CheckType<uint8_t>("|u1", {0, 255});
  CheckType<uint16_t>("<u2", {65535, 1});
  CheckType<uint32_t>("<u4", {4294967295u});
  CheckType<uint64_t>("<u8", {UINT64_MAX});
  const auto half = Parse(Npy(Dict("<f2", "(1,)"), std::string("\x00\x3e", 2)));  // 1.5
  REQUIRE(half.ok());
  CHECK(half->dtype() == DType::kFloat16);
  CHECK(half->ToFloat().data<float>()[0] == 1.5f);
}

TEST_CASE("npy: bytes of a bool other than 0 and 1 count as true") {
  const auto tensor = Parse(Npy(Dict("|b1", "(3,)"), std::string("\x00\x01\x07", 3)));
  REQUIRE(tensor.ok());
  CHECK(*tensor == Tensor::FromVector<bool>({3}, {false, true, true}));
}

TEST_CASE("npy: big endian, Fortran order, as NumPy 1.24 writes them") {
  // np.asfortranarray(np.arange(6, dtype='>i2').reshape(2, 3))
  const auto tensor =
      Parse(Npy(Dict(">i2", "(2, 3)", true), std::string("\0\0\0\3\0\1\0\4\0\2\0\5", 12)));
  REQUIRE(tensor.ok());
  CHECK(*tensor == Tensor::FromVector<int16_t>({2, 3}, {0, 1, 2, 3, 4, 5}));
}

TEST_CASE("npy: Fortran order in four dimensions against index arithmetic") {
  const int64_t n[4] = {2, 3, 1, 4};
  std::vector<int32_t> stored(24);
  std::vector<int32_t> wanted(24);
  for (int i = 0, at = 0; i < n[0]; ++i)
    for (int j = 0; j < n[1]; ++j)
      for (int l = 0; l < n[3]; ++l, ++at) {
        wanted[at] = 100 * i + 10 * j + l;
        stored[i + n[0] * (j + n[1] * l)] = wanted[at];
      }
  const auto tensor = Parse(Npy(Dict("<i4", "(2, 3, 1, 4)", true), Raw(stored)));
  REQUIRE(tensor.ok());
  CHECK(*tensor == Tensor::FromVector<int32_t>({2, 3, 1, 4}, wanted));
}

TEST_CASE("npy: format versions, scalars, empty arrays, key order, Python 2 longs") {
  const auto payload = Raw<double>({0, 1, 2});
  for (int version : {1, 2, 3}) {
    const auto tensor = Parse(Npy(Dict("<f8", "(3,)"), payload, version));
    REQUIRE(tensor.ok());
    CHECK(tensor->shape() == Shape{3});
  }
  CHECK(Parse(Npy(Dict("<f8", "()"), Raw<double>({4})))->shape().empty());
  CHECK(Parse(Npy(Dict("<f8", "(0, 7)"), ""))->size() == 0);
  CHECK(
      Parse(Npy("{\"shape\":(3L,),\"fortran_order\":False,\"descr\":\"<f8\"}", payload))->shape() ==
      Shape{3});
}

TEST_CASE("npy: malformed files are data errors that say what is wrong") {
  const auto check = [](const std::string& file, const std::string& part) {
    const Status status = Error(file);
    INFO(status.message());
    CHECK(status.kind() == ErrorKind::kData);
    CHECK(status.message().find(part) != std::string::npos);
  };
  const std::string good = Npy(Dict("<f4", "(2,)"), Raw<float>({1, 2}));
  check("", "not a .npy");
  check("PK", "not a .npy");
  check(good.substr(0, 40), "truncated .npy header");
  check(good.substr(0, good.size() - 1), "truncated file");
  check(good + good, "several arrays");
  check(Npy(Dict("<f4", "(2,)"), Raw<float>({1, 2}), 4), "version 4");
  check(Npy(Dict("<c8", "(1,)"), Raw<float>({1, 2})), "'<c8'");
  check(Npy(Dict("|O", "(1,)"), "x"), "'|O'");
  check(Npy(Dict("<f4", "(-2,)"), ""), "a dimension");
  check(Npy(Dict("<f4", "(99999999999999999999,)"), ""), "a dimension");
  check(Npy(Dict("<f4", "(4611686018427387904, 4611686018427387904)"), ""), "overflows");
  check(Npy(Dict("<f4", "(4611686018427387904, 0, 4611686018427387904)"), ""), "overflows");
  check(Npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", ""), "structured");
  check(Npy("{'descr': '<f4', 'fortran_order': False}", ""), "lacks");
  check(Npy("{'descr': '<f4', 'descr': '<f4'}", ""), "twice");
  check(Npy("{'descr': '<f4', 'color': 3}", ""), "unknown key 'color'");
  check(Npy("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", ""), "True or False");
  check(Npy(Dict("<f4", "(2,)") + " x", ""), "the end");
  check(Npy("import os", ""), "malformed");
  std::string shape = "(";
  for (int i = 0; i < 65; ++i) shape += "1,";
  check(Npy(Dict("<f4", shape + ")"), Raw<float>({1})), "64 dimensions");
  check(Npy(Dict("<f4", "(1,)") + std::string(70000, ' '), Raw<float>({1}), 2), "too long");
}

TEST_CASE("npy: files are mapped where their layout allows, and named in errors") {
  const TempFolder folder;
  const auto plain = ReadNpy(folder.Write("a.npy", Npy(Dict("<f4", "(2,)"), Raw<float>({1, 2}))));
  REQUIRE(plain.ok());
  CHECK(plain->is_mapped());
  CHECK(*plain == Tensor::FromVector<float>({2}, {1, 2}));
  const auto big = ReadNpy(folder.Write("b.npy", Npy(Dict(">u2", "(1,)"), std::string("\1\2", 2))));
  REQUIRE(big.ok());
  CHECK(*big == Tensor::FromVector<uint16_t>({1}, {0x0102}));
  const auto broken = ReadNpy(folder.Write("c.npy", "nothing"));
  CHECK(broken.status().kind() == ErrorKind::kData);
  CHECK(broken.status().message().find("c.npy: not a .npy") != std::string::npos);
  CHECK(ReadNpy(folder / "missing.npy").status().kind() == ErrorKind::kData);
}

TEST_CASE("npy: writing gives NumPy's bytes and reads back") {
  const TempFolder folder;
  const auto tensor = Tensor::FromVector<float>({2, 1}, {1.5f, -3});
  REQUIRE(WriteNpy(tensor, folder / "x.npy").ok());
  std::ifstream file(folder / "x.npy", std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }";
  header.append(117 - header.size(), ' ');
  CHECK(bytes ==
        std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + "\n" + Raw<float>({1.5f, -3}));
  CHECK(*ReadNpy(folder / "x.npy") == tensor);
  const auto scalar = Tensor::Scalar<int64_t>(-5);
  REQUIRE(WriteNpy(scalar, folder / "s.npy").ok());
  CHECK(*ReadNpy(folder / "s.npy") == scalar);
  const auto vector = Tensor::FromVector<bool>({3}, {true, false, true});
  REQUIRE(WriteNpy(vector, folder / "v.npy").ok());
  CHECK(*ReadNpy(folder / "v.npy") == vector);

  const Status status = WriteNpy(Tensor::Zeros(DType::kBfloat16, {2}), folder / "y.npy");
  CHECK(status.kind() == ErrorKind::kUsage);
  CHECK(status.message().find("bfloat16") != std::string::npos);
  CHECK_FALSE(std::ifstream(folder / "y.npy").good());
}

namespace {

// np.savez_compressed(x=float32 [[0,1,2],[3,4,5]], y=int64 [1,-2]), NumPy 1.24.
const char* const kCompressed =
    "504b0304140000000800000021004fe9002a550000009800000005001400782e6e70790100100098000000000000"
    "0055000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9366a2aea3a09e965f54529498179f"
    "5f94920a12774bcc294e058a17672416a402f91a463a0ac69a3a0ab50a64032e063068b007120e4004c40d40bcc0"
    "0100504b0304140000000800000021009afbf5234b0000009000000005001400792e6e7079010010009000000000"
    "0000004b000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9369a1aea3a09e965f54529498"
    "179f5f94920a12774bcc294e058a17672416a402f91a463a9a3a0ab50a14002e460608f8f71f0200504b01021403"
    "140000000800000021004fe9002a5500000098000000050000000000000000000000800100000000782e6e707950"
    "4b01021403140000000800000021009afbf5234b0000009000000005000000000000000000000080018c00000079"
    "2e6e7079504b05060000000002000200660000000e0100000000";
// np.savez(a=uint8 [7])
const char* const kStored =
    "504b0304140000000000000021004e17c529810000008100000005001400612e6e70790100100081000000000000"
    "008100000000000000934e554d5059010076007b276465736372273a20277c7531272c2027666f727472616e5f6f"
    "72646572273a2046616c73652c20277368617065273a2028312c292c207d20202020202020202020202020202020"
    "20202020202020202020202020202020202020202020202020202020202020202020202020202020202020200a07"
    "504b01021403140000000000000021004e17c5298100000081000000050000000000000000000000800100000000"
    "612e6e7079504b0506000000000100010033000000b80000000000";

Result<NamedTensors> ParseZ(const std::string& zip) { return ParseNpz(zip.data(), zip.size()); }

const std::string& Array12() {
  static const std::string npy = Npy(Dict("<f4", "(2,)"), Raw<float>({1, 2}));
  return npy;
}

}  // namespace

TEST_CASE("npy: a file that grows by rows is the file written at once") {
  const TempFolder folder;
  const Tensor whole = Tensor::FromVector<float>({5, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  NpyRows rows(folder / "rows.npy", 5);
  REQUIRE(rows.Append(Tensor::FromVector<float>({2, 2}, {0, 1, 2, 3})).ok());
  CHECK_FALSE(FileExists(folder / "rows.npy"));
  CHECK(rows.Append(Tensor::FromVector<float>({1, 3}, {0, 1, 2})).kind() == ErrorKind::kData);
  CHECK(rows.Append(Tensor::FromVector<int64_t>({1, 2}, {0, 1})).kind() == ErrorKind::kData);
  CHECK(rows.Commit().kind() == ErrorKind::kData);  // rows are missing
  REQUIRE(rows.Append(Tensor::FromVector<float>({3, 2}, {4, 5, 6, 7, 8, 9})).ok());
  REQUIRE(rows.Commit().ok());
  REQUIRE(WriteNpy(whole, folder / "whole.npy").ok());
  CHECK(*ReadTextFile(folder / "rows.npy") == *ReadTextFile(folder / "whole.npy"));
  CHECK(*ReadNpy(folder / "rows.npy") == whole);
}

TEST_CASE("npz: what NumPy writes, stored and deflated") {
  const auto compressed = ParseZ(FromHex(kCompressed));
  REQUIRE(compressed.ok());
  REQUIRE(compressed->size() == 2);
  CHECK((*compressed)[0].first == "x");
  CHECK((*compressed)[0].second == Tensor::FromVector<float>({2, 3}, {0, 1, 2, 3, 4, 5}));
  CHECK((*compressed)[1].first == "y");
  CHECK((*compressed)[1].second == Tensor::FromVector<int64_t>({2}, {1, -2}));

  const TempFolder folder;
  const auto stored = ReadNpz(folder.Write("s.npz", FromHex(kStored)));
  REQUIRE(stored.ok());
  REQUIRE(stored->size() == 1);
  CHECK((*stored)[0].first == "a");
  CHECK((*stored)[0].second == Tensor::FromVector<uint8_t>({1}, {7}));
}

TEST_CASE("npz: zip64, other members, larger arrays") {
  std::vector<int32_t> values(50000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i * 2654435761u);
  const std::string big = Npy(Dict("<i4", "(50000,)"), Raw(values));
  for (bool zip64 : {false, true}) {
    const auto arrays = ParseZ(Zip({{"notes.txt", "hello", false, false},
                                    {"a.npy", big, true, zip64},
                                    {"b.npy", Array12(), false, zip64}},
                                   zip64));
    REQUIRE(arrays.ok());
    REQUIRE(arrays->size() == 2);
    CHECK((*arrays)[0].second == Tensor::FromVector<int32_t>({50000}, values));
    CHECK((*arrays)[1].second == Tensor::FromVector<float>({2}, {1, 2}));
  }
}

TEST_CASE("npz: damaged archives are data errors") {
  const auto check = [](const std::string& zip, const std::string& part) {
    const Status status = ParseZ(zip).status();
    INFO(status.message());
    CHECK(status.kind() == ErrorKind::kData);
    CHECK(status.message().find(part) != std::string::npos);
  };
  const std::string good = Zip({{"a.npy", Array12(), true, false}});
  REQUIRE(ParseZ(good).ok());
  check("", "too short");
  check(std::string(100, 'x'), "no zip directory");
  check(good.substr(0, good.size() - 1), "no zip directory");
  check(Zip({{"readme.txt", "x", false, false}}), "no arrays");
  check(Zip({{"a.npy", "junk", false, false}}), "array 'a': not a .npy");
  check(Zip({{"a.npy", Array12(), false, false}, {"a.npy", Array12(), false, false}}),
        "two arrays");
  // Byte positions: local header 30 bytes + 5 of name, then data; the directory follows.
  std::string broken = good;
  broken[40] ^= 0x55;
  CHECK_FALSE(ParseZ(broken).ok());
  const size_t directory = good.find("PK\1\2");
  const auto patched = [&](size_t offset, const std::string& bytes) {
    std::string zip = good;
    zip.replace(directory + offset, bytes.size(), bytes);
    return zip;
  };
  check(patched(16, Le(12345, 4)), "checksum");
  check(patched(8, Le(1, 2)), "encrypted");
  check(patched(10, Le(14, 2)), "method 14");
  check(patched(42, Le(1, 4)), "no local header");
  check(patched(42, Le(0x7fffffff, 4)), "no local header");
  check(patched(20, Le(0x7fffffff, 4)), "larger than the file");
  check(patched(24, Le(0x7fffffff, 4)), "larger than its data");
  std::string huge = Zip({{"a.npy", Array12(), true, true}});
  huge.replace(huge.find("PK\1\2") + 46 + 5 + 4, 8, Le(uint64_t{5} << 30, 8));
  check(huge, "more than 4 GiB");
  check(patched(24, Le(Array12().size() + 1, 4)), "ends early");
  check(patched(28, Le(60000, 2)), "broken zip directory");
  check(patched(0, "PK\1\3"), "broken zip directory");
}

TEST_CASE("npy, npz: every truncation and single-byte corruption gives an array or a data error") {
  const std::string npy = Npy(Dict(">i2", "(2, 3)", true), std::string(12, 'x'));
  const std::string deflated = Zip({{"a.npy", Array12(), true, true}}, true);
  int accepted = 0, refused = 0;
  const auto check = [&](const std::string& file) {
    const auto array = Parse(file);
    const auto arrays = ParseZ(file);
    bool sound = array.ok() || array.status().kind() == ErrorKind::kData;
    sound = sound && (arrays.ok() || arrays.status().kind() == ErrorKind::kData);
    if (array.ok()) sound = sound && static_cast<size_t>(array->byte_size()) <= file.size();
    if (!sound) FAIL("neither an array nor a data error");
    ++(array.ok() || arrays.ok() ? accepted : refused);
  };
  for (const std::string& good : {npy, deflated, FromHex(kCompressed), FromHex(kStored)}) {
    for (size_t size = 0; size < good.size(); ++size) check(good.substr(0, size));
    for (size_t at = 0; at < good.size(); ++at) {
      for (int value : {0x00, 0x01, 0x27, 0x7f, 0x80, 0xff}) {
        std::string bad = good;
        bad[at] = static_cast<char>(value);
        check(bad);
      }
    }
  }
  CHECK(accepted > 0);  // bytes that do not matter: time stamps, values
  CHECK(refused > accepted);
}

}  // namespace roundel::io
