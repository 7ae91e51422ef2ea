#include "cmd/self_check.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <memory>
#include <set>

#include "cmd/diagnosis.h"
#include "cmd/tensor_errors.h"
#include "lib/base/text.h"
#include "lib/eval/evaluation.h"
#include "lib/recipe/params.h"
#include "lib/targets/formats.h"
#include "lib/targets/grid_name.h"
#include "lib/tensor/first_samples.h"

namespace roundel::cmd {
namespace {

using quant::EncodingTable;
using quant::Role;

// tensors with more distinct float values than this are checked for few codes
constexpr int64_t kManyValues = 16;
constexpr size_t kShown = 3;  // tensors and outputs that a warning names

// Distinct values of a tensor, counted up to a limit, which most tensors reach early.
class DistinctValues {
 public:
  explicit DistinctValues(int64_t limit) : limit_(static_cast<size_t>(limit)) {}
  void Add(std::span<const float> values) {
    for (size_t i = 0; i < values.size() && seen_.size() < limit_; ++i) seen_.insert(values[i]);
  }
  int64_t count() const { return static_cast<int64_t>(seen_.size()); }
  bool Full() const { return seen_.size() >= limit_; }

 private:
  size_t limit_;
  std::set<float> seen_;
};

// `--set key=a,b` as a shell accepts it; names with other characters use YAML's list form.
std::string SetFlag(const std::string& key, const std::vector<std::string>& names) {
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("_./:-", c) != nullptr;
  };
  const auto all_plain = [&](const std::string& name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), is_plain);
  };
  if (std::all_of(names.begin(), names.end(), all_plain))
    return StrCat("--set ", key, "=", Join(names, ","));
  std::string quoted;
  for (const char c : recipe::ParamValueText(names))
    quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return StrCat("--set '", key, "=", quoted, "'");
}

// An activation with a grid, in both models.
struct CodeUse {
  ValuePair pair;
  DistinctValues floats, codes;
};

engine::Tap CountingTap(const std::string& value, DistinctValues* distinct) {
  return {.value = value,
          .any_order = true,
          .callback =
              [distinct](const engine::TapView& view) {
                distinct->Add(view.data);
                return OkStatus();
              },
          .wanted = [distinct] { return !distinct->Full(); }};
}

// The results of one run over the samples.
struct Findings {
  eval::Evaluation evaluation;
  std::vector<std::string> bad_outputs;  // SQNR or top-1
  std::vector<std::string> faults;       // one phrase for each of them
  std::vector<std::string> few_codes;    // "'t' (Concat): 1 code"
  std::vector<std::string> few_codes_nodes;
};

class Checker {
 public:
  Checker(const recipe::Params& settings, const CheckSubject& subject, report::Report* report)
      : min_sqnr_(settings.Float("min_sqnr")),
        min_codes_(settings.Int("min_codes")),
        samples_(settings.Int("samples")),
        subject_(subject),
        graph_(*subject.session.model.graph),
        report_(*report) {}

  Status Run() {
    RETURN_IF_ERROR(Measure());
    Record();
    JudgeOutputs();
    JudgeCodes();
    JudgeWeights();
    return Warn();
  }

 private:
  // Operators on codes have no float values to tap: they are replaced by their simulation, which
  // gives the same bits.
  bool simulated() const { return target::FindFormat(subject_.format).value()->on_codes; }

  void ListCodeUses() {
    if (min_codes_ == 0) return;
    const graph::Model& second = simulated() ? subject_.session.model : subject_.quantized;
    std::set<std::string> observed;  // values that follow others have the same codes
    for (const target::QuantPoint& point : subject_.session.placement->points)
      if (point.role == Role::kActivation && !point.derived) observed.insert(point.value);
    for (ValuePair& pair : MatchValues(subject_.original, second, true)) {
      if (!observed.contains(pair.value) || !subject_.session.encodings.contains(pair.value))
        continue;
      uses_.push_back(std::make_unique<CodeUse>(
          CodeUse{std::move(pair), DistinctValues(kManyValues), DistinctValues(min_codes_)}));
    }
  }

