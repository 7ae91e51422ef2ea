#pragma once
// Stored results of each block (--resume). The key of a block is the hash of the model, the data, the
// settings and encodings before the pass, and its place: the results of earlier blocks follow from
// these.

#include <optional>
#include <string>

#include "lib/base/hash.h"
#include "lib/session/session.h"
#include "lib/tune/block_trainer.h"

namespace roundel::tune {

class BlockStore {
 public:
  // session.store: nullptr to store nothing. `settings`: the pass and its parameters. Errors: kData
  // if the first batch of the data cannot be read.
  static Result<BlockStore> Create(const Session& session, int64_t samples,
                                   const std::string& settings);

  // nullopt if block `index` is not stored. `learned`: the tensors that it must have. Errors:
  // kInternal if what is stored is damaged.
  Result<std::optional<Trained>> Read(size_t index, const std::vector<Learned>& learned) const;
  Status Write(size_t index, const Trained& trained) const;
  bool Has(size_t index) const { return store_ && store_->Has(KeyOf(index)); }

 private:
  std::string KeyOf(size_t index) const;

  const Store* store_ = nullptr;
  Hasher run_;
};

}  // namespace roundel::tune
