// Bytes -> model -> bytes -> model: whatever is accepted must be written, and read back as the
// same. From a file, whose weights are mapped, comes the same model as from memory.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "lib/base/check.h"
#include "lib/graph/check.h"
#include "lib/io/onnx.h"

// Everything is cut out of the file that can be. The model's serialized bytes, or the error.
static std::string ReadMapped(const uint8_t* data, size_t size, bool* ok) {
  using namespace roundel;
  const int memory = memfd_create("model", 0);
  INVARIANT(memory >= 0 && write(memory, data, size) == static_cast<ssize_t>(size), "no memory");
  const auto file = MappedFile::Open("/proc/self/fd/" + std::to_string(memory));
  close(memory);
  INVARIANT(file.ok(), file.status().message());
  const auto model = io::ParseMappedOnnx(*file, "", 1);
  *ok = model.ok();
  return model.ok() ? io::SerializeOnnx(*model).value() : model.status().message();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace roundel;
  auto model = io::ParseOnnx(data, size);  // checks the graph, too
  bool mapped_ok = false;
  const std::string mapped = ReadMapped(data, size, &mapped_ok);
  INVARIANT(mapped_ok == model.ok(), "file and memory are accepted alike");
  if (!model.ok()) {
    INVARIANT(model.status().kind() == ErrorKind::kModel, "kind of error");
    INVARIANT(model.status().message().find('\n') == std::string::npos, "one line");
    INVARIANT(mapped == model.status().message(), "the same error from file and memory");
    return 0;
  }
  INVARIANT(graph::CheckModel(&*model).ok(), "a checked model stays valid");
  const auto bytes = io::SerializeOnnx(*model);
  INVARIANT(bytes.ok(), "an accepted model can be written");
  INVARIANT(mapped == *bytes, "the same model from file and memory");
  const auto again = io::ParseOnnx(bytes->data(), bytes->size());
  INVARIANT(again.ok(), again.status().message());
  const auto same = io::SerializeOnnx(*again);
  INVARIANT(same.ok() && *same == *bytes, "reading and writing reaches a fixed point");
  const graph::Model copy = graph::Clone(*model);
  INVARIANT(*io::SerializeOnnx(copy) == *bytes, "a clone is the same model");
  return 0;
}
