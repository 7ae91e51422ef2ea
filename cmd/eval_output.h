#pragma once
// What eval prints.

#include <nlohmann/json.hpp>

#include <ostream>
#include <string>
#include <vector>

#include "cmd/metric_gates.h"
#include "lib/data/dataset.h"
#include "lib/eval/evaluation.h"
#include "lib/report/gate.h"

namespace roundel::cmd {

struct Measured {
  std::string first, second;  // names of the models; `second` "" if there is only one
  eval::Evaluation result;    // without a sample: models were not run
  data::DatasetFacts facts;
  std::vector<report::Gate> gates;
  MetricValues command;
  uint64_t seed = 0;  // of the bootstrap
};

// By schemas/eval-1.json.
nlohmann::ordered_json EvalJson(const Measured& measured);
void PrintEval(const Measured& measured, std::ostream& out);

}  // namespace roundel::cmd
