#pragma once
// The state that passes share: facts of the model while a recipe runs, and resources of the run.
// The interface and the runner of passes are in passes/.

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

// Mean and standard deviation per channel of a layer's output, before the activation function, from
// the folded batch normalization: beta and |gamma|. Passes that rescale channels update them.
struct OutputMoments {
  std::vector<double> mean, deviation;
};

// Access to statistics files; the caller defines formats and names. Empty functions: not
// available.
struct StatisticsFiles {
  std::function<Result<quant::CalibrationStatistics>(const std::string& path)> read;
  std::function<Status(const std::string& path, const quant::CalibrationStatistics&)> write;
};

// The facts of the model.
struct ModelState {
  graph::Model model;  // float32
  // The executable graph, while model.graph is flat (graph/bodies.h); nullptr: model.graph is
  // executable.
  std::shared_ptr<graph::Graph> running_graph;
  // The float model that the quantized one approximates: as the first pass that is not
  // float-equivalent found it. nullptr before that. Later passes change biases of `model`.
  std::shared_ptr<const graph::Model> float_model;
  target::FloatTypes types;  // types of its values in the file
  quant::EncodingTable encodings;
  target::Profile target;
  target::GridChoice grids;
  std::optional<target::Placement> placement;           // set by the pass that assigns grids
  std::vector<target::ConstantCopy> copies;             // copies of constants that it made
  std::map<std::string, OutputMoments> output_moments;  // by the layer's output value
  // By value; of layers with weights. Unset: not gathered yet (calibration::EnsureInputMeans).
  std::optional<std::map<std::string, quant::InputMean>> input_means;
  std::set<std::string> corrected_biases;  // by the layer's output value

  // An independent copy; tensors are shared until one side writes to them.
  ModelState Clone() const;
};

// The part of the layers that this process works on, if several divide a pass that rounds weights.
struct LayerPart {
  int index = 0, count = 1;  // counted from 0
  bool sums_only = false;    // without solving: a later run does that
};

// The resources of the run.
struct RunContext {
  DataSource* data = nullptr;  // not owned; nullptr if the recipe needs none
  // Hashes of the data (quant::CalibrationStatistics); "" if unknown.
  std::string preprocessing_hash, data_hash;
  StatisticsFiles statistics_files;
  const Store* store = nullptr;   // solutions of earlier runs, and for later ones; not owned
  std::optional<LayerPart> part;  // only results for the store are wanted; requires `store`
  Random random{0};               // of the recipe's seed
  // A later pass will ask for input_means: the sweep that measures ranges measures them, too, which
  // saves a sweep. The results are the same without.
  bool expects_input_means = true;
  // Only reports are needed: passes may skip results that no report depends on.
  bool dry = false;
  report::PassReport* report = nullptr;  // of the running pass
};

struct Session : ModelState, RunContext {
  // Clones the facts of the model; data, store and report are shared with this session.
  Session Clone() const;
};

// A seed from the recipe's seed, for draws that must not depend on their order, such as one per
// sample; 0 for the recipe's seed 0.
inline uint64_t SeedOf(const Session& session) {
  Random first = session.random, zero(0);
  return first.Next() ^ zero.Next();
}

// Whether a step changed the model or its encodings. kApproximate: it may have changed the function
// of the model, by a rule of the method that holds for most inputs only.
enum class Outcome { kUnchanged, kChanged, kApproximate };

}  // namespace roundel
