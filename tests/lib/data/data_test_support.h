#pragma once
// Opening and draining data sets in tests.

#include <string>
#include <utility>
#include <vector>

#include "lib/data/dataset.h"
#include "tests/support/catch.h"

namespace roundel::data {

using Setting = std::pair<std::string, std::string>;

inline recipe::Params MakeParams(const std::vector<Setting>& settings) {
  recipe::Params params(DataSpecs());
  for (const auto& [name, text] : settings) {
    const Status status = params.SetFromText(DataSpecs(), name, text);
    INFO(name << "=" << text << ": " << status.message());
    REQUIRE(status.ok());
  }
  return params;
}

inline Result<std::unique_ptr<DataSource>> Open(const std::vector<Setting>& settings,
                                                const std::vector<InputInfo>& inputs,
                                                DatasetFacts* facts = nullptr) {
  return OpenDataset(MakeParams(settings), inputs, facts);
}

// Every batch of one sweep.
inline Result<std::vector<Batch>> Drain(DataSource* source) {
  std::vector<Batch> batches;
  for (;;) {
    ASSIGN_OR_RETURN(auto batch, source->Next());
    if (!batch) return batches;
    batches.push_back(std::move(*batch));
  }
}

// Opens and drains; the status of whichever fails.
inline Result<std::vector<Batch>> Load(const std::vector<Setting>& settings,
                                       const std::vector<InputInfo>& inputs) {
  ASSIGN_OR_RETURN(auto source, Open(settings, inputs));
  return Drain(source.get());
}

inline void CheckFails(const std::vector<Setting>& settings, const std::vector<InputInfo>& inputs,
                       ErrorKind kind, const std::string& part) {
  const auto result = Load(settings, inputs);
  REQUIRE_FALSE(result.ok());
  INFO(result.status().message());
  CHECK(result.status().kind() == kind);
  CHECK(result.status().message().find(part) != std::string::npos);
  CHECK(result.status().message().find('\n') == std::string::npos);
}

inline std::vector<std::string> Names(const std::vector<Batch>& batches) {
  std::vector<std::string> names;
  for (const Batch& batch : batches)
    names.insert(names.end(), batch.sample_names.begin(), batch.sample_names.end());
  return names;
}

inline std::vector<int64_t> LabelsOf(const std::vector<Batch>& batches) {
  std::vector<int64_t> labels;
  for (const Batch& batch : batches)
    labels.insert(labels.end(), batch.labels.begin(), batch.labels.end());
  return labels;
}

}  // namespace roundel::data
