#pragma once
// Runs one pass on a model in text form and checks the contract of passes: the model stays valid,
// "changed" means changed, and a second run changes nothing.

#include <map>
#include <string>
#include <vector>

#include "passes/pass.h"

#include "tests/support/parse_model.h"

namespace roundel::support {

struct PassRun {
  graph::Model before;
  Session session;  // after the pass
  report::PassReport report;
  Outcome outcome = Outcome::kUnchanged;

  const graph::Model& after() const { return session.model; }
  // Op types in execution order: "Conv Relu Gemm".
  std::string Ops() const;
  // Reason of the record about `subject` (as a substring) with this action; fails the test if none.
  std::string Reason(const std::string& subject, const std::string& action = "declined") const;
  int64_t Count(const std::string& action) const;  // records with this action
  // A metric as text; "" if there is none.
  std::string Metric(const std::string& name) const;
  const Tensor& Constant(const std::string& name) const;  // of the model after
};

struct PassOptions {
  std::map<std::string, std::string> params;
  std::map<std::string, OutputMoments> statistics;
  DataSource* data = nullptr;
};

PassRun RunPass(const std::string& pass, const std::string& model, const PassOptions& options = {});
PassRun RunPass(const std::string& pass, graph::Model model, const PassOptions& options = {});
// The error of a pass that must fail.
Status PassError(const std::string& pass, const std::string& model,
                 const PassOptions& options = {});

// Outputs of the plain kernels on seeded inputs; symbolic and unknown dimensions are 2.
std::vector<Tensor> RunModel(const graph::Model& model, uint64_t seed = 1);
// Largest |a - b| over all outputs relative to each output's range; output names must agree.
double OutputDifference(const graph::Model& a, const graph::Model& b, uint64_t seed = 1);

}  // namespace roundel::support
