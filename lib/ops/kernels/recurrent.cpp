// RNN, GRU and LSTM: forward, reverse and bidirectional, with sequence lengths, initial states,
// peepholes, clipping and any activation functions.
//
// Inputs X [T, N, I] (layout 1: [N, T, I]), W [D, G*H, I], R [D, G*H, H], B [D, 2*G*H],
// sequence_lens [N], initial_h [D, N, H], then for LSTM initial_c [D, N, H] and P [D, 3*H]. D:
// number of directions, G: number of gates. Outputs Y [T, D, N, H], Y_h [D, N, H], Y_c [D, N, H].

#include "lib/ops/kernels/recurrent.h"

#include <algorithm>
#include <functional>

#include "lib/matmul/sgemm.h"
#include "lib/ops/kernels/codes_math.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/dot_rows.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/recurrent_activations.h"
#include "lib/ops/kernels/strided_copy.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// ---- common parts

struct Recurrence {
  int64_t steps, batch, inputs, hidden, directions, gates;
  bool reverse_first, batch_major;
  float clip;                    // 0: none
  Tensor x;                      // [T, N, I]
  std::vector<int64_t> lengths;  // per batch entry
  std::vector<Activation> activations;
  size_t functions;  // activation functions per direction
  // The number of leading gates whose recurrent products need only the previous state.
  int64_t recurrent_gates;
  const GateScales* scales = nullptr;  // set if weights are codes
};

// kModel unless the optional input has this shape.
Status CheckShape(const OpContext& context, size_t i, const Shape& wanted, const char* name) {
  const Tensor* tensor = context.input(i);
  if (tensor == nullptr || tensor->shape() == wanted) return OkStatus();
  return ModelError(StrCat(name, " has shape ", ShapeString(tensor->shape()), ", ",
                           ShapeString(wanted), " is needed"));
}

Result<std::vector<int64_t>> SequenceLengths(const OpContext& context, int64_t batch,
                                             int64_t steps) {
  if (context.input(4) == nullptr) return std::vector<int64_t>(static_cast<size_t>(batch), steps);
  ASSIGN_OR_RETURN(std::vector<int64_t> lengths, IntegerInput(context, 4));
  bool fits = static_cast<int64_t>(lengths.size()) == batch;
  for (int64_t length : lengths) fits = fits && length >= 0 && length <= steps;
  if (!fits)
    return ModelError(StrCat("sequence_lens [", Join(lengths), "] for a batch of ", batch, " with ",
                             steps, " steps"));
  return lengths;
}

// [a, b, rest] -> [b, a, rest]
Result<Tensor> SwapFirstAxes(const Tensor& x) {
  Shape shape = x.shape();
  std::swap(shape[0], shape[1]);
  View view = WholeView(x.shape());
  std::swap(view.strides[0], view.strides[1]);
  Tensor y = Tensor::Empty(x.dtype(), shape);
  RETURN_IF_ERROR(CopyStrided(shape, x, view, &y, WholeView(shape)));
  return y;
}

