#include "lib/tune/tune_blocks.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "lib/base/clock.h"
#include "lib/base/parallel.h"
#include "lib/base/progress.h"
#include "lib/base/text.h"
#include "lib/grad/backward.h"
#include "lib/tensor/held_out.h"
#include "lib/tune/block_parts.h"
#include "lib/tune/losses.h"
#include "lib/tune/ranges.h"
#include "lib/tune/solve_block.h"
#include "lib/tune/tables.h"
#include "lib/tune/tuning.h"

namespace roundel::tune {
namespace {

using walk::Stretches;

void UpdateStream(Tuning& s) {
  for (const auto& [value, encoding] : s.session.encodings)
    if (encoding.role == quant::Role::kWeight ||
        (s.options.activations && encoding.role == quant::Role::kActivation))
      s.stream[value] = encoding;
}

// When a block is stopped: estimates are rough, so that it may take half as long again. 0: never.
double Deadline(const Tuning& s, size_t index) {
  if (s.options.minutes <= 0) return 0;
  return SteadySeconds() + 1.5 * static_cast<double>(s.iterations) * s.seconds[index] + 1;
}

Result<Trained> Learn(Tuning& s, size_t index, const Stretches::Part& part,
                      const walk::Streams& streams, const std::vector<FormPtr>& forms) {
  ASSIGN_OR_RETURN(std::optional<Trained> stored, s.store.Read(index, LearnedOf(forms)));
  if (stored) {
    ++s.session.report->resumed;
    return std::move(*stored);
  }
  Workbench bench;
  RETURN_IF_ERROR(Prepare(s, index, part, streams, forms, &bench));
  TrainSettings settings = s.options.train;
  settings.iterations = s.iterations;
  settings.batch = bench.batch;
  const double deadline = Deadline(s, index);
  ASSIGN_OR_RETURN(const Trained trained,
                   Train(*bench.runner, *bench.model, bench.samples->samples(), settings,
                         Random(SeedOf(s.session) + index),
                         [deadline] { return deadline > 0 && SteadySeconds() > deadline; }));
  RETURN_IF_ERROR(s.store.Write(index, trained));
  return trained;
}

void Apply(Tuning& s, size_t index, const std::vector<FormPtr>& forms, const Trained& trained) {
  const std::vector<Learned> all = LearnedOf(forms);
  for (const FormPtr& form : forms) {
    const std::string why =
        form->Keep(OwnOf(*form, all, trained.learned), s.options.pass, &s.session);
    if (!why.empty()) s.session.report->Add(form->value(), "kept", why);
  }
  UpdateStream(s);
  const bool better = trained.best > 0;
  s.session.report->Add(
      s.blocks[index].name, better ? "learned" : "kept",
      StrFormat("loss %.4g -> %.4g on held-out samples, best after %lld of %lld iterations",
                trained.loss_before, trained.loss_after, static_cast<long long>(trained.best),
                static_cast<long long>(trained.iterations)));
  ++(better ? s.learned : s.kept);
  s.diverged += trained.diverged;
  s.before += trained.loss_before;
  s.after += trained.loss_after;
}

// Returns the text of the block in the progress display.
Result<std::string> Visit(Tuning& s, size_t index, const Stretches::Part& part,
                          const walk::Streams& streams) {
  const std::string& name = s.blocks[index].name;
  ASSIGN_OR_RETURN(const std::vector<FormPtr> forms, FormsOf(s, index, s.session.report));
  if (forms.empty()) return name;
  Result<Trained> trained = Learn(s, index, part, streams, forms);
  if (!trained.ok()) return Status(trained.status()).At("block " + name);
  Apply(s, index, forms, *trained);
  return StrFormat("%s: loss %.3g -> %.3g", name.c_str(), trained->loss_before,
                   trained->loss_after);
}

// Adds the losses of the model's outputs that block `index` computes, on held-out samples.
Status AddOutputErrors(const Tuning& s, size_t index, const walk::Streams& streams, double* sum) {
  const structure::Block& block = s.blocks[index];
  const HeldOut held_out(s.options.train.held_out, streams.originals());
  for (size_t t = 0; t < block.targets; ++t) {
    const std::string& value = block.outputs[t];
    if (!s.session.model.graph->IsOutput(value)) continue;
    const Shape& shape = streams.reference(value)[0]->shape();
    LossSum loss(KindOf(s, index, value, shape), shape.empty() ? 1 : shape.back());
    for (size_t b = 0; b < streams.batch_sizes().size(); ++b) {
      ASSIGN_OR_RETURN(const Tensor reference, streams.reference(value)[b]->Load());
      ASSIGN_OR_RETURN(const Tensor quantized, streams.quantized(value)[b]->Load());
      const int64_t size = streams.batch_sizes()[b];
      const int64_t rows = reference.rank() > 0 && reference.dim(0) == size ? size : 1;
      const auto per_row = static_cast<size_t>(reference.size() / std::max<int64_t>(1, rows));
      for (int64_t r = 0; r < rows; ++r) {
        if (held_out.any() && !held_out(streams.Original(b) + r)) continue;
        const size_t first = static_cast<size_t>(r) * per_row;
        loss.Add(reference.span<float>().subspan(first, per_row),
                 quantized.span<float>().subspan(first, per_row));
      }
    }
    *sum += loss.value();
  }
  return OkStatus();
}

// Runs the blocks in order. `visit`: before a block's values in the quantized model are computed.
// Returns the error of the model's outputs.
Result<double> Walk(Tuning& s, const std::function<Status(size_t index, const Stretches::Part& part,
                                                          walk::Streams& streams)>& visit) {
  walk::Streams streams(s.session.model, s.session.float_model.get(), s.stream,
                        s.options.memory_bytes, SpillFolder(s));
  RETURN_IF_ERROR(streams.ReadData(*s.session.data, s.options.samples,
                                   [](const std::string&) { return true; }));
  RETURN_IF_ERROR(streams.Run(Prelude(*s.session.model.graph, s.blocks), walk::Which::kBoth));
  double error = 0;
  for (size_t i = 0; i < s.blocks.size(); ++i) {
    const Stretches::Part part = PartOf(s.blocks, i);
    RETURN_IF_ERROR(streams.Run(part, walk::Which::kReference));
    RETURN_IF_ERROR(visit(i, part, streams));
    RETURN_IF_ERROR(streams.Run(part, walk::Which::kQuantized));
    RETURN_IF_ERROR(AddOutputErrors(s, i, streams, &error));
    streams.Keep([&](const std::string& value) { return ReadAfter(s.blocks, i, value); });
  }
  return error;
}

// What becomes of a block once its layers are solved. Returns the text for the progress display.
using VisitSolved = std::function<Result<std::string>(size_t index, const Stretches::Part& part,
                                                      const walk::Streams& streams)>;

// Walks through the blocks and solves the layers of each that have no codes. Returns the error of
// the model's outputs.
Result<double> WalkSolving(Tuning& s, const std::string& label, const VisitSolved& visit) {
  std::optional<layers::LayerSolver> solver;
  if (s.options.solve) {
    ASSIGN_OR_RETURN(solver,
                     layers::LayerSolver::Create(s.session, s.options.start, s.options.solve));
  }
  Progress progress(label, std::ssize(s.blocks), "blocks");
  const auto solve_and_visit = [&](size_t i, const Stretches::Part& part,
                                   walk::Streams& streams) -> Status {
    if (solver)
      RETURN_IF_ERROR(SolveBlock(*s.session.model.graph, s.blocks[i], part, streams, *solver,
                                 [&] { UpdateStream(s); }));
    ASSIGN_OR_RETURN(const std::string said, visit(i, part, streams));
    progress.Advance(1, said);
    return OkStatus();
  };
  ASSIGN_OR_RETURN(const double error, Walk(s, solve_and_visit));
  if (!solver) return error;
  s.solved = std::ssize(solver->nodes());
  RETURN_IF_ERROR(solver->Finish().status());
  return error;
}

// The error of the model's outputs at the start: all layers solved, nothing learned.
Result<double> Begin(Tuning& s) {
  report::PassReport unsaid;  // the walk that learns solves the layers again
  report::PassReport* said = std::exchange(s.session.report, &unsaid);
  const Result<double> error =
      WalkSolving(s, s.options.pass + " start",
                  [&](size_t i, const Stretches::Part&,
                      const walk::Streams&) -> Result<std::string> { return s.blocks[i].name; });
  s.session.report = said;
  return error;
}

Result<double> LearnInOrder(Tuning& s) {
  return WalkSolving(s, s.options.pass,
                     [&](size_t i, const Stretches::Part& part, const walk::Streams& streams) {
                       return Visit(s, i, part, streams);
                     });
}

void Restore(Tuning& s, const ModelState& state) {
  static_cast<ModelState&>(s.session) = state.Clone();
  s.stream.clear();
  UpdateStream(s);
}

// Learns all blocks. What each gains on its own targets need not help the network: if the outputs are
// worse than at the start, that is restored.
Status LearnAll(Tuning& s) {
  const ModelState entry = s.session.ModelState::Clone();
  ASSIGN_OR_RETURN(const double before, Begin(s));
  const ModelState start = s.session.ModelState::Clone();
  Restore(s, entry);
  ASSIGN_OR_RETURN(const double after, LearnInOrder(s));
  s.session.report->Metric("output_error_before", before);
  s.session.report->Metric("output_error_after", after);
  if (!(after > before)) return OkStatus();
  Restore(s, start);
  s.session.report->warnings.push_back(StrFormat(
      "the error of the model's outputs rose from %.3g to %.3g although blocks came closer "
      "to the float model, so that the start was restored: give more samples or iterations",
      before, after));
  s.kept += s.learned;
  s.learned = 0;
  return OkStatus();
}

Outcome Finish(Tuning& s) {
  report::PassReport& report = *s.session.report;
  const int64_t overflowing = s.learned > 0 ? RefreshBiases(s.options.pass, &s.session) : 0;
  if (overflowing > 0)
    report.warnings.push_back(
        StrCat(overflowing, " biases do not fit 32 bits in the new scales and stay float"));
  const int64_t visited = s.learned + s.kept;
  report.Metric("blocks", std::ssize(s.blocks));
  report.Metric("iterations", s.iterations);
  report.Metric("learned", s.learned);
  report.Metric("kept", s.kept);
  report.Metric("declined", s.declined);
  if (visited > 0) {
    report.Metric("loss_before", s.before / static_cast<double>(visited));
    report.Metric("loss_after", s.after / static_cast<double>(visited));
  }
  if (s.diverged > 0)
    report.warnings.push_back(StrCat("the loss of ", s.diverged,
                                     " blocks stopped being a number; they have the best point "
                                     "before that: lower the rates"));
  return s.learned + s.solved > 0 ? Outcome::kChanged : Outcome::kUnchanged;
}

}  // namespace

Result<Outcome> TuneBlocks(Session& session, const TuneOptions& options, const MakeForms& forms) {
  Tuning s{.session = session, .options = options, .make_forms = forms, .lanes = Lanes(Threads())};
  structure::BlockOptions blocks = options.blocks;
  blocks.why_no_gradient = [&](const graph::Node& node) {
    return grad::WhyNoGradient(session.model, node);
  };
  s.blocks = structure::FindBlocks(session.model, blocks);
  JoinTables(*session.model.graph, session.encodings, &s.blocks);
  if (options.hidden > 0) s.hidden = AddHiddenTargets(session.model, blocks, &s.blocks);
  UpdateStream(s);
  ASSIGN_OR_RETURN(s.store, BlockStore::Create(session, options.samples, options.settings));
  RETURN_IF_ERROR(EstimateTime(s));
  RETURN_IF_ERROR(LearnAll(s));
  return Finish(s);
}

}  // namespace roundel::tune
