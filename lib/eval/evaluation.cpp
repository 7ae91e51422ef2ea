#include "lib/eval/evaluation.h"

#include <algorithm>
#include <chrono>

#include "lib/base/interrupt.h"
#include "lib/base/progress.h"
#include "lib/base/text.h"
#include "lib/eval/perplexity.h"

namespace roundel::eval {
namespace {

bool IsNumeric(const Tensor& tensor) {
  return IsFloating(tensor.dtype()) || IsInteger(tensor.dtype()) || tensor.dtype() == DType::kBool;
}

// C for class scores [N, C] (further dimensions of 1 are allowed anywhere after N); 0 for other
// shapes.
int64_t ClassesOf(const Tensor& tensor, int64_t samples) {
  if (tensor.rank() < 2 || tensor.dim(0) != samples || !IsFloating(tensor.dtype())) return 0;
  int64_t classes = 1;
  for (int64_t axis = 1; axis < tensor.rank(); ++axis) {
    if (tensor.dim(axis) == 1) continue;
    if (classes != 1) return 0;
    classes = tensor.dim(axis);
  }
  return classes > 1 ? classes : 0;
}

Status CheckLabels(const Batch& batch, int64_t classes, const std::string& output) {
  for (size_t i = 0; i < batch.labels.size(); ++i)
    if (batch.labels[i] < 0 || batch.labels[i] >= classes)
      return DataError(StrCat("label ", batch.labels[i], " of '", batch.sample_names[i],
                              "' is not a class of output '", output, "' (0 to ", classes - 1,
                              ")"));
  return OkStatus();
}

class Evaluator {
 public:
  Evaluator(engine::Executor& first, engine::Executor* second, const EvaluateOptions& options)
      : first_(first), second_(second), options_(options) {}

  Status Prepare() {
    if (second_ == nullptr) return OkStatus();
    ASSIGN_OR_RETURN(input_order_,
                     MatchNames(second_->input_names(), first_.input_names(), "input"));
    ASSIGN_OR_RETURN(output_order_,
                     MatchNames(first_.output_names(), second_->output_names(), "output"));
    for (const std::string& name : first_.output_names()) result_.outputs.push_back({.name = name});
    return OkStatus();
  }

  Status Add(const Batch& batch) {
    ASSIGN_OR_RETURN(const auto outputs, Run(batch.inputs));
    const std::vector<Tensor>& a = outputs[0];
    std::vector<Tensor> b;
    if (second_ != nullptr) {
      for (size_t i : output_order_) b.push_back(outputs[1][i]);
      for (size_t i = 0; i < a.size(); ++i) AddError(a[i], b[i], batch.size, &result_.outputs[i]);
    }
    if (options_.perplexity) {
      ASSIGN_OR_RETURN(const TokenSlots slots, FindTokenSlots(batch.inputs, a));
      RETURN_IF_ERROR(AddTokens(batch.inputs[slots.ids], a[slots.logits],
                                b.empty() ? nullptr : &b[slots.logits], &result_.language));
    }
    if (!batch.labels.empty()) RETURN_IF_ERROR(AddLabels(batch, a, b));
    result_.samples += batch.size;
    return OkStatus();
  }

  Evaluation result_;

 private:
  // The outputs of the models for a batch.
  Result<std::vector<std::vector<Tensor>>> Run(const std::vector<Tensor>& inputs) {
    if (second_ == nullptr) {
      ASSIGN_OR_RETURN(auto only, first_.Run(inputs, options_.first_taps));
      return std::vector<std::vector<Tensor>>{std::move(only)};
    }
    std::vector<Tensor> reordered;
    for (size_t i : input_order_) reordered.push_back(inputs[i]);
    std::optional<Result<std::vector<Tensor>>> results[2];
    const auto run = [&](int side) {
      results[side] = side == 0 ? first_.Run(inputs, options_.first_taps)
                                : second_->Run(reordered, options_.second_taps);
    };
    if (options_.sides) {
      options_.sides->Run(run);
    } else {
      RunInTurn(run, results[0]);
    }
    std::vector<std::vector<Tensor>> outputs;
    for (auto& result : results) {
      RETURN_IF_ERROR(result->status());
      outputs.push_back(std::move(*result).value());
    }
    return outputs;
  }

  template <typename Run>
  void RunInTurn(const Run& run, const std::optional<Result<std::vector<Tensor>>>& first) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    run(0);
    const auto middle = Clock::now();
    if (first->ok()) run(1);
    const double times[] = {std::chrono::duration<double>(middle - start).count(),
                            std::chrono::duration<double>(Clock::now() - middle).count()};
    Seconds& seconds = result_.seconds;
    if (batches_++ == 1) seconds = {};
    seconds.first += times[0];
    seconds.second += times[1];
    seconds.units.Add(times[1], times[0]);
  }