Result<Recurrence> ResolveRecurrence(const OpContext& context, int64_t gates,
                                     const std::vector<std::string>& default_activations) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2, 3, 5, 6, 7}));
  const graph::Node& node = context.node();
  const Tensor &x = *context.input(0), &w = *context.input(1), &r = *context.input(2);
  if (x.rank() != 3 || w.rank() != 3 || r.rank() != 3)
    return ModelError(StrCat("X ", ShapeString(x.shape()), ", W ", ShapeString(w.shape()),
                             " and R ", ShapeString(r.shape()),
                             ": three dimensions each are needed"));
  Recurrence rec;
  const std::string direction = node.String("direction", "forward");
  rec.directions = direction == "bidirectional" ? 2 : 1;
  rec.reverse_first = direction == "reverse";
  rec.batch_major = node.Int("layout", 0) != 0;
  rec.clip = node.Float("clip", 0);
  rec.gates = rec.recurrent_gates = gates;
  rec.hidden = r.dim(2);
  rec.inputs = x.dim(2);
  if (rec.batch_major) {
    ASSIGN_OR_RETURN(rec.x, SwapFirstAxes(x));
  } else {
    rec.x = x;
  }
  rec.steps = rec.x.dim(0);
  rec.batch = rec.x.dim(1);
  if (rec.hidden > kMaxTensorBytes / 64)
    return ModelError(StrCat("hidden size ", rec.hidden, " is too large"));
  if (const int64_t declared = node.Int("hidden_size", rec.hidden); declared != rec.hidden)
    return ModelError(StrCat("hidden_size is ", declared, ", R of shape ", ShapeString(r.shape()),
                             " is for ", rec.hidden));
  const int64_t rows = gates * rec.hidden, d = rec.directions;
  RETURN_IF_ERROR(CheckShape(context, 1, {d, rows, rec.inputs}, "W"));
  RETURN_IF_ERROR(CheckShape(context, 2, {d, rows, rec.hidden}, "R"));
  RETURN_IF_ERROR(CheckShape(context, 3, {d, 2 * rows}, "B"));
  const Shape state =
      rec.batch_major ? Shape{rec.batch, d, rec.hidden} : Shape{d, rec.batch, rec.hidden};
  RETURN_IF_ERROR(CheckShape(context, 5, state, "initial_h"));
  RETURN_IF_ERROR(CheckShape(context, 6, state, "initial_c"));
  RETURN_IF_ERROR(CheckShape(context, 7, {d, 3 * rec.hidden}, "P"));
  ASSIGN_OR_RETURN(rec.lengths, SequenceLengths(context, rec.batch, rec.steps));
  ASSIGN_OR_RETURN(rec.activations, ReadActivations(node, d, default_activations));
  rec.functions = default_activations.size();
  return rec;
}

// State of one direction: [N, H] from the optional input [D, N, H] (batch_major: [N, D, H]).
std::vector<float> InitialState(const OpContext& context, const Recurrence& rec, size_t i,
                                int64_t d) {
  std::vector<float> state(static_cast<size_t>(rec.batch * rec.hidden), 0.0f);
  const Tensor* given = context.input(i);
  if (given == nullptr) return state;
  for (int64_t n = 0; n < rec.batch; ++n) {
    const int64_t row = rec.batch_major ? n * rec.directions + d : d * rec.batch + n;
    std::copy_n(given->data<float>() + row * rec.hidden, rec.hidden,
                state.begin() + n * rec.hidden);
  }
  return state;
}

// x, rounded to uint8 over its range, as codes minus their zero point; returns their scale.
float RoundToCodes(const float* x, int64_t n, float* codes) {
  const quant::QParams grid = DynamicParams(x, n);
  for (int64_t i = 0; i < n; ++i)
    codes[i] = static_cast<float>(quant::Quantize(x[i], grid, 0, 255) - grid.zero_point);
  return grid.scale;
}

// Converts sums of products of codes [samples, rows] to values.
void ScaleRows(float* sums, int64_t samples, int64_t rows, float x_scale, const float* scales) {
  for (int64_t s = 0; s < samples; ++s)
    for (int64_t i = 0; i < rows; ++i) sums[s * rows + i] *= x_scale * scales[i];
}

// y [T, N, G*H] = X W^T of one direction. `w`: [G*H, I].
void MultiplyInput(const Recurrence& rec, int64_t d, const float* w, float* y) {
  const int64_t rows = rec.gates * rec.hidden, samples = rec.steps * rec.batch;
  const float* x = rec.x.data<float>();
  if (rec.scales == nullptr) return MultiplyTransposed(samples, rows, rec.inputs, x, w, y);
  // Steps beyond the longest sequence do not affect the range.
  const int64_t steps = rec.batch == 0 ? 0 : *std::ranges::max_element(rec.lengths);
  std::vector<float> codes(static_cast<size_t>(samples * rec.inputs), 0.0f);
  const float scale = RoundToCodes(x, steps * rec.batch * rec.inputs, codes.data());
  MultiplyTransposed(samples, rows, rec.inputs, codes.data(), w, y);
  ScaleRows(y, samples, rows, scale, rec.scales->w.data() + d * rows);
}

