#include "lib/tune/sample_rows.h"

#include <algorithm>
#include <cstring>

#include "lib/engine/sample_axis.h"

namespace roundel::tune {
namespace {

bool SameBytes(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.byte_size())) == 0;
}

// The value that all batches have; undefined if they differ.
Result<Tensor> CommonValue(const std::vector<walk::StoredValuePtr>& value) {
  ASSIGN_OR_RETURN(const Tensor first, value[0]->Load());
  for (const walk::StoredValuePtr& other : value) {
    if (other->shape() != first.shape()) return Tensor();
    ASSIGN_OR_RETURN(const Tensor loaded, other->Load());
    if (!SameBytes(first, loaded)) return Tensor();
  }
  return first;
}

}  // namespace

bool HasRows(const std::vector<walk::StoredValuePtr>& value, const std::vector<int64_t>& sizes) {
  for (size_t b = 0; b < sizes.size(); ++b)
    if (value[b]->shape().empty() || value[b]->shape()[0] != sizes[b]) return false;
  return true;
}

Result<bool> SamplesApart(const graph::Model& model, const walk::Stretches::Part& part,
                          const walk::Streams& streams) {
  ASSIGN_OR_RETURN(const std::vector<DType> types, streams.TypesOf(part));
  graph::Model judged = walk::PartModel(model, part, types);
  std::vector<graph::ValueInfo> inputs = std::move(judged.graph->inputs);
  judged.graph->inputs.clear();
  for (graph::ValueInfo& input : inputs) {
    const auto& value = streams.quantized(input.name);
    if (HasRows(value, streams.batch_sizes())) {
      input.shape.emplace(value[0]->shape().size());  // open sizes
      judged.graph->inputs.push_back(std::move(input));
      continue;
    }
    ASSIGN_OR_RETURN(const Tensor common, CommonValue(value));
    if (!common.defined()) return false;
    judged.graph->SetInitializer(input.name, common);
  }
  ASSIGN_OR_RETURN(const engine::SampleJudgment judgment, engine::JudgeSamples(judged));
  return judgment.independent;
}

}  // namespace roundel::tune
