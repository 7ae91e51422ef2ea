#pragma once
// Numbers, texts and arrays to and from a string of bytes, in the byte order of the machine. The
// reader checks every length: a value that does not fit sets `broken_` and reads as zero.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace roundel {

class ByteWriter {
 public:
  template <typename T>
  void Number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    Raw(&value, sizeof value);
  }
  template <typename T>
  void Array(const std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    Number<uint64_t>(values.size());
    Raw(values.data(), values.size() * sizeof(T));
  }
  void Text(std::string_view text) {
    Number<uint64_t>(text.size());
    Raw(text.data(), text.size());
  }
  void Raw(const void* data, size_t bytes) { bytes_.append(static_cast<const char*>(data), bytes); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class ByteReader {
 public:
  // `bytes` must outlive the reader.
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  T Number() {
    static_assert(std::is_arithmetic_v<T>);
    T value{};
    Raw(&value, sizeof value);
    return value;
  }
  template <typename T>
  std::vector<T> Array() {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto size = Number<uint64_t>();
    if (size > rest_.size() / sizeof(T)) broken_ = true;
    std::vector<T> values(broken_ ? 0 : size);
    Raw(values.data(), values.size() * sizeof(T));
    return values;
  }
  std::string Text() {
    const std::vector<char> text = Array<char>();
    return {text.begin(), text.end()};
  }
  void Raw(void* data, size_t bytes) {
    if (bytes > rest_.size()) broken_ = true;
    if (broken_) {
      if (bytes > 0) std::memset(data, 0, bytes);
      return;
    }
    if (bytes > 0) std::memcpy(data, rest_.data(), bytes);
    rest_.remove_prefix(bytes);
  }
  // True if all bytes were consumed and no read failed.
  bool Complete() const { return !broken_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool broken_ = false;
};

}  // namespace roundel
