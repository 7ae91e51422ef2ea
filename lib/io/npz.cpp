// .npz: a zip archive of .npy members, as numpy.savez (stored) and savez_compressed (deflate) write
// it. Zip layout after PKWARE's APPNOTE 6.3.10; no recovery of damaged archives, no encryption.

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <set>

#include "lib/base/input_file.h"
#include "lib/base/text.h"
#include "lib/io/npy.h"
#include "lib/io/npy_header.h"

namespace roundel::io {
namespace {

using Bytes = std::span<const std::byte>;

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr uint64_t kUnset32 = 0xffffffff;  // "look in the zip64 field"
constexpr uint64_t kMaxMembers = 10000;
// Deflated arrays are held in memory. The maximum ratio of deflate is 1032:1 (zlib's technical
// notes), so that a small file cannot request much.
constexpr uint64_t kMaxInflated = uint64_t{4} << 30;
constexpr uint64_t kMaxDeflateRatio = 1032;

// Little-endian number of `width` bytes; the caller has checked the range.
uint64_t Number(Bytes bytes, size_t offset, size_t width) {
  uint64_t value = 0;
  for (size_t i = 0; i < width; ++i) value |= static_cast<uint64_t>(bytes[offset + i]) << (8 * i);
  return value;
}

bool Fits(Bytes bytes, uint64_t offset, uint64_t size) {
  return offset <= bytes.size() && size <= bytes.size() - offset;
}

struct Directory {
  uint64_t offset = 0, size = 0, members = 0;
};

struct Member {
  std::string name;
  uint64_t method = 0, flags = 0, crc = 0;
  uint64_t stored_size = 0, size = 0, header_offset = 0;
};

// The end-of-directory record is 22 bytes plus a comment of up to 65535, at the very end.
Result<uint64_t> FindEnd(Bytes zip) {
  if (zip.size() < 22) return DataError("not a .npz file (too short for a zip archive)");
  const uint64_t last = zip.size() - 22;
  const uint64_t first = last > 65535 ? last - 65535 : 0;
  for (uint64_t at = last + 1; at-- > first;)
    if (Number(zip, at, 4) == kEndSignature && Number(zip, at + 20, 2) == last - at) return at;
  return DataError("not a .npz file, or truncated (no zip directory at its end)");
}

Result<Directory> FindDirectory(Bytes zip) {
  ASSIGN_OR_RETURN(const uint64_t end, FindEnd(zip));
  Directory directory{Number(zip, end + 16, 4), Number(zip, end + 12, 4), Number(zip, end + 10, 2)};
  const bool needs64 =
      directory.offset == kUnset32 || directory.size == kUnset32 || directory.members == 0xffff;
  if (needs64 && end >= 20 && Number(zip, end - 20, 4) == kLocator64Signature) {
    const uint64_t end64 = Number(zip, end - 12, 8);
    if (!Fits(zip, end64, 56) || Number(zip, end64, 4) != kEnd64Signature)
      return DataError("damaged .npz: its zip64 directory is outside of the file");
    directory = {Number(zip, end64 + 48, 8), Number(zip, end64 + 40, 8),
                 Number(zip, end64 + 32, 8)};
  }
  if (!Fits(zip, directory.offset, directory.size))
    return DataError("damaged .npz: its directory is outside of the file");
  if (directory.members > kMaxMembers)
    return DataError(
        StrCat(".npz with ", directory.members, " members; at most ", kMaxMembers, " are read"));
  return directory;
}

// The zip64 extra field (id 1) holds, in this order, those of the three that did not fit 32 bits.
Status ReadZip64Field(Bytes extra, Member* member) {
  for (size_t at = 0; at + 4 <= extra.size();) {
    const uint64_t id = Number(extra, at, 2), size = Number(extra, at + 2, 2);
    if (size > extra.size() - at - 4) break;
    Bytes field = extra.subspan(at + 4, size);
    at += 4 + size;
    if (id != 1) continue;
    for (uint64_t* value : {&member->size, &member->stored_size, &member->header_offset}) {
      if (*value != kUnset32) continue;
      if (field.size() < 8) return DataError("damaged .npz: short zip64 field");
      *value = Number(field, 0, 8);
      field = field.subspan(8);
    }
    return OkStatus();
  }
  return OkStatus();
}

Result<std::vector<Member>> ReadDirectory(Bytes zip) {
  ASSIGN_OR_RETURN(const Directory directory, FindDirectory(zip));
  Bytes records = zip.subspan(directory.offset, directory.size);
  std::vector<Member> members;
  for (uint64_t i = 0; i < directory.members; ++i) {
    if (records.size() < 46 || Number(records, 0, 4) != kCentralSignature)
      return DataError("damaged .npz: broken zip directory");
    Member member;
    member.flags = Number(records, 8, 2);
    member.method = Number(records, 10, 2);
    member.crc = Number(records, 16, 4);
    member.stored_size = Number(records, 20, 4);
    member.size = Number(records, 24, 4);
    member.header_offset = Number(records, 42, 4);
    const uint64_t name = Number(records, 28, 2), extra = Number(records, 30, 2);
    const uint64_t comment = Number(records, 32, 2);
    if (!Fits(records, 46, name + extra + comment))
      return DataError("damaged .npz: broken zip directory");
    member.name.assign(reinterpret_cast<const char*>(records.data()) + 46, name);
    RETURN_IF_ERROR(ReadZip64Field(records.subspan(46 + name, extra), &member));
    records = records.subspan(46 + name + extra + comment);
    members.push_back(std::move(member));
  }
  return members;
}

// The start of the member's stored bytes: after the local header, which may have a longer name and
// extra field than the directory.
Result<uint64_t> DataOffset(Bytes zip, const Member& member) {
  if (!Fits(zip, member.header_offset, 30) ||
      Number(zip, member.header_offset, 4) != kLocalSignature)
    return DataError("damaged .npz: no local header where the directory says");
  const uint64_t offset = member.header_offset + 30 + Number(zip, member.header_offset + 26, 2) +
                          Number(zip, member.header_offset + 28, 2);
  if (!Fits(zip, offset, member.stored_size))
    return DataError("truncated .npz: the member goes past the end of the file");
  return offset;
}

// Inflates one member piece by piece.
class Inflater {
 public:
  explicit Inflater(Bytes from) : from_(from) {
    INVARIANT(inflateInit2(&stream_, -MAX_WBITS) == Z_OK, "zlib does not start");  // raw deflate
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Exactly `size` more bytes.
  Status Read(std::byte* to, uint64_t size) {
    while (size > 0) {
      Refill();
      const auto step = static_cast<uInt>(std::min<uint64_t>(size, kStep));
      stream_.next_out = reinterpret_cast<Bytef*>(to);
      stream_.avail_out = step;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      const uInt made = step - stream_.avail_out;
      const bool ended = code == Z_STREAM_END && made < size;
      const bool starved = made == 0 && stream_.avail_in == 0 && from_.empty();
      if ((code != Z_OK && code != Z_STREAM_END) || ended || starved)
        return DataError("damaged .npz: deflated data is broken or ends early");
      crc_ = crc32(crc_, reinterpret_cast<const Bytef*>(to), made);
      to += made;
      size -= made;
    }
    return OkStatus();
  }
  uint64_t crc() const { return crc_; }

 private:
  static constexpr uint64_t kStep = 1 << 30;  // zlib counts in 32 bits
  void Refill() {
    if (stream_.avail_in > 0) return;
    const size_t step = std::min<size_t>(from_.size(), kStep);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(from_.data()));
    stream_.avail_in = static_cast<uInt>(step);
    from_ = from_.subspan(step);
  }

