#pragma once
// The values of a data set between two parts of a model, in two streams: those of the float model,
// and those of the model with the weights so far quantized. Parts run on all batches, each batch on
// one lane.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/lanes.h"
#include "lib/base/status.h"
#include "lib/engine/executor.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/tensor/data_source.h"
#include "lib/walk/stretch.h"
#include "lib/walk/value_store.h"

namespace roundel::walk {

// Which streams a part runs in.
enum class Which { kReference, kQuantized, kBoth };

class Streams {
 public:
  // `reference`: the float model; it has the values at the ends of parts under the same names.
  // nullptr: `model` as it is now. `model` and `encodings` may change between parts. All must
  // outlive this object.
  Streams(const graph::Model& model, const graph::Model* reference,
          const quant::EncodingTable& encodings, int64_t memory_bytes,
          const std::string& spill_folder);

  // Stores the inputs that `wanted` accepts of `samples` samples (0: all) with all their views, in
  // whole batches.
  // Errors: kData if there are none.
  Status ReadData(DataSource& data, int64_t samples,
                  const std::function<bool(const std::string& input)>& wanted);
  // Requires: for kQuantized, that the part ran in the reference stream.
  Status Run(const Stretches::Part& part, Which which);
  // Drops the values for which `keep` returns false.
  void Keep(const std::function<bool(const std::string& value)>& keep);

  // By batch. Requires: the value was computed and kept.
  const std::vector<StoredValuePtr>& reference(const std::string& value) const {
    return reference_.at(value);
  }
  const std::vector<StoredValuePtr>& quantized(const std::string& value) const {
    return quantized_.at(value);
  }
  const std::vector<int64_t>& batch_sizes() const { return batch_sizes_; }
  int64_t samples() const { return samples_; }      // with their views
  int64_t originals() const { return originals_; }  // without
  int64_t views() const { return views_; }
  // The number of the first sample of a batch, without counting views.
  int64_t Original(size_t batch) const { return first_originals_[batch]; }
  // The types of a part's inputs. Errors: kModel if one has not been computed.
  Result<std::vector<DType>> TypesOf(const Stretches::Part& part) const;

 private:
  // Values of one stream by name, and of each by batch.
  using Stream = std::map<std::string, std::vector<StoredValuePtr>>;
  // What one lane needs to run a part.
  struct Runners {
    std::unique_ptr<engine::Executor> reference, quantized;
  };
  struct Job {
    const Stretches::Part& part;
    graph::Model reference = {}, quantized = {};  // without a graph: does not run in that stream
  };

  Status AddInput(const std::string& name, const Tensor& value);
  bool Differ(const Stretches::Part& part) const;
  Status RunAll(const Job& job);
  Status RunBatch(const Job& job, size_t batch, Runners* runners);
  Status RunStream(const Stretches::Part& part, engine::Executor& executor, size_t batch,
                   Stream* stream);

  graph::Model ReferencePart(const Stretches::Part& part, const std::vector<DType>& types) const;

  const graph::Model& model_;
  const graph::Model* float_model_;  // nullptr: original_
  const graph::Model original_;
  const quant::EncodingTable& encodings_;
  ValueStore store_;  // outlives the streams
  Stream reference_, quantized_;
  std::vector<int64_t> batch_sizes_, first_originals_;  // by batch
  int64_t samples_ = 0, originals_ = 0, views_ = 1;
  Lanes lanes_;
};

}  // namespace roundel::walk
