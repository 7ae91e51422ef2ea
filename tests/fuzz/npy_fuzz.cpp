// .npy and .npz from hostile bytes: no crash, no hang, no memory beyond what the input can justify;
// and what is accepted has exactly the bytes that its shape says.

#include <cstdint>
#include <cstdlib>

#include "lib/io/npy.h"

namespace {

// Reads every byte, so that a view outside of its storage is seen by the sanitizer.
void Touch(const roundel::Tensor& tensor) {
  const auto* bytes = static_cast<const unsigned char*>(tensor.raw());
  volatile unsigned char sum = 0;
  for (int64_t i = 0; i < tensor.byte_size(); ++i) sum = static_cast<unsigned char>(sum + bytes[i]);
}

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tensor = roundel::io::ParseNpy(data, size);
  if (tensor.ok()) {
    Require(static_cast<uint64_t>(tensor->byte_size()) <= size);
    Touch(*tensor);
  } else {
    Require(tensor.status().kind() == roundel::ErrorKind::kData);
  }
  const auto arrays = roundel::io::ParseNpz(data, size);
  if (!arrays.ok()) {
    Require(arrays.status().kind() == roundel::ErrorKind::kData);
    return 0;
  }
  for (const auto& [name, array] : *arrays) Touch(array);
  return 0;
}
