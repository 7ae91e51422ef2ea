#include "lib/tensor/safetensors.h"

#include <cstring>

#include "lib/base/text.h"

namespace roundel {
namespace {

// A JSON string; bytes of UTF-8 stay as they are.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      quoted += StrFormat("\\u%04x", static_cast<unsigned>(c));
    else
      quoted += c;
  }
  return quoted + '"';
}

}  // namespace

std::string SafetensorsText(const std::map<std::string, Tensor>& tensors) {
  std::string header = "{", data;
  for (const auto& [name, tensor] : tensors) {
    INVARIANT(tensor.dtype() == DType::kFloat, "float32 tensors");
    std::string sizes;
    for (const int64_t size : tensor.shape()) sizes += StrCat(sizes.empty() ? "" : ",", size);
    const size_t begin = data.size();
    data.append(static_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.byte_size()));
    header += StrCat(header.size() > 1 ? "," : "", Quoted(name), ":{\"dtype\":\"F32\",\"shape\":[",
                     sizes, "],\"data_offsets\":[", begin, ",", data.size(), "]}");
  }
  header += '}';
  header.append((8 - header.size() % 8) % 8, ' ');  // aligns the elements
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
  return length + header + data;
}

}  // namespace roundel
