#pragma once
// What a run keeps of each layer (--resume): the sums over its inputs and its solution, each under the
// hash of everything that it follows from: the model, the data, how the sums were made, and, where a
// layer sees what the layers before it made of the data, their grids and the settings of the pass.

#include <optional>
#include <string>

#include "lib/base/hash.h"
#include "lib/base/store.h"
#include "lib/layers/solve_layer.h"

namespace roundel::layers {

class LayerStore {
 public:
  // `store`: nullptr if nothing is kept. `settings`: the pass and its parameters. kData if the first
  // batch of the data cannot be read.
  static Result<LayerStore> Create(const Session& session, const Store* store,
                                   const StatisticsOptions& statistics, int64_t samples,
                                   const std::string& settings);

  struct Keys {
    std::string statistics, solution;  // "": nothing is kept
  };
  // Of the next layer in the order of the walk, whose weight, input and bias have these encodings.
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
  Hasher data_;   // what all statistics follow from
  Hasher chain_;  // and the layers so far
};

}  // namespace roundel::layers
