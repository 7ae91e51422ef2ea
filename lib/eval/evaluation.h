#pragma once
// Runs one model, or two in parallel, over a data source and sums up the differences. Streaming:
// memory does not depend on the number of samples.

#include <string>
#include <vector>

#include "lib/base/lanes.h"
#include "lib/base/status.h"
#include "lib/engine/executor.h"
#include "lib/quant/metrics.h"
#include "lib/tensor/data_source.h"

namespace roundel::eval {

struct OutputResult {
  std::string name;
  quant::ErrorSums error;  // of the second model against the first
  bool is_float = false;
  // Rows of class scores, and those with the same top-1; of integers the elements, and equal ones.
  int64_t rows = 0, agreeing = 0;
  int64_t differing_shapes = 0;  // batches left out because the shapes differ

  double AgreePercent() const {  // rows > 0
    return 100.0 * static_cast<double>(agreeing) / static_cast<double>(rows);
  }
};

// Next-token metrics of a language model: logits [batch, seq, vocab] against the token ids of the
// input; the first token of each row has no prediction. In nats, summed in double.
struct TokenSums {
  int64_t tokens = 0;
  double cross_entropy = 0, second_cross_entropy = 0;
  double kl = 0;  // of the second model's distribution from the first's

  double Perplexity() const;
  double SecondPerplexity() const;
  double MeanKl() const;
};

struct EvaluateOptions {
  bool perplexity = false;
  std::vector<engine::Tap> first_taps = {}, second_taps = {};  // of values that the executors tap
  TwoSides* sides = nullptr;  // runs the two models at the same time; null: one after the other
};

struct Evaluation {
  int64_t samples = 0, skipped = 0;
  std::string class_output;  // the output that labels were compared with; "" = no labels
  quant::TopCounts first, second;
  std::vector<OutputResult> outputs;  // empty with one model
  TokenSums language;                 // options.perplexity
};

// `second` may be null. Its inputs and outputs are matched with those of the first by name, or by
// position if names differ and counts agree.
Result<Evaluation> Evaluate(engine::Executor& first, engine::Executor* second, DataSource& data,
                            const EvaluateOptions& options = {});

struct Gate {
  double min_sqnr = 0;    // dB, of every output; 0 = off
  double max_drop = 100;  // percentage points of top-1; 100 = off
};
// Errors: kGate, with the amount.
Status CheckGate(const Gate& gate, const Evaluation& evaluation);

// The index in `names` of each name of `wanted`. By position if a name is missing and counts agree.
// Errors: kModel, with the first missing name, if counts differ.
Result<std::vector<size_t>> MatchNames(const std::vector<std::string>& wanted,
                                       const std::vector<std::string>& names,
                                       const std::string& what);

}  // namespace roundel::eval