  Status Measure() {
    ListCodeUses();
    engine::ExecutorOptions first_options, second_options;
    eval::EvaluateOptions evaluate;
    for (const auto& use : uses_) {
      first_options.tapped_values.push_back(use->pair.value);
      second_options.tapped_values.push_back(use->pair.quantized);
      evaluate.first_taps.push_back(CountingTap(use->pair.value, &use->floats));
      evaluate.second_taps.push_back(CountingTap(use->pair.quantized, &use->codes));
    }
    if (simulated()) second_options.simulate = &subject_.session.encodings;
    const graph::Model& second = simulated() ? subject_.session.model : subject_.quantized;
    std::optional<Result<std::unique_ptr<engine::Executor>>> made[2];
    TwoSides sides;
    sides.Run([&](int side) {
      made[side] = side == 0 ? engine::Executor::Create(subject_.original, first_options)
                             : engine::Executor::Create(second, second_options);
    });
    for (const auto& executor : made) RETURN_IF_ERROR(executor->status());
    evaluate.sides = &sides;
    FirstSamples data(*subject_.session.data, samples_);
    ASSIGN_OR_RETURN(found_.evaluation,
                     eval::Evaluate(***made[0], (**made[1]).get(), data, evaluate));
    return OkStatus();
  }

  void Record() {
    report_.Fact("check_samples", found_.evaluation.samples);
    for (const eval::OutputResult& output : found_.evaluation.outputs) {
      report_.Fact(StrCat("check_sqnr_db ", output.name), output.error.Sqnr());
      if (output.rows > 0)
        report_.Fact(StrCat("check_agreement_percent ", output.name), output.AgreePercent());
    }
  }

  // Top-1 counts if more than a tenth of the rows changed; a single one may be chance.
  static bool TopOneChanged(const eval::OutputResult& output) {
    const int64_t changed = output.rows - output.agreeing;
    return changed * 10 > output.rows && (changed > 1 || output.rows < 4);
  }

  void JudgeOutputs() {
    for (const eval::OutputResult& output : found_.evaluation.outputs) {
      const std::string name = StrCat("'", Printable(output.name), "'");
      std::string fault;
      if (output.error.broken() > 0)
        fault = StrCat(name, " has ", output.error.broken(), " values that are not finite");
      else if (output.is_float && output.error.count() > 0 && output.error.Sqnr() < min_sqnr_)
        fault = StrFormat("%s has an SQNR of %.1f dB", name.c_str(), output.error.Sqnr());
      else if (TopOneChanged(output))
        fault = StrCat(name, " changes its top-1 on ", output.rows - output.agreeing, " of ",
                       output.rows, " rows");
      if (fault.empty()) continue;
      found_.bad_outputs.push_back(output.name);
      found_.faults.push_back(fault);
    }
  }

  void AddFewCodes(const std::string& value, const std::string& kind, int64_t codes) {
    found_.few_codes.push_back(StrCat("'", Printable(value), "' (", kind, ") uses ", codes,
                                      codes == 1 ? " code" : " codes"));
  }

  void JudgeCodes() {
    for (const auto& use : uses_) {
      if (use->floats.count() < kManyValues || use->codes.count() >= min_codes_) continue;
      AddFewCodes(use->pair.value, use->pair.op_type, use->codes.count());
      AddNodesAt(use->pair.value);
    }
  }

  // The nodes next to a value; without them it needs no grid.
  void AddNodesAt(const std::string& value) {
    std::vector<const graph::Node*> nodes = {graph_.Producer(value)};
    for (const graph::Use& use : graph_.Uses(value)) nodes.push_back(use.node);
    for (const graph::Node* node : nodes)
      if (node) found_.few_codes_nodes.push_back(node->NameOrOutput());
  }

  // Weights need no data: few codes result from one scale over values with very different
  // magnitudes.
  void JudgeWeights() {
    for (const auto& [value, encoding] : subject_.session.encodings) {
      const Tensor* constant = graph_.Constant(value);
      if (encoding.role != Role::kWeight || !constant || constant->dtype() != DType::kFloat ||
          encoding.grid.is_float() || encoding.grid.qmax() - encoding.grid.qmin() < 2 * min_codes_)
        continue;
      DistinctValues floats(kManyValues), codes(min_codes_);
      floats.Add(constant->span<float>());
      if (floats.count() < kManyValues) continue;
      const Tensor chosen =
          encoding.codes ? *encoding.codes : quant::QuantizeTensor(*constant, encoding);
      codes.Add(chosen.ToFloat().span<float>());
      if (codes.count() < min_codes_) AddFewCodes(value, "weight", codes.count());
    }
  }

