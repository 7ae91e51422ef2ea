#include "lib/tune/block_samples.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "lib/base/parallel.h"
#include "lib/tune/sample_rows.h"

namespace roundel::tune {

BlockSamples::BlockSamples(const walk::Streams& streams, const std::vector<std::string>& inputs,
                           const std::vector<std::string>& targets, bool reference, bool apart)
    : inputs_(inputs.size() * (reference ? 2 : 1)),
      apart_(apart),
      joinable_(apart),
      views_(static_cast<size_t>(streams.views())) {
  for (const std::string& input : inputs) values_.push_back(&streams.quantized(input));
  if (reference)
    for (const std::string& input : inputs) values_.push_back(&streams.reference(input));
  for (const std::string& target : targets) values_.push_back(&streams.reference(target));
  const std::vector<int64_t>& sizes = streams.batch_sizes();
  for (size_t v = 0; v < values_.size(); ++v) {
    rows_.push_back(HasRows(*values_[v], sizes));
    apart_ = apart_ && (rows_[v] || v < inputs_);
  }
  joinable_ = apart_;
  for (size_t v = 0; v < values_.size(); ++v)
    for (size_t b = 0; rows_[v] && b < sizes.size(); ++b) {
      const Shape &shape = (*values_[v])[b]->shape(), &first = (*values_[v])[0]->shape();
      joinable_ = joinable_ && shape.size() == first.size() &&
                  std::equal(shape.begin() + 1, shape.end(), first.begin() + 1);
    }
  for (const auto* value : values_)
    for (size_t b = 0; b < sizes.size(); ++b)
      largest_ = std::max(largest_, NumElements((*value)[b]->shape()) /
                                        (apart_ ? std::max<int64_t>(1, sizes[b]) : 1));
  for (size_t b = 0; b < sizes.size(); ++b)
    for (int64_t row = 0; row < (apart_ ? sizes[b] : 1); ++row) units_.push_back({b, row});
}

std::vector<std::vector<int64_t>> BlockSamples::samples() const {
  std::map<std::pair<size_t, int64_t>, std::vector<int64_t>> by_sample;
  for (size_t i = 0; i < units_.size(); ++i)
    by_sample[{units_[i].batch / views_, units_[i].row}].push_back(static_cast<int64_t>(i));
  std::vector<std::vector<int64_t>> samples;
  for (auto& [sample, units] : by_sample) samples.push_back(std::move(units));
  return samples;
}

Result<std::vector<Tensor>> BlockSamples::Load(std::span<const int64_t> units) const {
  INVARIANT(joinable_ || units.size() == 1, "units that can be joined");
  std::vector<Tensor> loaded;
  for (size_t v = 0; v < values_.size(); ++v) {
    const auto* value = values_[v];
    if (!apart_ || !rows_[v]) {
      ASSIGN_OR_RETURN(Tensor whole, (*value)[units_[static_cast<size_t>(units[0])].batch]->Load());
      loaded.push_back(std::move(whole));
      continue;
    }
    Tensor joined;
    for (size_t i = 0; i < units.size(); ++i) {
      const Unit& unit = units_[static_cast<size_t>(units[i])];
      ASSIGN_OR_RETURN(const Tensor row, (*value)[unit.batch]->LoadRows(unit.row, unit.row + 1));
      if (!joined.defined()) {
        Shape shape = row.shape();
        shape[0] = std::ssize(units);
        joined = Tensor::Empty(row.dtype(), shape);
      }
      std::memcpy(
          static_cast<char*>(joined.mutable_raw()) + static_cast<int64_t>(i) * row.byte_size(),
          row.raw(), static_cast<size_t>(row.byte_size()));
    }
    loaded.push_back(std::move(joined));
  }
  return loaded;
}

Result<std::vector<double>> BlockSamples::TargetPowers() const {
  std::vector<double> powers;
  for (size_t i = inputs_; i < values_.size(); ++i) {
    double sum = 0;
    int64_t count = 0;
    for (const walk::StoredValuePtr& stored : *values_[i]) {
      ASSIGN_OR_RETURN(const Tensor value, stored->Load());
      const float* x = value.data<float>();
      sum += ParallelReduce(
          value.size(), 65536, 0.0,
          [&](int64_t begin, int64_t end) {
            double part = 0;
            for (int64_t k = begin; k < end; ++k) part += static_cast<double>(x[k]) * x[k];
            return part;
          },
          [](double a, double b) { return a + b; });
      count += value.size();
    }
    powers.push_back(count > 0 ? sum / static_cast<double>(count) : 0);
  }
  return powers;
}

}  // namespace roundel::tune
