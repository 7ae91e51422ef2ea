#include "lib/layers/session_hash.h"

#include <optional>

namespace roundel::layers {

void AddEncoding(const Session& session, const std::string& value, Hasher* hasher) {
  hasher->Add(value);
  const auto found = session.encodings.find(value);
  if (found == session.encodings.end()) return hasher->AddNumber(0);
  const quant::Encoding& e = found->second;
  hasher->Add(e.grid.Name());
  hasher->AddNumber(static_cast<uint64_t>(e.granularity));
  hasher->AddNumber(static_cast<uint64_t>(e.axis));
  hasher->AddNumber(static_cast<uint64_t>(e.block_size));
  for (const quant::QParams& p : e.params) {
    hasher->Add(&p.scale, sizeof p.scale);
    hasher->AddNumber(static_cast<uint64_t>(p.zero_point));
  }
  if (e.codes) hasher->Add(e.codes->raw(), static_cast<size_t>(e.codes->byte_size()));
}

Status AddFirstBatch(const Session& session, Hasher* hasher) {
  RETURN_IF_ERROR(session.data->Rewind());
  ASSIGN_OR_RETURN(const std::optional<Batch> batch, session.data->Next());
  if (!batch) return OkStatus();
  for (const Tensor& input : batch->inputs)
    hasher->Add(input.raw(), static_cast<size_t>(input.byte_size()));
  return OkStatus();
}

}  // namespace roundel::layers
