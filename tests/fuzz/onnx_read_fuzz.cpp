// Bytes -> model -> bytes -> model: whatever is accepted must be written, and read back as the
// same.

#include <cstdint>
#include <string>

#include "lib/base/check.h"
#include "lib/graph/check.h"
#include "lib/io/onnx.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace roundel;
  auto model = io::ParseOnnx(data, size);  // checks the graph, too
  if (!model.ok()) {
    INVARIANT(model.status().kind() == ErrorKind::kModel, "kind of error");
    INVARIANT(model.status().message().find('\n') == std::string::npos, "one line");
    return 0;
  }
  INVARIANT(graph::CheckModel(&*model).ok(), "a checked model stays valid");
  const auto bytes = io::SerializeOnnx(*model);
  INVARIANT(bytes.ok(), "an accepted model can be written");
  const auto again = io::ParseOnnx(bytes->data(), bytes->size());
  INVARIANT(again.ok(), again.status().message());
  const auto same = io::SerializeOnnx(*again);
  INVARIANT(same.ok() && *same == *bytes, "reading and writing reaches a fixed point");
  const graph::Model copy = graph::Clone(*model);
  INVARIANT(*io::SerializeOnnx(copy) == *bytes, "a clone is the same model");
  return 0;
}