// Parameters and states of one direction.
struct Direction {
  int64_t index;
  bool reverse;
  std::vector<float> from_input;  // X W^T + Wb: [T, N, G*H]
  const float* recurrent;         // R: [G*H, H]
  std::vector<float> bias;        // Rb: [G*H], zeros without B
  std::vector<float> h, c;        // [N, H]
  const Activation* f;            // activation functions of this direction
};

Direction PrepareDirection(const OpContext& context, const Recurrence& rec, int64_t d) {
  const int64_t rows = rec.gates * rec.hidden, samples = rec.steps * rec.batch;
  Direction dir;
  dir.index = d;
  dir.reverse = rec.reverse_first || d == 1;
  const float* w = context.input(1)->data<float>() + d * rows * rec.inputs;
  dir.from_input.resize(static_cast<size_t>(samples * rows));
  MultiplyInput(rec, d, w, dir.from_input.data());
  dir.recurrent = context.input(2)->data<float>() + d * rows * rec.hidden;
  dir.bias.assign(static_cast<size_t>(rows), 0.0f);
  if (const Tensor* b = context.input(3)) {
    const float* both = b->data<float>() + d * 2 * rows;
    for (int64_t s = 0; s < samples; ++s)
      for (int64_t i = 0; i < rows; ++i) dir.from_input[s * rows + i] += both[i];
    std::copy_n(both + rows, rows, dir.bias.begin());
  }
  dir.h = InitialState(context, rec, 5, d);
  dir.f = rec.activations.data() + static_cast<size_t>(d) * rec.functions;
  return dir;
}

void Clip(float clip, float* x, int64_t n) {
  if (clip > 0)
    for (int64_t i = 0; i < n; ++i) x[i] = std::clamp(x[i], -clip, clip);
}

// One time step of one batch entry: `input` and `hidden_part` are its [G*H] rows of X W^T + Wb and
// H R^T + Rb; the latter may be overwritten. Updates h (and c) in place.
using Cell = std::function<void(const Direction&, const float* input, float* hidden_part, float* h,
                                float* c)>;

// y [N, G*H] = H R^T of one direction at `step`.
void MultiplyState(const Recurrence& rec, const Direction& dir, int64_t step, float* y) {
  const int64_t rows = rec.gates * rec.hidden, h = rec.hidden, used = rec.recurrent_gates * h;
  if (rec.scales == nullptr)
    return DotRows(dir.recurrent, used, h, dir.h.data(), rec.batch, step % 2 == 1, y, rows);
  std::vector<float> state = dir.h;
  for (int64_t n = 0; n < rec.batch; ++n)
    if (step > rec.lengths[n])  // the sequence ended before, and its output is zero
      std::fill_n(state.begin() + n * h, h, 0.0f);
  const float scale = RoundToCodes(state.data(), rec.batch * h, state.data());
  DotRows(dir.recurrent, used, h, state.data(), rec.batch, step % 2 == 1, y, rows);
  ScaleRows(y, rec.batch, rows, scale, rec.scales->r.data() + dir.index * rows);
}

struct Outputs {
  float *y = nullptr, *y_h = nullptr, *y_c = nullptr;
};

