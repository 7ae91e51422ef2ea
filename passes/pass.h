#pragma once
// What a pass is: a function over the Session, declared once by a PassInfo. A pass never prints,
// times or checks itself (the runner does), keeps no state, and leaves one record for every node that
// it declined.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/random.h"
#include "lib/base/status.h"
#include "lib/base/store.h"
#include "lib/engine/data_source.h"
#include "lib/graph/graph.h"
#include "lib/quant/calibration_statistics.h"
#include "lib/quant/encodings.h"
#include "lib/recipe/params.h"
#include "lib/report/report.h"
#include "lib/target/float_types.h"
#include "lib/target/own_constants.h"
#include "lib/target/profile.h"

namespace roundel::passes {

// Mean and standard deviation per output channel of a layer's output before its activation, as the
// folded batch normalisation told them: beta and |gamma|. Kept in step by passes that rescale.
struct ChannelStatistics {
  std::vector<double> mean, deviation;
};

// Files of calibration statistics: formats and names are the caller's. Empty functions: there are
// none to be had.
struct StatisticsFiles {
  std::function<Result<quant::CalibrationStatistics>(const std::string& path)> read;
  std::function<Status(const std::string& path, const quant::CalibrationStatistics&)> write;
};

// The only thing that passes share.
struct Session {
  graph::Model model;                          // float32
  target::FloatTypes types;                    // what its values have in the file
  quant::EncodingTable encodings;
  target::Profile target;
  target::GridChoice grids;
  std::optional<target::Placement> placement;  // set by the pass that assigns grids
  std::vector<target::ConstantCopy> copies;    // that it made of the model's constants
  engine::DataSource* data = nullptr;          // not owned; nullptr if the recipe needs none
  // What identifies the data (quant::CalibrationStatistics); "" if that is not known.
  std::string preprocessing_hash, data_hash;
  StatisticsFiles statistics_files;
  const Store* store = nullptr;  // what was solved before, and for later runs; not owned
  std::map<std::string, ChannelStatistics> statistics;  // by the layer's output value
  std::map<std::string, quant::InputMean> input_means;  // by value; of layers with weights
  bool wants_input_means = true;                        // some pass of the recipe reads them
  std::set<std::string> corrected_biases;               // by the layer's output value
  Random random{0};
  // Only the reports are asked for: passes need not write what no report depends on.
  bool dry = false;
  report::PassReport* report = nullptr;        // of the running pass
};

enum class Outcome { kUnchanged, kChanged };

struct PassInfo {
  std::string name;
  std::string summary;                   // one line
  recipe::ParamSpecs params;
  bool needs_data = false;
  bool data_for_static_only = false;  // needs_data, but not where activations have no static grids
  std::vector<std::string> data_substitutes;  // parameters that, if given, make data unnecessary
  bool needs_grids = false;  // comes after the pass that assigns grids (calibrate)
  bool needs_input_means = false;
  bool rounds_weights = false;  // fixes codes and sets the biases that go with them
  // The model computes the same function after it; the runner proves that on data.
  bool float_equivalent = false;
  std::function<Result<Outcome>(Session&, const recipe::Params&)> run;
};

// The list from passes.def, sorted by name.
const std::vector<PassInfo>& AllPasses();
const PassInfo* FindPass(const std::string& name);

}  // namespace roundel::passes
