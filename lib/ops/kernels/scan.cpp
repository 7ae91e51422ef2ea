// Scan: a body that carries states along one axis of its inputs. Its first inputs are states; the
// last num_scan_inputs are scanned. Its results are the final states, then the collected values.

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "lib/base/interrupt.h"
#include "lib/ops/kernels/control_flow.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/stacker.h"

namespace roundel::engine {
namespace {

// The axis and the direction in which one value is read or collected.
struct Track {
  int64_t axis = 0;
  bool reverse = false;
};

struct ScanSpec {
  size_t states = 0;
  std::vector<Track> scanned, collected;
  std::vector<graph::ValueInfo> declared;  // of the outputs of the body
};

struct ScanResult {
  std::vector<Datum> states;
  std::vector<Tensor> collected;
};

Result<std::vector<Track>> ReadTracks(const OpContext& context, size_t count,
                                      const std::string& axes, const std::string& directions) {
  const std::vector<int64_t> axis = context.node().Ints(axes);
  const std::vector<int64_t> direction = context.node().Ints(directions);
  if ((!axis.empty() && axis.size() != count) || (!direction.empty() && direction.size() != count))
    return ModelError(StrCat("'", axes, "' or '", directions, "' has not ", count, " entries"));
  std::vector<Track> tracks(count);
  for (size_t i = 0; i < count; ++i) {
    if (!axis.empty()) tracks[i].axis = axis[i];
    if (!direction.empty()) tracks[i].reverse = direction[i] != 0;
  }
  return tracks;
}

// `first`: the number of inputs before the states.
Result<ScanSpec> ReadSpec(const OpContext& context, size_t first, const std::string& directions) {
  ScanSpec spec;
  ASSIGN_OR_RETURN(spec.declared, SubgraphOutputs(context, "body"));
  const int64_t scanned = context.node().Int("num_scan_inputs", 0);
  const size_t inputs = context.input_count();
  if (scanned < 1 || inputs < first || scanned > static_cast<int64_t>(inputs - first))
    return ModelError(StrCat("num_scan_inputs is ", scanned, ", with ", inputs, " inputs"));
  spec.states = inputs - first - static_cast<size_t>(scanned);
  if (spec.declared.size() < spec.states)
    return ModelError(
        StrCat("the body gives ", spec.declared.size(), " outputs for ", spec.states, " states"));
  ASSIGN_OR_RETURN(spec.scanned, ReadTracks(context, static_cast<size_t>(scanned),
                                            "scan_input_axes", directions));
  ASSIGN_OR_RETURN(spec.collected, ReadTracks(context, spec.declared.size() - spec.states,
                                              "scan_output_axes", "scan_output_directions"));
  return spec;
}

// Normalizes the axes; returns the length that all scanned inputs share.
Result<int64_t> ScanLength(const std::vector<Tensor>& scanned, std::vector<Track>* tracks) {
  int64_t length = -1;
  for (size_t i = 0; i < scanned.size(); ++i) {
    int64_t& axis = (*tracks)[i].axis;
    ASSIGN_OR_RETURN(axis, NormalAxis(axis, scanned[i].rank()));
    const int64_t own = scanned[i].dim(axis);
    if (length >= 0 && own != length)
      return ModelError(StrCat("scanned inputs have lengths ", length, " and ", own));
    length = own;
  }
  return length;
}

// `limit`: the number of slices to use.
Result<ScanResult> RunScan(OpContext& context, ScanSpec spec, std::vector<Datum> states,
                           const std::vector<Tensor>& scanned, int64_t limit) {
  ASSIGN_OR_RETURN(const int64_t whole, ScanLength(scanned, &spec.scanned));
  const int64_t length = std::min(whole, limit);
  std::vector<Stacker> stackers(spec.collected.size());
  for (int64_t t = 0; t < length; ++t) {
    std::vector<Datum> inputs = states;
    for (size_t i = 0; i < scanned.size(); ++i) {
      const Track& track = spec.scanned[i];
      ASSIGN_OR_RETURN(Tensor slice,
                       TakeSlice(scanned[i], track.axis, track.reverse ? length - 1 - t : t));
      inputs.emplace_back(std::move(slice));
    }
    ASSIGN_OR_RETURN(std::vector<Datum> results,
                     RunBody(context, "body", inputs, spec.declared.size()));
    for (size_t i = 0; i < stackers.size(); ++i)
      RETURN_IF_ERROR(stackers[i].Append(results[spec.states + i]));
    results.resize(spec.states);
    states = std::move(results);
  }
  ScanResult result{std::move(states), {}};
  for (size_t i = 0; i < stackers.size(); ++i) {
    const Track& track = spec.collected[i];
    ASSIGN_OR_RETURN(Tensor all,
                     stackers[i].Finish(track.axis, track.reverse, spec.declared[spec.states + i]));
    result.collected.push_back(std::move(all));
  }
  return result;
}

Status Scan(OpContext& context) {
  ASSIGN_OR_RETURN(const ScanSpec spec, ReadSpec(context, 0, "scan_input_directions"));
  std::vector<Datum> states;
  std::vector<Tensor> scanned;
  for (size_t i = 0; i < context.input_count(); ++i) {
    if (i < spec.states) {
      states.push_back(context.datum(i));
      continue;
    }
    if (!context.input(i)) return ModelError(StrCat("input ", i, " is missing or not a tensor"));
    scanned.push_back(*context.input(i));
  }
  ASSIGN_OR_RETURN(ScanResult result,
                   RunScan(context, spec, std::move(states), scanned, INT64_MAX));
  for (size_t i = 0; i < spec.states; ++i) context.SetDatum(i, std::move(result.states[i]));
  for (size_t i = 0; i < result.collected.size(); ++i)
    context.SetOutput(spec.states + i, std::move(result.collected[i]));
  return OkStatus();
}

// ---- Scan of opset 8: all values have a leading batch axis, and each sample has a length

// [length, ...] -> [whole, ...], zero-padded.
Result<Tensor> Padded(const Tensor& from, int64_t whole) {
  if (from.rank() == 0 || from.dim(0) == whole) return from;
  if (from.dtype() == DType::kString) return ModelError("strings cannot be padded");
  Shape shape = from.shape();
  shape[0] = whole;
  RETURN_IF_ERROR(CheckSize(from.dtype(), shape));
  Tensor to = Tensor::Zeros(from.dtype(), shape);
  std::memcpy(to.mutable_raw(), from.raw(), static_cast<size_t>(from.byte_size()));
  return to;
}

// The lengths in input 0; all `whole` if it is absent.
Result<std::vector<int64_t>> Lengths(const OpContext& context, int64_t batch, int64_t whole) {
  if (!context.input(0)) return std::vector<int64_t>();
  ASSIGN_OR_RETURN(const std::vector<int64_t> lengths, IntegerInput(context, 0));
  for (int64_t length : lengths)
    if (length < 0 || length > whole)
      return ModelError(StrCat("sequence length ", length, " is not in [0, ", whole, "]"));
  if (static_cast<int64_t>(lengths.size()) == batch) return lengths;
  return ModelError(StrCat(lengths.size(), " sequence lengths for a batch of ", batch));
}

Status CheckBatch(const OpContext& context, int64_t batch, size_t states) {
  for (size_t i = 1; i < context.input_count(); ++i) {
    const Tensor* x = context.input(i);
    const int64_t rank = i <= states ? 1 : 2;
    if (!x || x->rank() < rank || x->dim(0) != batch)
      return ModelError(StrCat("input ", i, " has no batch axis of ", batch));
  }
  return OkStatus();
}

Status BatchedScan(OpContext& context) {
  ASSIGN_OR_RETURN(const ScanSpec spec, ReadSpec(context, 1, "directions"));
  const Tensor* last = context.input(context.input_count() - 1);
  if (!last || last->rank() < 2) return ModelError("the scanned input has no batch and time axes");
  const int64_t batch = last->dim(0), whole = last->dim(1);
  RETURN_IF_ERROR(CheckBatch(context, batch, spec.states));
  ASSIGN_OR_RETURN(const std::vector<int64_t> lengths, Lengths(context, batch, whole));
  std::vector<Stacker> results(spec.declared.size());
  for (int64_t b = 0; b < batch; ++b) {
    if (Interrupted()) return InterruptedError();
    std::vector<Datum> states;
    std::vector<Tensor> scanned;
    for (size_t i = 1; i < context.input_count(); ++i) {
      ASSIGN_OR_RETURN(Tensor sample, TakeSlice(*context.input(i), 0, b));
      if (i <= spec.states)
        states.emplace_back(std::move(sample));
      else
        scanned.push_back(std::move(sample));
    }
    ASSIGN_OR_RETURN(ScanResult result, RunScan(context, spec, std::move(states), scanned,
                                                lengths.empty() ? whole : lengths[b]));
    for (size_t i = 0; i < spec.states; ++i) RETURN_IF_ERROR(results[i].Append(result.states[i]));
    for (size_t i = 0; i < result.collected.size(); ++i) {
      ASSIGN_OR_RETURN(Tensor padded, Padded(result.collected[i], whole));
      RETURN_IF_ERROR(results[spec.states + i].Append(padded));
    }
  }
  for (size_t i = 0; i < results.size(); ++i) {
    ASSIGN_OR_RETURN(Tensor all, results[i].Finish(0, false, spec.declared[i]));
    context.SetOutput(i, std::move(all));
  }
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> ScanRows() {
  return {
      {"Scan", "", 8, 8, &BatchedScan, true},
      {"Scan", "", 9, kLatest, &Scan, true},
  };
}

}  // namespace roundel::engine
