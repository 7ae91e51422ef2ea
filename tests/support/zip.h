#pragma once
// Zip archives that tests make, with or without zip64 fields.

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

namespace roundel::support {

// `width` bytes, little endian.
inline std::string Le(uint64_t value, int width) {
  std::string out;
  for (int i = 0; i < width; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

inline std::string Deflate(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct ZipMember {
  std::string name, contents;
  bool deflate = false, zip64 = false;
};

inline std::string Zip(const std::vector<ZipMember>& members, bool zip64_end = false) {
  std::string out, directory;
  for (const ZipMember& member : members) {
    const std::string data = member.deflate ? Deflate(member.contents) : member.contents;
    const auto crc = crc32(0, reinterpret_cast<const Bytef*>(member.contents.data()),
                           static_cast<uInt>(member.contents.size()));
    const std::string offset = Le(out.size(), 4);
    const std::string common =
        Le(20, 2) + Le(0, 2) + Le(member.deflate ? 8 : 0, 2) + Le(0, 4) + Le(crc, 4);
    const std::string sizes = member.zip64 ? Le(0xffffffff, 4) + Le(0xffffffff, 4)
                                           : Le(data.size(), 4) + Le(member.contents.size(), 4);
    const std::string extra =
        member.zip64 ? Le(1, 2) + Le(16, 2) + Le(member.contents.size(), 8) + Le(data.size(), 8)
                     : "";
    out += "PK\3\4" + common + sizes + Le(member.name.size(), 2) + Le(extra.size(), 2) +
           member.name + extra + data;
    directory += "PK\1\2" + Le(20, 2) + common + sizes + Le(member.name.size(), 2) +
                 Le(extra.size(), 2) + Le(0, 2) + Le(0, 2) + Le(0, 2) + Le(0, 4) + offset +
                 member.name + extra;
  }
  const uint64_t start = out.size();
  out += directory;
  if (zip64_end) {
    const uint64_t end64 = out.size();
    out += "PK\6\6" + Le(44, 8) + Le(45, 2) + Le(45, 2) + Le(0, 4) + Le(0, 4) +
           Le(members.size(), 8) + Le(members.size(), 8) + Le(directory.size(), 8) + Le(start, 8);
    out += "PK\6\7" + Le(0, 4) + Le(end64, 8) + Le(1, 4);
  }
  const uint64_t count = zip64_end ? 0xffff : members.size();
  return out + "PK\5\6" + Le(0, 2) + Le(0, 2) + Le(count, 2) + Le(count, 2) +
         Le(zip64_end ? 0xffffffff : directory.size(), 4) + Le(zip64_end ? 0xffffffff : start, 4) +
         Le(0, 2);
}

}  // namespace roundel::support
