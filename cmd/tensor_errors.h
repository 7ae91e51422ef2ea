#pragma once
// The error of every float value of a model against a second version of it: a quantized file, or
// the simulation with an encodings table.

#include <memory>
#include <string>
#include <vector>

#include "lib/engine/executor.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/quant/metrics.h"
#include "lib/tensor/data_source.h"

namespace roundel::cmd {

// A float value and its name in the second model.
struct ValuePair {
  std::string value, quantized;
  std::string op_type;   // of the float node that makes it
  int64_t position = 0;  // of that node in execution order, from 1; 0 = graph input
  quant::ErrorSums error;
  int64_t differing_shapes = 0;  // batches skipped because the shapes differ
};

struct ComparedModels {
  std::vector<ValuePair> pairs;  // in execution order, without graph inputs
  std::unique_ptr<engine::Executor> first, second;
};

// Float values of the main graph of `model` that `other` has too, by name; with its inputs, if
// `inputs`. After quantization the readers of X read X_DequantizeLinear_Output; a graph output
// keeps its name.
std::vector<ValuePair> MatchValues(const graph::Model& model, const graph::Model& other,
                                   bool inputs = false);

// Both models with taps on all pairs. `simulate`: the second is simulated with this table; may be
// null.
Result<ComparedModels> OpenCompared(const graph::Model& model, const graph::Model& other,
                                    const quant::EncodingTable* simulate);

// Runs all batches of `data` (from its start) through both models. Holds the float values of one
// batch. Returns the number of samples. Errors: kData if there is none.
Result<int64_t> AddTensorErrors(DataSource& data, ComparedModels* models);

}  // namespace roundel::cmd
