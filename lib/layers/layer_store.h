#pragma once
// Stored results of each layer (--resume): the sums over its inputs and its solution. The key is
// the hash of all that they depend on: model, data, settings of the sums, and, if inputs come from
// quantized layers, their encodings and the settings of the pass.

#include <optional>
#include <string>

#include "lib/base/hash.h"
#include "lib/base/store.h"
#include "lib/layers/solve_layer.h"

namespace roundel::layers {

class LayerStore {
 public:
  // `store`: nullptr to store nothing. `settings`: the pass and its parameters. Errors: kData if
  // the first batch of the data cannot be read.
  static Result<LayerStore> Create(const Session& session, const Store* store,
                                   const StatisticsOptions& statistics, int64_t samples,
                                   const std::string& settings);

  struct Keys {
    std::string statistics, solution;  // "": not stored
  };
  // What all sums follow from, as hashes: equal if parts of one run belong together.
  struct Origin {
    std::string model, data, settings;
    std::string all() const;  // identifies the three
  };
  const Origin& origin() const { return origin_; }

  // The keys of the next layer of the walk; its weight, input and bias have these encodings.
  Keys NextLayer(const Session& session, const UnfoldedLayer& layer);

  bool Has(const std::string& key) const { return store_ && store_->Has(key); }
  Result<LayerStatistics> ReadStatistics(const std::string& key) const;
  Status Write(const std::string& key, const LayerStatistics& statistics) const;
  Result<SolvedLayer> ReadSolved(const std::string& key) const;
  Status Write(const std::string& key, const SolvedLayer& solved) const;

 private:
  Result<std::string> Read(const std::string& key) const;
  Status Damaged(const std::string& key) const;

  const Store* store_ = nullptr;
  bool reference_inputs_ = false;
  int64_t memory_bytes_ = 0;
  Origin origin_;
  Hasher data_;   // inputs of all statistics
  Hasher chain_;  // and the layers so far
};

}  // namespace roundel::layers
