#pragma once
// Runs one model, or two in parallel, over a data source and sums up the differences. Streaming:
// memory does not depend on the number of samples.

#include <string>
#include <vector>

#include "lib/base/lanes.h"
#include "lib/base/status.h"
#include "lib/engine/executor.h"
#include "lib/eval/unit_sums.h"
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
  UnitSums error_units;          // by sample: error over reference, squares
  UnitSums equal_units;          // of integers, by sample: equal elements over all

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
  UnitSums rise_units,
      kl_units;  // by row: what the second adds to the cross entropy, KL; over tokens

  double Perplexity() const;
  double SecondPerplexity() const;
  double MeanKl() const;
  double RisePercent() const;  // of the second perplexity over the first
};

// Rows that both models classified, and those that only one of them got right.
struct PairedHits {
  int64_t rows = 0, lost = 0,
          won = 0;  // lost: right with the first only; won: with the second only
};

// Time spent in two models that ran one after the other; the first batch, which warms up, counts
// only if it is alone.
struct Seconds {
  double first = 0, second = 0;
  UnitSums units;  // by batch: second over first
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
  PairedHits pairs;                   // with two models and labels
  Seconds seconds;                    // with two models, unless options.sides is set
};

// `second` may be null. Its inputs and outputs are matched with those of the first by name, or by
// position if names differ and counts agree.
Result<Evaluation> Evaluate(engine::Executor& first, engine::Executor* second, DataSource& data,
                            const EvaluateOptions& options = {});

// The index in `names` of each name of `wanted`. By position if a name is missing and counts agree.
// Errors: kModel, with the first missing name, if counts differ.
Result<std::vector<size_t>> MatchNames(const std::vector<std::string>& wanted,
                                       const std::vector<std::string>& names,
                                       const std::string& what);

}  // namespace roundel::eval
