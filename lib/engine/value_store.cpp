#pragma GCC optimize("O3")

#include "lib/engine/value_store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "lib/base/text.h"
#include "lib/engine/fast/vectorize.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace roundel::engine {
namespace {

constexpr float kLeastMagnitude = 0.01f, kLargestHalf = 65504.0f;

// NaN counts as infinity.
ROUNDEL_VECTORIZE float LargestMagnitude(const float* x, int64_t n) {
  uint32_t largest = 0;  // magnitudes are ordered like their bits
  for (int64_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    largest = std::max(largest, bits & 0x7fffffffu);
  }
  float magnitude;
  std::memcpy(&magnitude, &largest, sizeof magnitude);
  return magnitude <= std::numeric_limits<float>::max() ? magnitude : HUGE_VALF;
}

void HalveSlowly(const float* from, int64_t n, uint16_t* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = FloatToHalf(from[i]);
}
void DoubleSlowly(const uint16_t* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = HalfToFloat(from[i]);
}

#if defined(__x86_64__)
__attribute__((target("avx2,f16c"))) void HalveEights(const float* from, int64_t n, uint16_t* to) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
  HalveSlowly(from + i, n - i, to + i);
}
__attribute__((target("avx2,f16c"))) void DoubleEights(const uint16_t* from, int64_t n, float* to) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(
                                 reinterpret_cast<const __m128i*>(from + i))));
  DoubleSlowly(from + i, n - i, to + i);
}
bool HasF16c() {
  static const bool has = __builtin_cpu_supports("f16c") && __builtin_cpu_supports("avx2");
  return has;
}
#endif

Tensor Halved(const Tensor& value) {
  Tensor half = Tensor::Empty(DType::kFloat16, value.shape());
  const auto* from = value.data<float>();
  auto* to = static_cast<uint16_t*>(half.mutable_raw());
#if defined(__x86_64__)
  if (HasF16c()) {
    HalveEights(from, value.size(), to);
    return half;
  }
#endif
  HalveSlowly(from, value.size(), to);
  return half;
}

Tensor Doubled(const Tensor& half) {
  Tensor value = Tensor::Empty(DType::kFloat, half.shape());
  const auto* from = static_cast<const uint16_t*>(half.raw());
  auto* to = value.mutable_data<float>();
#if defined(__x86_64__)
  if (HasF16c()) {
    DoubleEights(from, value.size(), to);
    return value;
  }
#endif
  DoubleSlowly(from, value.size(), to);
  return value;
}

bool CanHalve(const Tensor& value) {
  if (value.dtype() != DType::kFloat) return false;
  const float largest = LargestMagnitude(value.data<float>(), value.size());
  return largest == 0 || (largest >= kLeastMagnitude && largest <= kLargestHalf);
}

}  // namespace

StoredValue::~StoredValue() { store_->Forget(*this); }

Result<Tensor> StoredValue::Load() const {
  Tensor held = value_;
  if (!held.defined()) {
    held = Tensor::Empty(held_, shape_);
    char* to = static_cast<char*>(held.mutable_raw());
    for (int64_t done = 0; done < bytes_;) {
      const ssize_t got = ::pread(store_->fd_, to + done, static_cast<size_t>(bytes_ - done),
                                  static_cast<off_t>(offset_ + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return InternalError("the temporary file of activations cannot be read back");
      done += got;
    }
  }
  return held_ == type_ ? held : Doubled(held);
}

ValueStore::ValueStore(int64_t memory_bytes, std::string folder)
    : budget_(memory_bytes), folder_(std::move(folder)) {}

ValueStore::~ValueStore() {
  if (fd_ >= 0) ::close(fd_);
}

Result<StoredValuePtr> ValueStore::Put(const Tensor& value, bool halve) {
  std::shared_ptr<StoredValue> stored(new StoredValue(this));
  stored->type_ = value.dtype();
  stored->shape_ = value.shape();
  if (value.dtype() == DType::kString) {
    stored->held_ = value.dtype();
    stored->value_ = value;
    return StoredValuePtr(stored);
  }
  const bool half = halve && CanHalve(value);
  stored->held_ = half ? DType::kFloat16 : value.dtype();
  stored->bytes_ = ByteSize(stored->held_, value.size());
  stored->value_ = half ? Halved(value) : value;
  if (used_.fetch_add(stored->bytes_) + stored->bytes_ <= budget_) return StoredValuePtr(stored);
  used_ -= stored->bytes_;
  const Status status = Spill(stored.get());
  if (!status.ok()) {
    stored->bytes_ = 0;
    return status;
  }
  return StoredValuePtr(stored);
}

Status ValueStore::OpenFile() {
  if (fd_ >= 0) return OkStatus();
  const char* environment = std::getenv("TMPDIR");
  const std::string folder =
      !folder_.empty() ? folder_ : environment && *environment ? environment : "/tmp";
  std::string path = folder + "/roundel-XXXXXX";
  fd_ = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd_ < 0)
    return InternalError(StrCat("cannot make a temporary file in '", folder, "' for activations: ",
                                std::strerror(errno), "; set TMPDIR or give more memory"));
  ::unlink(path.c_str());  // gone with the last descriptor, however the process ends
  return OkStatus();
}

Status ValueStore::Spill(StoredValue* value) {
  {
    const std::scoped_lock lock(mutex_);
    RETURN_IF_ERROR(OpenFile());
    value->offset_ = end_;
    end_ += (value->bytes_ + 4095) / 4096 * 4096;
  }
  const char* from = static_cast<const char*>(value->value_.raw());
  for (int64_t done = 0; done < value->bytes_;) {
    const ssize_t put = ::pwrite(fd_, from + done, static_cast<size_t>(value->bytes_ - done),
                                 static_cast<off_t>(value->offset_ + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0)
      return InternalError(StrCat("the temporary file of activations cannot grow beyond ",
                                  HumanBytes(value->offset_ + done), ": ", std::strerror(errno),
                                  "; set TMPDIR to a larger disk, give more memory, or fewer samples"));
    done += put;
  }
  spilled_ += value->bytes_;
  value->value_ = Tensor();
  return OkStatus();
}

void ValueStore::Forget(const StoredValue& value) {
  if (value.value_.defined()) {
    if (value.held_ != DType::kString) used_ -= value.bytes_;
  } else if (value.offset_ >= 0 && value.bytes_ > 0) {
    // The file keeps its length; its blocks go back to the disk.
    ::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(value.offset_),
                static_cast<off_t>(value.bytes_));
  }
}

}  // namespace roundel::engine