// Runs all steps of one direction, writing Y [T, D, N, H] and the last states [D, N, H].
void RunDirection(const Recurrence& rec, Direction& dir, const Cell& cell, const Outputs& out) {
  const int64_t rows = rec.gates * rec.hidden, h = rec.hidden;
  const bool has_cell_state = !dir.c.empty();
  std::vector<float> hidden_part(static_cast<size_t>(rec.batch * rows));
  for (int64_t step = 0; step < rec.steps; ++step) {
    MultiplyState(rec, dir, step, hidden_part.data());
    for (int64_t n = 0; n < rec.batch; ++n) {
      const int64_t length = rec.lengths[n];
      const int64_t t = dir.reverse && step < length ? length - 1 - step : step;
      float* y = out.y ? out.y + ((t * rec.directions + dir.index) * rec.batch + n) * h : nullptr;
      if (step >= length) {  // padding: the output is zero, and the state does not change
        if (y) std::fill_n(y, h, 0.0f);
        continue;
      }
      float* part = hidden_part.data() + n * rows;
      for (int64_t i = 0; i < rec.recurrent_gates * h; ++i) part[i] += dir.bias[i];
      cell(dir, dir.from_input.data() + (t * rec.batch + n) * rows, part, dir.h.data() + n * h,
           has_cell_state ? dir.c.data() + n * h : nullptr);
      if (y) std::copy_n(dir.h.data() + n * h, h, y);
    }
  }
  const int64_t at = dir.index * rec.batch * h;
  if (out.y_h) std::copy(dir.h.begin(), dir.h.end(), out.y_h + at);
  if (out.y_c) std::copy(dir.c.begin(), dir.c.end(), out.y_c + at);
}

// [T, D, N, H] -> [N, T, D, H], and states [D, N, H] -> [N, D, H].
Result<Tensor> BatchFirst(const Tensor& x) {
  const int64_t rank = x.rank();
  std::vector<int64_t> order = {rank - 2};
  for (int64_t i = 0; i < rank; ++i)
    if (i != rank - 2) order.push_back(i);
  const std::vector<int64_t> strides = Strides(x.shape());
  Shape shape;
  View view;
  for (int64_t axis : order) {
    shape.push_back(x.dim(axis));
    view.strides.push_back(strides[axis]);
  }
  Tensor y = Tensor::Empty(x.dtype(), shape);
  RETURN_IF_ERROR(CopyStrided(shape, x, view, &y, WholeView(shape)));
  return y;
}

Status RunRecurrence(OpContext& context, const Recurrence& rec, bool has_cell_state,
                     const Cell& cell) {
  const Shape state = {rec.directions, rec.batch, rec.hidden};
  Shape sequence = state;
  sequence.insert(sequence.begin(), rec.steps);
  RETURN_IF_ERROR(CheckSize(DType::kFloat, sequence));
  RETURN_IF_ERROR(CheckSize(DType::kFloat, {rec.steps, rec.batch, rec.gates * rec.hidden}));
  Tensor made[3] = {};
  float* data[3] = {};
  for (size_t i = 0; i < 3; ++i) {
    if (!context.wants(i) || (i == 2 && !has_cell_state)) continue;
    made[i] = Tensor::Empty(DType::kFloat, i == 0 ? sequence : state);
    data[i] = made[i].mutable_data<float>();
  }
  for (int64_t d = 0; d < rec.directions; ++d) {
    Direction direction = PrepareDirection(context, rec, d);
    if (has_cell_state) direction.c = InitialState(context, rec, 6, d);
    RunDirection(rec, direction, cell, {data[0], data[1], data[2]});
  }
  for (size_t i = 0; i < 3; ++i) {
    if (!made[i].defined()) continue;
    if (rec.batch_major) {
      ASSIGN_OR_RETURN(made[i], BatchFirst(made[i]));
    }
    context.SetOutput(i, std::move(made[i]));
  }
  return OkStatus();
}

// ---- the cells

// h = f(x W + h R + b)
Status Rnn(OpContext& context) {
  ASSIGN_OR_RETURN(const Recurrence rec, ResolveRecurrence(context, 1, {"Tanh"}));
  return RunRecurrence(
      context, rec, false,
      [&rec](const Direction& dir, const float* in, float* part, float* h, float*) {
        for (int64_t i = 0; i < rec.hidden; ++i) h[i] = in[i] + part[i];
        Clip(rec.clip, h, rec.hidden);
        dir.f[0].Apply(h, rec.hidden);
      });
}

