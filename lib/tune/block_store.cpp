#include "lib/tune/block_store.h"

#include "lib/base/bytes.h"
#include "lib/base/text.h"
#include "lib/calibration/stored_statistics.h"
#include "lib/layers/session_hash.h"

namespace roundel::tune {

Result<BlockStore> BlockStore::Create(const Session& session, int64_t samples,
                                      const std::string& settings) {
  BlockStore made;
  made.store_ = session.store;
  if (!session.store) return made;
  made.run_.Add(calibration::ModelHash(session.model));
  made.run_.Add(session.data_hash);
  RETURN_IF_ERROR(layers::AddFirstBatch(session, &made.run_));
  made.run_.AddNumber(static_cast<uint64_t>(samples));
  made.run_.AddNumber(SeedOf(session));
  made.run_.Add(settings);
  for (const auto& [value, encoding] : session.encodings)
    layers::AddEncoding(session, value, &made.run_);
  return made;
}

std::string BlockStore::KeyOf(size_t index) const {
  Hasher key = run_;
  key.Add("block");
  key.AddNumber(index);
  return key.Hex() + ".block";
}

Status BlockStore::Write(size_t index, const Trained& trained) const {
  if (!store_) return OkStatus();
  ByteWriter out;
  out.Number<uint64_t>(trained.learned.size());
  for (const Tensor& tensor : trained.learned) {
    out.Array(tensor.shape());
    out.Raw(tensor.raw(), static_cast<size_t>(tensor.byte_size()));
  }
  out.Number(trained.loss_before);
  out.Number(trained.loss_after);
  out.Number(trained.iterations);
  out.Number(trained.best);
  out.Number(trained.diverged);
  return store_->Put(KeyOf(index), out.bytes());
}

Result<std::optional<Trained>> BlockStore::Read(size_t index,
                                                const std::vector<Learned>& learned) const {
  if (!Has(index)) return std::optional<Trained>();
  ASSIGN_OR_RETURN(const std::optional<std::string> bytes, store_->Get(KeyOf(index)));
  const Status damaged =
      InternalError(StrCat("'", KeyOf(index), "' in the store '", store_->folder(),
                           "' is not what this version writes: delete it"));
  if (!bytes) return damaged;
  ByteReader in(*bytes);
  Trained trained;
  if (in.Number<uint64_t>() != learned.size()) return damaged;
  for (const Learned& one : learned) {
    if (in.Array<int64_t>() != one.start.shape()) return damaged;
    Tensor tensor = Tensor::Empty(DType::kFloat, one.start.shape());
    in.Raw(tensor.mutable_raw(), static_cast<size_t>(tensor.byte_size()));
    trained.learned.push_back(std::move(tensor));
  }
  trained.loss_before = in.Number<double>();
  trained.loss_after = in.Number<double>();
  trained.iterations = in.Number<int64_t>();
  trained.best = in.Number<int64_t>();
  trained.diverged = in.Number<bool>();
  if (!in.Complete()) return damaged;
  return std::optional(std::move(trained));
}

}  // namespace roundel::tune