  Status Warn() {
    if (!found_.few_codes.empty())
      report_.warnings.push_back(
          StrCat("check: too few codes: ", Join(found_.few_codes, ", ", kShown),
                 found_.bad_outputs.empty() ? CodesAdvice() : ""));
    if (found_.bad_outputs.empty()) return OkStatus();
    std::string text = StrCat("check: on ", found_.evaluation.samples, " samples output ",
                              Join(found_.faults, ", ", kShown));
    const Result<Diagnosis> diagnosis = Diagnose(subject_.session, found_.bad_outputs, min_sqnr_);
    if (!diagnosis.ok() && diagnosis.status().kind() == ErrorKind::kInterrupted)
      return diagnosis.status();
    if (diagnosis.ok()) text += Advice(*diagnosis);
    report_.warnings.push_back(std::move(text));
    return OkStatus();
  }

  std::string CodesAdvice() const {
    if (found_.few_codes_nodes.empty()) return "";
    return StrCat("; to keep them float: ", ExcludeFlag(found_.few_codes_nodes));
  }

  // --set exclude=..., including the nodes that the recipe already excludes.
  std::string ExcludeFlag(const std::vector<std::string>& nodes) const {
    std::vector<std::string> all = subject_.session.grids.exclude;
    for (const std::string& node : nodes)
      if (std::find(all.begin(), all.end(), node) == all.end()) all.push_back(node);
    return SetFlag("exclude", all);
  }

  std::string Advice(const Diagnosis& diagnosis) const {
    std::string text;
    std::vector<std::string> worst;
    for (const Suspect& suspect : diagnosis.suspects)
      worst.push_back(StrFormat("%s '%s' (%.1f -> %.1f dB)", suspect.op_type.c_str(),
                                Printable(suspect.name).c_str(), suspect.before, suspect.after));
    if (!worst.empty()) text += StrCat("; the error grows at ", Join(worst, ", ", kShown));
    if (!diagnosis.exclude.empty())
      return text +
             StrCat("; ", ExcludeFlag(diagnosis.exclude),
                    (std::isinf(diagnosis.sqnr) ? " makes it exact"
                                                : StrFormat(" gives %.1f dB", diagnosis.sqnr)));
    if (!diagnosis.weights_only) return text;
    return text +
           StrFormat("; no small set of nodes is the cause: with float activations it has %.1f dB",
                     *diagnosis.weights_only) +
           Remedy(*diagnosis.weights_only >= min_sqnr_);
  }

  // Alternatives that the target supports.
  std::string Remedy(bool weights_are_good) const {
    const target::Profile& target = subject_.session.target;
    if (!weights_are_good) return "; give the weights more bits, such as --set weights.bits=8";
    std::vector<std::string> ways;
    if (target::GridAllowed({.bits = 16}, target.activation_grids))
      ways.push_back("--set activations.bits=16");
    if (target.modes.empty() || target.modes.contains("dynamic"))
      ways.push_back("--recipe int8_dynamic");
    return ways.empty() ? "" : StrCat("; try ", Join(ways, " or "));
  }

  const double min_sqnr_;
  const int64_t min_codes_, samples_;
  const CheckSubject& subject_;
  const graph::Graph& graph_;
  report::Report& report_;
  std::vector<std::unique_ptr<CodeUse>> uses_;  // taps hold their addresses
  Findings found_;
};

}  // namespace

recipe::ParamSpecs CheckParams() {
  return {
      {.name = "samples",
       .default_value = int64_t{8},
       .help = "calibration samples on which the quantized model is compared with the float model; "
               "0 = no check",
       .min = 0,
       .max = 1e6,
       .unit = "samples"},
      {.name = "network",
       .default_value = std::string("auto"),
       .help = "measure the error of every value on these samples, for the report's page; auto: "
               "with --html",
       .choices = {"auto", "true", "false"}},
      {.name = "min_sqnr",
       .default_value = 10.0,
       .help = "warn if the SQNR of an output is below this",
       .min = 0,
       .max = 200,
       .unit = "dB"},
      {.name = "min_codes",
       .default_value = int64_t{4},
       .help = "warn if a tensor with many values uses fewer codes than this; 0 = never",
       .min = 0,
       .max = 65536,
       .unit = "codes"},
  };
}

Status SelfCheck(const recipe::Params& settings, const CheckSubject& subject,
                 report::Report* report) {
  if (settings.Int("samples") == 0 || subject.session.encodings.empty()) return OkStatus();
  if (subject.session.data == nullptr) {
    report->Fact("check_left_out", std::string("there is no calibration data: give --calib"));
    return OkStatus();
  }
  const Status status = Checker(settings, subject, report).Run();
  if (status.ok() || status.kind() == ErrorKind::kInterrupted) return status;
  report->warnings.push_back(StrCat("check: not possible: ", status.message()));
  return OkStatus();
}

}  // namespace roundel::cmd
