#pragma GCC optimize("O3")

#include "lib/walk/value_store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>

#include "lib/base/text.h"
#include "lib/base/vectorize.h"
#include "lib/tensor/half.h"

namespace roundel::walk {
namespace {

constexpr float kMinMagnitude = 0.01f;

// NaN is treated as infinity.
ROUNDEL_VECTORIZE float LargestMagnitude(const float* x, int64_t n) {
  uint32_t largest = 0;  // the bits of magnitudes have the same order as the magnitudes
  for (int64_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    largest = std::max(largest, bits & 0x7fffffffu);
  }
  float magnitude;
  std::memcpy(&magnitude, &largest, sizeof magnitude);
  return magnitude <= std::numeric_limits<float>::max() ? magnitude : HUGE_VALF;
}

bool CanHalve(const Tensor& value) {
  if (value.dtype() != DType::kFloat) return false;
  const float largest = LargestMagnitude(value.data<float>(), value.size());
  return largest == 0 || (largest >= kMinMagnitude && largest <= kLargestHalf);
}

}  // namespace

StoredValue::~StoredValue() { store_->Forget(*this); }

Status StoredValue::ReadFile(int64_t begin, int64_t bytes, void* to) const {
  for (int64_t done = 0; done < bytes;) {
    const ssize_t got =
        ::pread(store_->fd_, static_cast<char*>(to) + done, static_cast<size_t>(bytes - done),
                static_cast<off_t>(offset_ + begin + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return InternalError("the temporary file of activations cannot be read back");
    done += got;
  }
  return OkStatus();
}

Result<Tensor> StoredValue::Load() const {
  Tensor held = value_;
  if (!held.defined()) {
    held = Tensor::Empty(held_, shape_);
    RETURN_IF_ERROR(ReadFile(0, bytes_, held.mutable_raw()));
  }
  return held_ == type_ ? held : held.ToFloat();
}

Result<Tensor> StoredValue::LoadRows(int64_t begin, int64_t end) const {
  INVARIANT(!shape_.empty() && 0 <= begin && begin <= end && end <= shape_[0], "rows of a value");
  Shape shape = shape_;
  shape[0] = end - begin;
  Tensor held = Tensor::Empty(held_, shape);
  const int64_t row = shape_[0] == 0 ? 0 : bytes_ / shape_[0];
  if (value_.defined())
    std::memcpy(held.mutable_raw(), static_cast<const char*>(value_.raw()) + begin * row,
                static_cast<size_t>((end - begin) * row));
  else
    RETURN_IF_ERROR(ReadFile(begin * row, (end - begin) * row, held.mutable_raw()));
  return held_ == type_ ? held : held.ToFloat();
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
  stored->value_ = half ? value.FromFloatTo(DType::kFloat16) : value;
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
  const std::string folder = !folder_.empty()              ? folder_
                             : environment && *environment ? environment
                                                           : "/tmp";
  std::string path = folder + "/roundel-XXXXXX";
  fd_ = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd_ < 0)
    return InternalError(StrCat("cannot make a temporary file in '", folder, "' for activations: ",
                                std::strerror(errno), "; set TMPDIR or give more memory"));
  ::unlink(path.c_str());  // deleted with the last descriptor, however the process ends
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
      return InternalError(
          StrCat("the temporary file of activations cannot grow beyond ",
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
    // The file keeps its length; the disk space of the blocks is freed.
    ::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(value.offset_),
                static_cast<off_t>(value.bytes_));
  }
}

}  // namespace roundel::walk
