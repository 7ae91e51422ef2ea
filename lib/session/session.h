#pragma once
// What passes share: what is known of the model while a recipe runs, and what the run has. What a pass
// is, and who runs it, is in passes/.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/random.h"
#include "lib/base/status.h"
#include "lib/base/store.h"
#include "lib/graph/graph.h"
#include "lib/quant/calibration_statistics.h"
#include "lib/quant/encodings.h"
#include "lib/report/report.h"
#include "lib/targets/float_types.h"
#include "lib/targets/own_constants.h"
#include "lib/targets/profile.h"
#include "lib/tensor/data_source.h"

namespace roundel {

// Mean and standard deviation per output channel of a layer's output before its activation, as the
// folded batch normalisation told them: beta and |gamma|. Kept in step by passes that rescale.
struct OutputMoments {
  std::vector<double> mean, deviation;
};

// Files of calibration statistics: formats and names are the caller's. Empty functions: there are
// none to be had.
struct StatisticsFiles {
  std::function<Result<quant::CalibrationStatistics>(const std::string& path)> read;
  std::function<Status(const std::string& path, const quant::CalibrationStatistics&)> write;
};

// What is known of the model.
struct ModelState {
  graph::Model model;  // float32
  // The model's graph as it runs, while a pass sees it with the bodies of control flow laid out;
  // nullptr: model.graph.
  std::shared_ptr<graph::Graph> running_graph;
  target::FloatTypes types;  // what its values have in the file
  quant::EncodingTable encodings;
  target::Profile target;
  target::GridChoice grids;
  std::optional<target::Placement> placement;           // set by the pass that assigns grids
  std::vector<target::ConstantCopy> copies;             // that it made of the model's constants
  std::map<std::string, OutputMoments> output_moments;  // by the layer's output value
  std::map<std::string, quant::InputMean> input_means;  // by value; of layers with weights
  std::set<std::string> corrected_biases;               // by the layer's output value

  // One that can be changed without this one: tensors are shared until one side writes to them.
  ModelState Clone() const;
};

// What the run has.
struct RunContext {
  DataSource* data = nullptr;  // not owned; nullptr if the recipe needs none
  // What identifies the data (quant::CalibrationStatistics); "" if that is not known.
  std::string preprocessing_hash, data_hash;
  StatisticsFiles statistics_files;
  const Store* store = nullptr;  // what was solved before, and for later runs; not owned
  Random random{0};              // of the recipe's seed
  // Whether a pass of the recipe reads input_means, so that one sweep gathers them with the ranges.
  bool wants_input_means = true;
  // Only the reports are asked for: passes need not write what no report depends on.
  bool dry = false;
  report::PassReport* report = nullptr;  // of the running pass
};

struct Session : ModelState, RunContext {
  // What is known of the model is cloned; data, store and report are those of this session.
  Session Clone() const;
};

// The recipe's seed for draws that must not depend on their order, such as one for each sample; 0 for
// the recipe's seed 0.
inline uint64_t SeedOf(const Session& session) {
  Random first = session.random, zero(0);
  return first.Next() ^ zero.Next();
}

// Whether a step changed the model or its encodings; kApproximate: the function of the model, too, by
// rules of the method that hold for most inputs only.
enum class Outcome { kUnchanged, kChanged, kApproximate };

}  // namespace roundel