  // The parts of single samples, where the first axis counts these; else the batch is one part.
  static void AddError(const Tensor& a, const Tensor& b, int64_t samples, OutputResult* result) {
    if (!IsNumeric(a) || !IsNumeric(b)) return;
    if (a.shape() != b.shape()) {
      ++result->differing_shapes;
      return;
    }
    const Tensor x = a.ToFloat(), y = b.ToFloat();
    result->is_float = IsFloating(a.dtype());
    const bool by_sample = a.rank() > 0 && samples > 0 && a.dim(0) == samples;
    const size_t parts = by_sample ? static_cast<size_t>(samples) : 1;
    const size_t each = static_cast<size_t>(x.size()) / parts;
    for (size_t part = 0; part < parts; ++part) {
      const auto x_part = x.span<float>().subspan(part * each, each);
      const auto y_part = y.span<float>().subspan(part * each, each);
      quant::ErrorSums error;
      error.Add(x_part, y_part);
      result->error.Merge(error);
      result->error_units.Add(error.error_power(), error.reference_power());
      if (!result->is_float) AddEqual(x_part, y_part, result);
    }
    if (!result->is_float) return;
    const auto classes = static_cast<size_t>(ClassesOf(a, samples));
    if (classes == 0) return;
    for (size_t row = 0; row < static_cast<size_t>(samples); ++row) {
      ++result->rows;
      result->agreeing += quant::ArgMax(x.span<float>().subspan(row * classes, classes)) ==
                          quant::ArgMax(y.span<float>().subspan(row * classes, classes));
    }
  }

  // Indices and flags are compared for equality.
  static void AddEqual(std::span<const float> a, std::span<const float> b, OutputResult* result) {
    int64_t equal = 0;
    for (size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i];
    result->rows += static_cast<int64_t>(a.size());
    result->agreeing += equal;
    result->equal_units.Add(static_cast<double>(equal), static_cast<double>(a.size()));
  }

  Status AddLabels(const Batch& batch, const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
    for (size_t i = 0; i < a.size(); ++i) {
      const int64_t classes = ClassesOf(a[i], batch.size);
      if (classes == 0) continue;
      result_.class_output = first_.output_names()[i];
      RETURN_IF_ERROR(CheckLabels(batch, classes, result_.class_output));
      const Tensor x = a[i].ToFloat();
      result_.first.Add(x.span<float>(), classes, batch.labels);
      if (b.empty() || b[i].shape() != a[i].shape() || !IsNumeric(b[i])) return OkStatus();
      const Tensor y = b[i].ToFloat();
      result_.second.Add(y.span<float>(), classes, batch.labels);
      AddPairs(x.span<float>(), y.span<float>(), static_cast<size_t>(classes), batch.labels);
      return OkStatus();
    }
    return DataError(
        "there are labels, but no output of the model holds class scores [N, classes]");
  }

  void AddPairs(std::span<const float> x, std::span<const float> y, size_t classes,
                const std::vector<int64_t>& labels) {
    PairedHits& pairs = result_.pairs;
    for (size_t row = 0; row < labels.size(); ++row) {
      const bool first = quant::RankOf(x.subspan(row * classes, classes), labels[row]) == 0;
      const bool second = quant::RankOf(y.subspan(row * classes, classes), labels[row]) == 0;
      ++pairs.rows;
      pairs.lost += first && !second;
      pairs.won += second && !first;
    }
  }

  engine::Executor& first_;
  engine::Executor* second_;
  const EvaluateOptions& options_;
  int64_t batches_ = 0;
  std::vector<size_t> input_order_, output_order_;
};

}  // namespace

Result<std::vector<size_t>> MatchNames(const std::vector<std::string>& wanted,
                                       const std::vector<std::string>& names,
                                       const std::string& what) {
  std::vector<size_t> order;
  for (const std::string& name : wanted) {
    const auto it = std::find(names.begin(), names.end(), name);
    if (it != names.end()) order.push_back(static_cast<size_t>(it - names.begin()));
  }
  if (order.size() == wanted.size() && (what == "output" || wanted.size() == names.size()))
    return order;
  if (wanted.size() != names.size())
    return ModelError(StrCat("the models do not match: ", what, "s ", Join(wanted, ", ", 5),
                             " against ", Join(names, ", ", 5)));
  order.resize(wanted.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  return order;
}

Result<Evaluation> Evaluate(engine::Executor& first, engine::Executor* second, DataSource& data,
                            const EvaluateOptions& options) {
  Evaluator evaluator(first, second, options);
  RETURN_IF_ERROR(evaluator.Prepare());
  RETURN_IF_ERROR(data.Rewind());
  Progress progress("evaluate", data.size());
  while (true) {
    if (Interrupted()) return InterruptedError();
    ASSIGN_OR_RETURN(const std::optional<Batch> batch, data.Next());
    if (!batch) break;
    RETURN_IF_ERROR(evaluator.Add(*batch));
    progress.Advance(batch->size);
  }
  evaluator.result_.skipped = data.skipped();
  if (evaluator.result_.samples == 0) return DataError("the data has no readable sample");
  return std::move(evaluator.result_);
}

}  // namespace roundel::eval
