#include "lib/batch/model_weights.h"

#include <algorithm>

namespace roundel::batch {
namespace {

constexpr std::string_view kKey = "\x0a\x08location";  // field 1, 8 bytes
constexpr char kValueTag = 0x12;                       // field 2, bytes
constexpr size_t kLongestName = 4096;
constexpr size_t kLongestEntry = kKey.size() + 1 + 2 + kLongestName;

}  // namespace

void WeightScan::Add(std::string_view piece) {
  std::string text = std::move(rest_);
  text.append(piece);
  for (size_t at = 0; (at = text.find(kKey, at)) != std::string::npos; at += kKey.size()) {
    size_t next = at + kKey.size();
    if (next >= text.size() || text[next] != kValueTag) {
      // At the end of a piece the rest is still to come; at that of the file nothing follows.
      if (next < text.size()) unclear_ = true;
      continue;
    }
    // A number of one or two bytes, seven bits each.
    size_t length = 0;
    int shift = 0;
    for (++next; next < text.size() && shift < 14; ++next, shift += 7) {
      const auto byte = static_cast<unsigned char>(text[next]);
      length |= static_cast<size_t>(byte & 0x7fu) << shift;
      if (byte < 0x80) break;
    }
    ++next;
    if (length == 0 || length > kLongestName || next + length > text.size()) continue;
    const std::string name = text.substr(next, length);
    if (name.find('\0') == std::string::npos) found_.insert(name);
  }
  rest_ = text.substr(text.size() - std::min(text.size(), kLongestEntry));
}

}  // namespace roundel::batch