// Gates z, r, h. The candidate's recurrent product uses r * h, or with linear_before_reset r * (h R
// + Rb), which needs no second product.
Status Gru(OpContext& context) {
  ASSIGN_OR_RETURN(Recurrence rec, ResolveRecurrence(context, 3, {"Sigmoid", "Tanh"}));
  const bool linear_before_reset = context.node().Int("linear_before_reset", 0) != 0;
  if (!linear_before_reset) rec.recurrent_gates = 2;
  const int64_t size = rec.hidden;
  std::vector<float> kept(static_cast<size_t>(size));
  return RunRecurrence(
      context, rec, false,
      [&, size](const Direction& dir, const float* in, float* part, float* h, float*) {
        float *update = part, *reset = part + size, *candidate = part + 2 * size;
        for (int64_t i = 0; i < 2 * size; ++i) part[i] += in[i];
        Clip(rec.clip, part, 2 * size);
        dir.f[0].Apply(part, 2 * size);
        if (linear_before_reset) {
          for (int64_t i = 0; i < size; ++i) candidate[i] *= reset[i];
        } else {
          for (int64_t i = 0; i < size; ++i) kept[i] = reset[i] * h[i];
          DotRows(dir.recurrent + 2 * size * size, size, size, kept.data(), 1, false, candidate,
                  size);
          for (int64_t i = 0; i < size; ++i) candidate[i] += dir.bias[2 * size + i];
        }
        for (int64_t i = 0; i < size; ++i) candidate[i] += in[2 * size + i];
        Clip(rec.clip, candidate, size);
        dir.f[1].Apply(candidate, size);
        for (int64_t i = 0; i < size; ++i) h[i] = (1 - update[i]) * candidate[i] + update[i] * h[i];
      });
}

// Gates i, o, f, c; peepholes P = [Pi, Po, Pf].
Status RunLstm(OpContext& context, const GateScales* scales) {
  ASSIGN_OR_RETURN(Recurrence rec, ResolveRecurrence(context, 4, {"Sigmoid", "Tanh", "Tanh"}));
  rec.scales = scales;
  const bool input_forget = context.node().Int("input_forget", 0) != 0;
  const Tensor* peepholes = context.input(7);
  const int64_t size = rec.hidden;
  return RunRecurrence(
      context, rec, true,
      [=, &rec](const Direction& dir, const float* in, float* part, float* h, float* c) {
        const float* p = peepholes ? peepholes->data<float>() + dir.index * 3 * size : nullptr;
        float *input = part, *output = part + size, *forget = part + 2 * size,
              *candidate = part + 3 * size;
        for (int64_t i = 0; i < 4 * size; ++i) part[i] += in[i];
        const auto peep = [&](float* gate, int64_t which) {
          if (p)
            for (int64_t i = 0; i < size; ++i) gate[i] += p[which * size + i] * c[i];
        };
        peep(input, 0);
        peep(forget, 2);
        for (float* gate : {input, forget, candidate}) Clip(rec.clip, gate, size);
        dir.f[0].Apply(input, size);
        dir.f[1].Apply(candidate, size);
        if (input_forget)
          for (int64_t i = 0; i < size; ++i) forget[i] = 1 - input[i];
        else
          dir.f[0].Apply(forget, size);
        for (int64_t i = 0; i < size; ++i) c[i] = forget[i] * c[i] + input[i] * candidate[i];
        peep(output, 1);
        Clip(rec.clip, output, size);
        dir.f[0].Apply(output, size);
        std::copy_n(c, size, h);
        dir.f[2].Apply(h, size);
        for (int64_t i = 0; i < size; ++i) h[i] *= output[i];
      });
}

Status Lstm(OpContext& context) { return RunLstm(context, nullptr); }

}  // namespace

Status LstmOfCodes(OpContext& context, const GateScales& scales) {
  return RunLstm(context, &scales);
}

std::vector<OpEntry> RecurrentRows() {
  return {
      {"GRU", "", 3, kLatest, &ViaFloat<&Gru>},
      {"LSTM", "", 1, kLatest, &ViaFloat<&Lstm>},
      {"RNN", "", 1, kLatest, &ViaFloat<&Rnn>},
  };
}

}  // namespace roundel::engine