  Bytes from_;
  z_stream stream_{};
  uLong crc_ = 0;
};

Result<Tensor> InflateMember(Bytes from, const Member& member) {
  if (member.size / kMaxDeflateRatio > member.stored_size)
    return DataError("damaged .npz: a member claims to be larger than its data can hold");
  Inflater inflater(from);
  std::vector<std::byte> start(std::min<uint64_t>(member.size, kMaxNpyHeaderBytes));
  RETURN_IF_ERROR(inflater.Read(start.data(), start.size()));
  ASSIGN_OR_RETURN(const NpyHeader header, ParseNpyHeader(start, member.size));
  Tensor stored = Tensor::Empty(header.dtype, header.shape);
  auto* to = static_cast<std::byte*>(stored.mutable_raw());
  const size_t known = start.size() - header.data_offset;
  if (known > 0) std::memcpy(to, start.data() + header.data_offset, known);
  RETURN_IF_ERROR(inflater.Read(to + known, member.size - start.size()));
  if (inflater.crc() != member.crc) return DataError("damaged .npz: wrong checksum");
  return FinishNpy(header, std::move(stored));
}

Result<Tensor> ReadMember(Bytes zip, const std::shared_ptr<const MappedFile>& file,
                          const Member& member) {
  if ((member.flags & 1) != 0) return DataError("encrypted .npz members are not supported");
  ASSIGN_OR_RETURN(const uint64_t offset, DataOffset(zip, member));
  const Bytes stored = zip.subspan(offset, member.stored_size);
  if (member.method == Z_DEFLATED) return InflateMember(stored, member);
  if (member.method != 0)
    return DataError(StrCat("zip compression method ", member.method,
                            " is not supported; save with numpy.savez or savez_compressed"));
  if (member.size != member.stored_size)
    return DataError("damaged .npz: a stored member has two sizes");
  if (file == nullptr) return ParseNpy(stored.data(), stored.size());
  ASSIGN_OR_RETURN(const NpyHeader header, ParseNpyHeader(stored, stored.size()));
  return FinishNpy(header, Tensor::Mapped(header.dtype, header.shape, file,
                                          static_cast<int64_t>(offset + header.data_offset)));
}

// `file` is null if the archive is in memory.
Result<NamedTensors> ReadMembers(Bytes zip, const std::shared_ptr<const MappedFile>& file) {
  ASSIGN_OR_RETURN(const std::vector<Member> members, ReadDirectory(zip));
  NamedTensors arrays;
  std::set<std::string> names;
  uint64_t stored = 0, inflated = 0;  // overlapping members would multiply the file's size
  for (const Member& member : members) {
    if (!member.name.ends_with(".npy")) continue;
    const std::string name = member.name.substr(0, member.name.size() - 4);
    if (!names.insert(name).second) return DataError(StrCat("two arrays '", name, "' in the .npz"));
    if (__builtin_add_overflow(stored, member.stored_size, &stored) || stored > zip.size())
      return DataError("damaged .npz: its members are larger than the file");
    if (member.method != 0 &&
        (__builtin_add_overflow(inflated, member.size, &inflated) || inflated > kMaxInflated))
      return DataError(
          "the .npz inflates to more than 4 GiB; store it with numpy.savez or as .npy");
    Result<Tensor> tensor = ReadMember(zip, file, member);
    if (!tensor.ok()) return std::move(tensor).status().At(StrCat("array '", name, "'"));
    arrays.emplace_back(name, std::move(tensor).value());
  }
  if (arrays.empty()) return DataError("the .npz holds no arrays");
  return arrays;
}

}  // namespace

Result<NamedTensors> ReadNpz(const std::string& path) {
  ASSIGN_OR_RETURN(auto file, OpenInput(path, ErrorKind::kData));
  Result<NamedTensors> arrays = ReadMembers(file->bytes(), file);
  if (!arrays.ok()) return std::move(arrays).status().At(path);
  return arrays;
}

Result<NamedTensors> ParseNpz(const void* data, size_t bytes) {
  return ReadMembers({static_cast<const std::byte*>(data), bytes}, nullptr);
}

}  // namespace roundel::io
